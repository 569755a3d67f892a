"""``pixguard db``: look after the database."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pixguard.cli.common import new_app, print_json, print_result
from pixguard.cli.groups import OutputOptions
from pixguard.cli.options import command
from pixguard.cli.tables import local_time, print_rows
from pixguard.config.settings import Settings, setting
from pixguard.errors import PixguardError
from pixguard.words import command_line, printable

if TYPE_CHECKING:
    from pixguard.store.leftovers import Leftover

app = new_app("Look after the database: what is in it, is it sound, back it up, upgrade it.")


@dataclass(frozen=True, slots=True)
class InfoOptions(Settings):
    """What to show."""

    runs: int = setting(10, "Show that many of the last runs.", low=0, unit="runs")


@dataclass(frozen=True, slots=True)
class BackupOptions(Settings):
    """Where a copy goes."""

    out: Path | None = setting(
        None, "File to write. Default: beside the database, dated.", short="-o"
    )


@dataclass(frozen=True, slots=True)
class CheckOptions(Settings):
    """What to do with leftovers."""

    clean: bool = setting(False, "Remove what killed processes left beside the database.")


@app.command()
@command
def info(shown: InfoOptions, output: OutputOptions) -> None:
    """Show the schema, the number of rows in each table, and the last runs."""
    from pixguard.store import maintenance

    summary = dataclasses.asdict(maintenance.info(output.database))
    summary["runs"] = summary["runs"][: shown.runs]
    if output.json:
        print_json(summary)
        return
    last = summary.pop("runs")
    print_result(summary, as_json=False)
    rows = [
        {
            "run": run["id"],
            "started": local_time(run["started_ms"]),
            "status": run["status"],
            "where": f"{run['host']}:{run['pid']}",
            "command": run["command"],
            "error": run["error"],
        }
        for run in last
    ]
    print_rows(rows, "no runs")


@app.command()
@command
def check(tidying: CheckOptions, output: OutputOptions) -> None:
    """Check the file, its references, and what the results must fulfil; exit 1 on a fault.

    What killed processes left beside the database is listed, and removed with --clean.
    """
    from pixguard.store import leftovers, maintenance
    from pixguard.store.location import locate

    problems, place = maintenance.check(output.database), locate(output.database).name
    if not output.json:
        typer.echo(printable("\n".join(problems) or f"{place} is sound"))
    try:
        left = leftovers.find(output.database)
    except PixguardError:
        if not problems:
            raise
        left = None  # what is wrong has been told
    if left and not output.json:
        _tell_of(left, output.database, clean=tidying.clean)
    removed = leftovers.clean(output.database, left or ()) if tidying.clean else []
    if output.json:
        found = None if left is None else [dataclasses.asdict(leftover) for leftover in left]
        result = {"database": place, "problems": problems}
        print_json({**result, "leftovers": found, "removed": len(removed)})
    elif tidying.clean:
        typer.echo(f"removed: {len(removed)}")
    if problems:
        raise typer.Exit(PixguardError.exit_code)


def _tell_of(left: Sequence["Leftover"], database: str, *, clean: bool) -> None:
    """List what is of no more use, by what it was."""
    for what in dict.fromkeys(leftover.what for leftover in left):
        files = [leftover for leftover in left if leftover.what == what]
        size = sum(leftover.size_bytes for leftover in files) / 1e6
        typer.echo(f"{what}: {len(files)}, {size:.1f} MB")
        for leftover in files:
            typer.echo(printable(f"  {leftover.path}"))
    if not clean:
        again = command_line(["pixguard", "db", "check", "--clean", "--db", database])
        typer.echo(f"to remove these: {again}")


@app.command()
@command
def backup(where: BackupOptions, output: OutputOptions) -> None:
    """Copy the database to one compact file, even while it is written to."""
    from pixguard.store import maintenance

    target = maintenance.backup(output.database, where.out)
    print_result({"backup": str(target), "size_bytes": target.stat().st_size}, output.json)


@app.command()
@command
def upgrade(output: OutputOptions) -> None:
    """Bring the database to this pixguard's schema; a backup is made beside it first."""
    from pixguard.store import maintenance

    print_result(dataclasses.asdict(maintenance.upgrade(output.database)), output.json)


@app.command()
@command
def vacuum(output: OutputOptions) -> None:
    """Give unused space back to the disk."""
    from pixguard.store import maintenance

    before, after = maintenance.vacuum(output.database)
    print_result({"before_bytes": before, "after_bytes": after}, output.json)
