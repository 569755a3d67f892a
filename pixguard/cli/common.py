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

from pixguard.cli.wording import as_flags
from pixguard.config import load_defaults
from pixguard.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, PixguardError, UsageError

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

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; never a traceback unless ``--debug``."""
        arguments = list(kwargs.get("args") or (args[0] if args and args[0] else sys.argv[1:]))
        as_json, debug = "--json" in arguments, "--debug" in arguments
        if as_json:  # usage errors, too, must come back as JSON
            kwargs["standalone_mode"] = False
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
            if debug:
                raise
            if as_json and hasattr(error, "format_message"):  # click's usage errors
                _report("usage", error.format_message(), "pixguard --help", as_json)
                sys.exit(UsageError.exit_code)
            summary = f"{type(error).__name__}: {error}"
            _report("failure", summary, "run it again with `pixguard --debug ...`", as_json)
            sys.exit(PixguardError.exit_code)


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
    defaults = load_defaults(config or Path("pixguard.toml"))
    ctx.default_map = {
        name: _checked_options(_command(ctx.command, name), options)
        for name, options in defaults.items()
    }


def _command(group: Any, name: str) -> Any:
    known = getattr(group, "commands", {})
    if name not in known:
        raise UsageError(
            f"pixguard.toml names {name!r}, which is no command", f"one of: {', '.join(known)}"
        )
    return known[name]


def _checked_options(command: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of a command, or of the commands of a group, by parameter name."""
    if hasattr(command, "commands"):
        return {n: _checked_options(_command(command, n), o) for n, o in options.items()}
    known = {parameter.name for parameter in command.params}
    chosen = {key.replace("-", "_"): value for key, value in options.items()}
    if unknown := sorted(set(chosen) - known):
        raise UsageError(
            f"pixguard.toml gives {command.name!r} the option {unknown[0]!r}, which it does not "
            "have",
            f"pixguard {command.name} --help",
        )
    return chosen
