"""What a database holds, as tables: datasets, classifiers, denoisers, runs, environments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.request import changed_cell, rate_cell

if TYPE_CHECKING:
    from sqlalchemy import Engine

RUNS_SHOWN = 200
LONG_TABLES = ("environments", "runs")
"""Those that the page shows on demand."""

Source = str | Callable[[RowValues], Cell]
"""Where a cell comes from: a column of the query, or its row."""


@dataclass(frozen=True, slots=True)
class _Overview:
    """A table of the overview; the query ``page_<name>`` fills it."""

    name: str
    columns: tuple[tuple[Column, Source], ...]
    notes: tuple[str, ...] = ()

    def table(self, engine: "Engine") -> ReportTable:
        parameters = {"limit": RUNS_SHOWN} if self.name == "runs" else {}
        query = make_query(f"page_{self.name}", **parameters)
        rows = tuple(
            Row(tuple(_cell(source, values) for _, source in self.columns))
            for values in fetch(engine, query)
        )
        columns = tuple(column for column, _ in self.columns)
        title = self.name.replace("_", " ").capitalize()
        return ReportTable(self.name, title, columns, rows, notes=self.notes, queries=(query,))


def overview_tables(engine: "Engine") -> list[ReportTable]:
    """Return the tables of the overview; those without a row are left out."""
    tables = (overview.table(engine) for overview in _OVERVIEWS)
    return [table for table in tables if table.rows]


def held_counts(engine: "Engine") -> dict[str, int]:
    """Return how much of everything there is, by its name in the plural."""
    (row,) = fetch(engine, make_query("page_counts"))
    return {name.replace("_", " "): int(number) for name, number in row.items()}


def phantom_datasets(engine: "Engine") -> list[str]:
    """Return the names of the datasets that are procedural drawings."""
    rows = fetch(engine, make_query("page_datasets"))
    return sorted({row["dataset"] for row in rows if row["source"] == SYNTHETIC_SOURCE})


def _cell(source: Source, row: RowValues) -> Cell:
    return Cell(row[source]) if isinstance(source, str) else source(row)


def _size(row: RowValues) -> Cell:
    # At native size every image has its own; the database says 0.
    return Cell(row["size"]) if row["size"] else Cell(None, note="native")


def _model(row: RowValues) -> Cell:
    return Cell(f"{row['architecture']} #{row['id']}")


def _number(row: RowValues) -> Cell:
    return Cell(f"#{row['id']}")


def _rate(successes: str, trials: str) -> Source:
    return lambda row: rate_cell(int(row[successes]), int(row[trials]), None)


def _or(otherwise: str, name: str) -> Source:
    return lambda row: Cell(row[name] or otherwise)


def _command(row: RowValues) -> Cell:
    # Its name alone: what follows may be paths of a computer, and a page is made to be sent.
    return Cell(" ".join(str(row["command"]).split(maxsplit=2)[:2]))


def _began(row: RowValues) -> Cell:
    began = datetime.fromtimestamp(row["started_ms"] / 1000, UTC)
    return Cell(f"{began:%Y-%m-%d %H:%M}")


_DATA: tuple[tuple[Column, Source], ...] = (
    (Column("dataset"), "dataset"),
    (Column("source"), "source"),
    (Column("size", "count"), _size),
)
_OVERVIEWS = (
    _Overview(
        "datasets",
        (
            *_DATA,
            (Column("task"), "task"),
            (Column("classes", "count"), "classes"),
            (Column("images", "count"), "images"),
            (Column("version"), "version"),
            (Column("licence"), lambda row: Cell(row["licence"] or None)),
        ),
    ),
    _Overview(
        "classifiers",
        (
            (Column("classifier"), _model),
            *_DATA,
            (Column("epochs", "count"), "epochs"),
            (
                Column("test accuracy %", "percent", show_denominator=True),
                _rate("right_count", "judged"),
            ),
            (Column("attempts", "count"), "attempts"),
        ),
    ),
    _Overview(
        "attack_runs",
        (
            (Column("classifier"), _model),
            *_DATA,
            (Column("attack"), "attack"),
            (Column("pixels", "count", is_label=True), lambda row: changed_cell(row["pixels"])),
            (Column("target"), _or("none", "target")),
            (Column("through"), _or("none", "through")),
            (Column("seed", "count", is_label=True), "seed"),
            (Column("attempts", "count"), "attempts"),
            (Column("fooled %", "percent"), _rate("successes", "attempts")),
        ),
        (
            "One attack, target, defence and seed a row, one attempt an image; of an unfinished "
            "plan its finished beginning.",
        ),
    ),
    _Overview(
        "denoisers",
        (
            (Column("denoiser"), _model),
            *_DATA,
            (Column("epochs", "count"), "epochs"),
            (Column("restored", "count"), "restored"),
        ),
        ("Restored: successfully attacked images, of every classifier and attack together.",),
    ),
    _Overview(
        "environments",
        (
            (Column("environment"), _number),
            (Column("pixguard"), "pixguard"),
            (Column("commit"), lambda row: Cell((row["commit_sha"] or "")[:10] or None)),
            (Column("Python"), "python"),
            (Column("torch"), "torch"),
            (Column("CPU"), "cpu"),
            (Column("threads", "count"), "threads"),
            (Column("memory MiB", "count"), "memory_mib"),
            (Column("GPU"), "gpu"),
            (Column("runs", "count"), "runs"),
        ),
    ),
    _Overview(
        "runs",
        (
            (Column("run"), _number),
            (Column("began (UTC)"), _began),
            (Column("status"), "status"),
            (Column("environment"), lambda row: Cell(f"#{row['environment']}")),
            (Column("command"), _command),
        ),
        (f"The newest {RUNS_SHOWN} at most; `pixguard db info` tells their hosts and options.",),
    ),
)
