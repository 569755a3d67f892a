"""What the commands share: options, output, errors. Nothing heavy is imported here."""

import json
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pixguard.config import load_defaults
from pixguard.errors import EXIT_INTERRUPTED, PixguardError, UsageError

DEFAULT_DATABASE = "pixguard.db"

DatabaseOption = Annotated[
    str,
    typer.Option(
        "--db", envvar="PIXGUARD_DB", help="SQLite file (or URL) that holds the results."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DatasetOption = Annotated[
    str, typer.Option(help="derma, pathology, oct, chest, a MedMNIST flag, or your own name.")
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        help="medmnist, folder or phantom. Default: as registered for the dataset, else auto."
    ),
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=8, max=2048, help="Side of the images in pixels. Default: as registered, else 28."
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Folder, zip or npz file that holds the images.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
SeedOption = Annotated[int, typer.Option(help="Seed of every random choice.")]


def new_app(help_text: str) -> typer.Typer:
    """Return a Typer application for a group of subcommands."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode="rich")


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False, allow_nan=False))


def files_folder(database: str) -> Path:
    """Return the folder beside the database that holds weights and checkpoints.

    ``results.db`` has ``results-files``; a database given by URL has ``pixguard-files`` in the
    working folder.
    """
    if "://" in database:
        return Path("pixguard-files")
    path = Path(database)
    return path.with_name(f"{path.stem}-files")


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
        command: {key.replace("-", "_"): value for key, value in options.items()}
        for command, options in defaults.items()
        if isinstance(options, dict)
    }
