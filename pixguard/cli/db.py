"""``pixguard db``: look after the database."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from pixguard.cli.common import DatabaseOption, JsonOption, new_app, print_json, print_result
from pixguard.cli.tables import local_time, print_rows
from pixguard.errors import PixguardError

app = new_app("Look after the database: what is in it, is it sound, back it up, upgrade it.")


@app.command()
def info(
    runs: Annotated[int, typer.Option(min=0, help="Show so many of the last runs.")] = 10,
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Show the schema, the number of rows in each table, and the last runs."""
    from pixguard.store import maintenance

    summary = dataclasses.asdict(maintenance.info(db))
    summary["runs"] = summary["runs"][:runs]
    if json:
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
def check(db: DatabaseOption = "pixguard.db", json: JsonOption = False) -> None:
    """Check the file, its references, and what the results must fulfil; exit 1 on a fault."""
    from pixguard.store import maintenance

    problems = maintenance.check(db)
    if json:
        print_json({"database": db, "problems": problems})
    else:
        typer.echo("\n".join(problems) or f"{db} is sound")
    if problems:
        raise typer.Exit(PixguardError.exit_code)


@app.command()
def backup(
    to: Annotated[
        Path | None, typer.Option(help="File to write. Default: beside the database, dated.")
    ] = None,
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Copy the database to one compact file, even while it is written to."""
    from pixguard.store import maintenance

    target = maintenance.backup(db, to)
    print_result({"backup": str(target), "size_bytes": target.stat().st_size}, json)


@app.command()
def upgrade(db: DatabaseOption = "pixguard.db", json: JsonOption = False) -> None:
    """Bring the database to this pixguard's schema; a backup is made beside it first."""
    from pixguard.store import maintenance

    print_result(dataclasses.asdict(maintenance.upgrade(db)), json)


@app.command()
def vacuum(db: DatabaseOption = "pixguard.db", json: JsonOption = False) -> None:
    """Give unused space back to the disk."""
    from pixguard.store import maintenance

    before, after = maintenance.vacuum(db)
    print_result({"before_bytes": before, "after_bytes": after}, json)
