"""The command line's root: options for all commands, and the list of subcommands."""

import io
import sys
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer

from pixguard import __version__
from pixguard.cli import (
    certify,
    data,
    db,
    db_export,
    db_keeping,
    db_merge,
    denoise,
    denoise_plans,
    detect,
    models,
)
from pixguard.cli.attack import attack
from pixguard.cli.common import CommandGroup, PixguardGroup
from pixguard.cli.configuration import apply_config_file
from pixguard.cli.demo import demo
from pixguard.cli.doctor import doctor
from pixguard.cli.report import report
from pixguard.cli.run import run
from pixguard.cli.score import score
from pixguard.cli.speech import Unbreakable
from pixguard.cli.status import status, stop
from pixguard.cli.train import train

app = CommandGroup(
    cls=PixguardGroup,
    name="pixguard",
    help="Fool medical-image classifiers with one or two pixels, undo it, and keep every result.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "PIXGUARD", "help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"pixguard {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar="PIXGUARD_CONFIG", help="TOML file of defaults (pixguard.toml)."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fool medical-image classifiers with one or two pixels, undo it, and keep every result."""
    apply_config_file(ctx, config)


# In the order of the work.
app.command()(train)
app.command()(attack)
denoise_plans.add_to(denoise.app)
app.add_typer(denoise.app, name="denoise")
app.add_typer(detect.app, name="detect")
app.command()(score)
app.add_typer(certify.app, name="certify")
app.command()(report)
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
db_export.add_to(db.app)
db.app.command()(db_merge.merge)
db.app.command()(db_keeping.tag)
db.app.command()(db_keeping.delete)
app.add_typer(db.app, name="db")
app.command()(run)
app.command()(status)
app.command()(stop)
app.command()(demo)
app.command()(doctor)


def main() -> None:
    """Entry point of the ``pixguard`` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names in files need not fit its encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr = cast("TextIO", Unbreakable(sys.stderr))
    app()
