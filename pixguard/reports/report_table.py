"""A table as data: what a builder fills in and every output format renders."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["text", "count", "percent", "decibel", "score", "error", "quantity"]
"""Percent is 0 to 100; score is 0 to 1, or near; error is small and of any magnitude,
and so is a quantity, which is told by three digits, or more where it is a thousand and more."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: heading, with the unit; programs know the column by the :attr:`key` of it.
        kind: what its values are; decides digits and alignment.
        show_denominator: say in the cell what the figure was taken over, because no other
            column of the table says it.
        is_label: the figures tell rows apart, and are not measured.
    """

    name: str
    kind: Kind = "text"
    show_denominator: bool = False
    is_label: bool = False

    @property
    def key(self) -> str:
        """The name in JSON: ``success rate %`` is ``success_rate_percent``."""
        words = self.name.casefold().replace("%", " percent ").replace("/", " per ")
        return "_".join(re.findall(r"[a-z0-9]+", words)) or "name"

    @property
    def is_text(self) -> bool:
        """Whether the values are words."""
        return self.kind == "text"


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure or a word with what must be known to read it.

    Attributes:
        value: machine value; None where there is none, and ``inf`` where it is infinite.
        denominator: how many images (or attempts) the figure was taken over.
        interval: 95 % Wilson interval, in the unit of the value.
        published: the paper's value in the same place.
        note: what else must be said, in a few words.
        not_run: the command that would fill the cell; None where there is nothing to run.
    """

    value: int | float | str | None
    denominator: int | None = None
    interval: tuple[float, float] | None = None
    published: int | float | None = None
    note: str = ""
    not_run: str | None = None

    @property
    def difference(self) -> int | float | None:
        """Measured minus published, or None where one is missing."""
        if self.published is None or not isinstance(self.value, int | float):
            return None
        return self.value - self.published


@dataclass(frozen=True, slots=True)
class Row:
    """A row; ``in_paper`` tells whether it stands for a row that the paper prints."""

    cells: tuple[Cell, ...]
    in_paper: bool = True


@dataclass(frozen=True, slots=True)
class Query:
    """A query of :mod:`pixguard.store.queries` with the values bound to its parameters."""

    name: str
    sql: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A finished table.

    Attributes:
        number: the paper's number, or a name for a table that the paper lacks.
        title: what it shows; says so where it shows other data than the paper's.
        columns: as many as every row has cells.
        caption: one line for each set of data in it: dataset, source, size, classifier, attack.
        notes: definitions, remarks, and what would fill the gaps.
        queries: what was asked of the database, in order.
        origin: what it comes from, where that is no query.
        published: whether the paper's values stand beside the measured ones.
        selection: what attempts were selected by: attack, seed, pixels; empty: all.
        datasets: those that its figures are of, or would be.
        is_own: the rows are a user's own query: data formats hold them alone, by its names.
    """

    number: int | str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()
    origin: str = ""
    published: bool = False
    selection: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    is_own: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.number}: a row has {len(row.cells)} cells")

    @property
    def heading(self) -> str:
        """``Table 32. Adversarial Images ...``; the title alone for a table without a number."""
        return f"Table {self.number}. {self.title}" if isinstance(self.number, int) else self.title

    @property
    def has_data(self) -> bool:
        """Whether a cell holds something measured."""
        return any(
            cell.value is not None
            for row in self.rows
            for cell, column in zip(row.cells, self.columns, strict=True)
            if not column.is_text and not column.is_label
        )

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that would fill the cells that were not run, each once."""
        found = (cell.not_run for row in self.rows for cell in row.cells)
        return tuple(dict.fromkeys(command for command in found if command))


def with_commands(table: ReportTable, changed: Callable[[str], str]) -> ReportTable:
    """Return a table whose commands, in cells and notes, are changed."""

    def cell(old: Cell) -> Cell:
        return replace(old, not_run=changed(old.not_run)) if old.not_run else old

    rows = tuple(replace(row, cells=tuple(map(cell, row.cells))) for row in table.rows)
    return replace(table, rows=rows, notes=tuple(map(changed, table.notes)))
