"""Tables as CSV: machine values, one column a fact."""

import csv
import io
import re
from collections.abc import Iterator

from pixguard.reports.formats.text import NOT_RUN
from pixguard.reports.report_table import Cell, Column, ReportTable
from pixguard.words import printable

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How text begins that a spreadsheet computes: the names of datasets and classes are anybody's."""
_NUMBER = re.compile(r"[+-][\d.]+( ?%)?")


def render_csv(table: ReportTable) -> str:
    """Return a header and a line for each row.

    The first columns say which table it is and whether the row is one of the paper's, and then by
    what its attempts were selected, if by anything: ``selected seed``. A figure
    has further columns: ``NAME n`` (denominator), ``NAME low`` and ``NAME high`` (95 % interval),
    ``NAME paper`` and ``NAME difference``, ``NAME note``; each only where a row of the table has
    one. A cell without a value is empty, and its note says ``not run``, or why. Text that a
    spreadsheet would take for a formula has a ``'`` before it; numbers never have.
    """
    facts = [_facts(table, position) for position in range(len(table.columns))]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = [_heading(c, fact) for c, own in zip(table.columns, facts, strict=True) for fact in own]
    chosen = {f"selected {name}": _words(value) for name, value in table.selection.items()}
    lead = [] if table.is_own else ["table", "in paper"]
    writer.writerow([*lead, *chosen, *map(_safe, heads)])
    for row in table.rows:
        values = [
            _fact(cell, fact) for cell, own in zip(row.cells, facts, strict=True) for fact in own
        ]
        in_paper = "yes" if row.in_paper else "no"
        told = [] if table.is_own else [table.number, in_paper]
        writer.writerow([*told, *chosen.values(), *values])
    return stream.getvalue()


def _words(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _facts(table: ReportTable, position: int) -> list[str]:
    cells = [row.cells[position] for row in table.rows]
    return [
        "value",
        *(fact for fact in _further(table) if any(_fact(c, fact) != "" for c in cells)),
    ]


def _further(table: ReportTable) -> Iterator[str]:
    yield from ("n", "low", "high")
    if table.published:
        yield from ("paper", "difference")
    yield "note"


def _heading(column: Column, fact: str) -> str:
    return column.name if fact == "value" else f"{column.name} {fact}"


def _fact(cell: Cell, fact: str) -> int | float | str:
    note = NOT_RUN if cell.not_run else cell.note
    value = {
        "value": cell.value,
        "n": cell.denominator,
        "low": cell.interval and cell.interval[0],
        "high": cell.interval and cell.interval[1],
        "paper": cell.published,
        "difference": cell.difference,
        "note": note,
    }[fact]
    return _safe(value) if isinstance(value, str) else "" if value is None else value


def _safe(words: str) -> str:
    computed = words.startswith(FORMULAS) and not _NUMBER.fullmatch(words)
    return printable(f"'{words}" if computed else words)
