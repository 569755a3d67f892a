"""What the commands share: options, output, errors. Nothing heavy is imported here."""

import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from pixguard.cli.mistakes import told_of
from pixguard.cli.speech import one_command, speech
from pixguard.cli.wording import as_flags, with_database
from pixguard.config import DatasetRequest, TrainingRequest
from pixguard.errors import EXIT_SOME_FAILED, PixguardError, UsageError
from pixguard.words import command_line, printable, printable_json

Command = TypeVar("Command", bound=Callable[..., Any])

if TYPE_CHECKING:
    from pixguard.runner.session import Session


OLD_SPELLINGS = {"--batch": "--batch-size", "--output": "--out", "--to": "--out"}
"""Options as they were called once: scripts that use them go on working."""


class PixguardCommand(TyperCommand):
    """A command that takes the old spellings of its options, in variables, too."""

    @property
    def renamed(self) -> dict[str, str]:
        """Old flag -> the flag of this command that it means."""
        known = {flag for parameter in self.params for flag in parameter.opts}
        return {old: new for old, new in OLD_SPELLINGS.items() if old not in known and new in known}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        words = []
        for word in args:
            flag, equals, value = word.partition("=")
            words.append(self.renamed.get(flag, flag) + equals + value)
        for old, new in self.renamed.items():
            variable = f"{ctx.auto_envvar_prefix}_{parameter_name(old).upper()}"
            if variable in os.environ:
                given = {parameter_name(new): os.environ[variable]}
                ctx.default_map = {**(ctx.default_map or {}), **given}
        return super().parse_args(ctx, words)


def parameter_name(flag: str) -> str:
    """Return what the parameter of a flag is called: ``batch_size`` for ``--batch-size``."""
    return flag.lstrip("-").replace("-", "_")


class CommandGroup(typer.Typer):
    """A Typer application whose commands are :class:`PixguardCommand`."""

    def command(self, name: str | None = None, **chosen: Any) -> Callable[[Command], Command]:
        """Register a command."""
        return super().command(name, cls=PixguardCommand, **chosen)


def new_app(help_text: str) -> CommandGroup:
    """Return a Typer application for a group of subcommands."""
    return CommandGroup(help=help_text, no_args_is_help=True, rich_markup_mode="rich")


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False, allow_nan=False)
    typer.echo(printable_json(text))


def print_result(result: Mapping[str, Any], as_json: bool) -> None:
    """Print what a command came to: JSON, or a line for each value that there is."""
    if as_json:
        print_json(result)
        return
    width = max(len(key) for key in result)
    for key, value in result.items():
        entries = [("", value)]
        if isinstance(value, Mapping):
            entries = list(value.items())
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            entries = [("", entry) for entry in value]
        entries = [(name, entry) for name, entry in entries if entry is not None]
        for number, (name, entry) in enumerate(entries):
            title = "" if number else key.replace("_", " ")
            inner = f"{name}: " if name != "" else ""
            typer.echo(printable(f"{title:<{width}}  {inner}{_plain(entry)}"))


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def exit_with_failures(failed: int, again: str) -> None:
    """Exit with the code for failed attempts, if there were any; ``again`` makes them anew."""
    if failed:
        told = "the classifier's output was not finite, or workers died"
        told += "; they are in the table `failure`"
        typer.echo(f"pixguard: {failed} attempts failed: {told}\n  next: {again}", err=True)
        raise typer.Exit(EXIT_SOME_FAILED)


@contextmanager
def open_session(
    database: str, device: str, data: DatasetRequest | None = None, *, shares: bool = False
) -> Iterator["Session"]:
    """Yield a session that shows progress on stderr and stops gracefully on Ctrl-C.

    A model of the user's own may print; stdout is for results, which come after the session.
    ``shares``: the work can be shared among several devices. What can be told of ``data`` and the
    database before torch is loaded is told before.
    """
    if data is not None:
        _look_first(database, data)
    from pixguard.cli.display import TerminalDisplay
    from pixguard.cli.signals import graceful_stop

    display = TerminalDisplay()
    command = command_line(["pixguard", *sys.argv[1:]])
    # Around the display, which puts its own stream in the place of stdout and takes it back.
    with redirect_stdout(sys.stderr), display.waiting("loading PyTorch"):
        from pixguard.runner.session import Session

        with graceful_stop(display.say) as stop:
            yield Session.of(database, device, display, stop, command, shares)


def _look_first(database: str, data: DatasetRequest) -> None:
    """Raise where there is no such database to work with, or no dataset of that name.

    Raises:
        PixguardError: the database is missing; a training makes one.
        UsageError: neither pixguard nor the database knows the dataset, or data have no folder.
    """
    from pixguard.datasets.cache import data_folder
    from pixguard.datasets.catalogue import is_named, unknown_dataset
    from pixguard.store import reader
    from pixguard.store.engine import check_place, is_there, reading
    from pixguard.store.location import locate

    data_folder()  # also where these data do not lie there: the setting is wrong
    location = locate(database)
    if location.path is not None and not isinstance(data, TrainingRequest):
        check_place(location)
    if data.source is not None or data.data_dir is not None or is_named(data.name):
        return
    names: list[str] = []
    if is_there(database):
        with reading(database) as engine:
            names = [stored.info.name for stored in reader.datasets(engine)]
    if data.name not in names:
        raise unknown_dataset(data.name, names)


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
        typed = list(kwargs.get("args") or (args[0] if args and args[0] else sys.argv[1:]))
        kwargs["standalone_mode"] = False  # errors are reported here
        with one_command():
            try:
                result = super().main(*args, **kwargs)
                code = result if isinstance(result, int) else 0
            except (Exception, KeyboardInterrupt) as error:
                code = self._tell(error, typed)
        sys.exit(code)

    def _tell(self, error: Exception | KeyboardInterrupt, typed: list[str]) -> int:
        """Report an error, and return the exit code for it."""
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(str(error), nl=False)  # what Rich has not printed already
            return UsageError.exit_code
        if "--debug" in typed or speech().verbose:
            traceback.print_exc()
        told = told_of(error)
        expected = isinstance(error, PixguardError)
        speech().log(told.message if expected else traceback.format_exc())
        message = as_flags(told.message)
        hint = as_flags(with_database(told.hint, self, _typed_database(typed)))
        if "--json" in typed:
            print_json({"error": {"kind": told.kind, "message": message, "hint": hint}})
        else:
            typer.echo(printable(f"pixguard: {message}"), err=True)
            if hint:
                typer.echo(printable(f"  next: {hint}"), err=True)
        return told.exit_code


def _typed_database(arguments: list[str]) -> str | None:
    """Return the database that was typed: no variable or file names it to the next command."""
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == "--db":
            return following
        if word.startswith("--db="):
            return word.removeprefix("--db=")
    return None
