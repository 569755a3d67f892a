"""What the commands share: options, output, errors. Nothing heavy is imported here."""

import json
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from pixguard.cli.mistakes import usage_error
from pixguard.cli.wording import as_flags
from pixguard.config import load_defaults
from pixguard.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, PixguardError, UsageError
from pixguard.registry import unknown

if TYPE_CHECKING:
    from pixguard.runner.session import Session


def new_app(help_text: str) -> typer.Typer:
    """Return a Typer application for a group of subcommands."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode="rich")


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False, allow_nan=False))


def print_result(result: Mapping[str, Any], as_json: bool) -> None:
    """Print what a command came to: JSON, or a line for each value."""
    if as_json:
        print_json(result)
        return
    width = max(len(key) for key in result)
    for key, value in result.items():
        entries = list(value.items()) if isinstance(value, Mapping) else [("", value)]
        for number, (name, entry) in enumerate(entries):
            title = "" if number else key.replace("_", " ")
            inner = f"{name}: " if name != "" else ""
            typer.echo(f"{title:<{width}}  {inner}{_plain(entry)}")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def exit_with_failures(failed: int) -> None:
    """Exit with the code for failed attempts, if there were any."""
    if failed:
        typer.echo(f"pixguard: {failed} attempts failed; see the table `failure`", err=True)
        raise typer.Exit(EXIT_SOME_FAILED)


@contextmanager
def open_session(database: str, device: str) -> Iterator["Session"]:
    """Yield a session that shows progress on stderr and stops gracefully on Ctrl-C."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.cli.signals import graceful_stop
    from pixguard.runner.session import Session

    display = TerminalDisplay()
    command = shlex.join(["pixguard", *sys.argv[1:]])
    with graceful_stop(display.say) as stop:
        yield Session.of(database, device, display, stop, command)


class PixguardGroup(TyperGroup):
    """The root command: turns errors into messages and exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the command: no settings, so no variable may set it."""
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            parameter.allow_from_autoenv = False
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; never a traceback unless ``--debug``."""
        arguments = list(kwargs.get("args") or (args[0] if args and args[0] else sys.argv[1:]))
        as_json, debug = "--json" in arguments, "--debug" in arguments
        kwargs["standalone_mode"] = False  # errors are reported here
        try:
            result = super().main(*args, **kwargs)
            sys.exit(result if isinstance(result, int) else 0)
        except PixguardError as error:
            if debug:
                traceback.print_exc()
            _report(error.kind, error.message, error.hint, as_json)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            _report("interrupted", "interrupted", "", as_json)
            sys.exit(EXIT_INTERRUPTED)
        except Exception as error:
            if hasattr(error, "format_message"):  # Typer's
                sys.exit(_typed_wrongly(error, as_json))
            if debug:
                raise
            if isinstance(error, OSError) and error.filename is not None:
                place = error.filename2 or error.filename
                summary = f"cannot use {place}: {error.strerror}"
                hint = "mend its permissions, make space, or name another place"
            else:
                summary = f"{type(error).__name__}: {error}"
                hint = "run it again with `pixguard --debug ...`"
            _report("failure", summary, hint, as_json)
            sys.exit(PixguardError.exit_code)


def _typed_wrongly(error: Any, as_json: bool) -> int:
    """Report what Typer complains of; a group without a command shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.ctx.get_help(), err=True)
    else:
        told = usage_error(error)
        _report(told.kind, told.message, told.hint, as_json)
    return UsageError.exit_code


def _report(kind: str, message: str, hint: str, as_json: bool) -> None:
    message, hint = as_flags(message), as_flags(hint)
    if as_json:
        print_json({"error": {"kind": kind, "message": message, "hint": hint}})
        return
    typer.echo(f"pixguard: {message}", err=True)
    if hint:
        typer.echo(f"  next: {hint}", err=True)


def apply_config_file(ctx: typer.Context, config: Path | None) -> None:
    """Make the values of ``pixguard.toml`` the defaults of every command's options."""
    if config is not None and not config.is_file():
        raise UsageError(f"the configuration file {config} does not exist", "check --config")
    file = config or Path("pixguard.toml")
    ctx.default_map = _checked(file, ctx.command, load_defaults(file), ())


def _checked(
    file: Path, command: Any, given: dict[str, Any], path: tuple[str, ...]
) -> dict[str, Any]:
    """Return the defaults of a command, or of the commands of a group, by parameter name.

    Raises:
        UsageError: there is no such command or option, or an option stands where a command must.
    """
    commands = getattr(command, "commands", None)
    table = f"[{'.'.join(path)}]"
    if commands is None:
        known = {parameter.name for parameter in command.params}
        chosen = {key.replace("-", "_"): value for key, value in given.items()}
        for name in chosen.keys() - known:
            error = unknown("option", name, sorted(known))
            raise UsageError(
                f"{file} gives {table} the option {name}, which it does not have", error.hint
            )
        return chosen
    for name, value in given.items():
        if name not in commands:
            error = unknown("command", name, commands)
            place = f"below {table} in {file}" if path else f"in {file}"
            raise UsageError(f"{error.message}, as {place}", error.hint)
        if not isinstance(value, dict):
            raise UsageError(
                f"{file} gives {table} a value {name}, where a command must stand",
                f"[{'.'.join((*path, name))}] and its options below",
            )
    return {n: _checked(file, commands[n], v, (*path, n)) for n, v in given.items()}
