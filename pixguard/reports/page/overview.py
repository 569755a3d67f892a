"""What a database holds, as tables: datasets, classifiers, denoisers, runs, environments."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.request import rate_cell

if TYPE_CHECKING:
    from sqlalchemy import Engine

RUNS_SHOWN = 200
LONG_TABLES = ("environments", "runs")
"""Those that the page shows on demand."""

_DATA = (Column("dataset"), Column("source"), Column("size", "count"))


def overview_tables(engine: "Engine") -> list[ReportTable]:
    """Return the tables of the overview; those without a row are left out."""
    tables = [
        _table(engine, "datasets", "Datasets", _DATASETS, _dataset),
        _table(
            engine,
            "classifiers",
            "Classifiers",
            _CLASSIFIERS,
            _classifier,
            ("Attempts of every attack, number of pixels, seed and defence together.",),
        ),
        _table(
            engine,
            "denoisers",
            "Denoisers",
            _DENOISERS,
            _denoiser,
            ("Restored: successfully attacked images, of every classifier and attack together.",),
        ),
        _table(engine, "environments", "Environments", _ENVIRONMENTS, _environment),
        _table(engine, "runs", "Runs", _RUNS, _run, (f"The newest {RUNS_SHOWN} at most.",)),
    ]
    return [table for table in tables if table.rows]


def held_counts(engine: "Engine") -> dict[str, int]:
    """Return how much of everything there is, by its name in the plural."""
    (row,) = fetch(engine, make_query("page_counts"))
    return {name.replace("_", " "): int(number) for name, number in row.items()}


def phantom_datasets(engine: "Engine") -> list[str]:
    """Return the names of the datasets that are procedural drawings."""
    rows = fetch(engine, make_query("page_datasets"))
    return sorted({row["dataset"] for row in rows if row["source"] == SYNTHETIC_SOURCE})


def _table(
    engine: "Engine",
    name: str,
    title: str,
    columns: Sequence[Column],
    row: Callable[[RowValues], tuple[Cell, ...]],
    notes: tuple[str, ...] = (),
) -> ReportTable:
    query = make_query(f"page_{name}", **({"limit": RUNS_SHOWN} if name == "runs" else {}))
    rows = tuple(Row(row(values)) for values in fetch(engine, query))
    return ReportTable(name, title, tuple(columns), rows, notes=notes, queries=(query,))


_DATASETS = (
    *_DATA,
    Column("task"),
    Column("classes", "count"),
    Column("images", "count"),
    Column("version"),
    Column("licence"),
)


def _dataset(row: RowValues) -> tuple[Cell, ...]:
    return (
        *_data(row),
        Cell(row["task"]),
        Cell(row["classes"]),
        Cell(row["images"]),
        Cell(row["version"]),
        Cell(row["licence"] or None),
    )


_CLASSIFIERS = (
    Column("classifier"),
    *_DATA,
    Column("epochs", "count"),
    Column("test accuracy %", "percent", show_denominator=True),
    Column("attempts", "count"),
    Column("fooled %", "percent"),
)


def _classifier(row: RowValues) -> tuple[Cell, ...]:
    return (
        Cell(f"{row['architecture']} #{row['id']}"),
        *_data(row),
        Cell(row["epochs"]),
        rate_cell(int(row["right_count"]), int(row["judged"]), None),
        Cell(row["attempts"]),
        rate_cell(int(row["successes"]), int(row["attempts"]), None),
    )


_DENOISERS = (
    Column("denoiser"),
    *_DATA,
    Column("epochs", "count"),
    Column("restored", "count"),
    Column("recovered %", "percent"),
)


def _denoiser(row: RowValues) -> tuple[Cell, ...]:
    return (
        Cell(f"{row['architecture']} #{row['id']}"),
        *_data(row),
        Cell(row["epochs"]),
        Cell(row["restored"]),
        rate_cell(int(row["recovered"]), int(row["restored"]), None),
    )


_ENVIRONMENTS = (
    Column("environment"),
    Column("pixguard"),
    Column("commit"),
    Column("Python"),
    Column("torch"),
    Column("CPU"),
    Column("threads", "count"),
    Column("memory MiB", "count"),
    Column("GPU"),
    Column("runs", "count"),
)


def _environment(row: RowValues) -> tuple[Cell, ...]:
    return (
        Cell(f"#{row['id']}"),
        Cell(row["pixguard"]),
        Cell((row["commit_sha"] or "")[:10] or None),
        Cell(row["python"]),
        Cell(row["torch"]),
        Cell(row["cpu"]),
        Cell(row["threads"]),
        Cell(row["memory_mib"]),
        Cell(row["gpu"]),
        Cell(row["runs"]),
    )


_RUNS = (
    Column("run"),
    Column("began (UTC)"),
    Column("status"),
    Column("host"),
    Column("environment"),
    Column("command"),
)


def _run(row: RowValues) -> tuple[Cell, ...]:
    began = datetime.fromtimestamp(row["started_ms"] / 1000, UTC)
    return (
        Cell(f"#{row['id']}"),
        Cell(f"{began:%Y-%m-%d %H:%M}"),
        Cell(row["status"]),
        Cell(row["host"]),
        Cell(f"#{row['environment']}"),
        Cell(row["command"]),
    )


def _data(row: RowValues) -> tuple[Cell, ...]:
    # At native size every image has its own; the database says 0.
    size = Cell(row["size"]) if row["size"] else Cell(None, note="native")
    return Cell(row["dataset"]), Cell(row["source"]), size
