"""How a cell reads: digits by kind, denominators, intervals, and the paper's value."""

import math
from collections.abc import Sequence

from pixguard.reports.report_table import Cell, Column, Kind, ReportTable, Row

NOT_RUN = "not run"
EMPTY = "–"
NOT_IN_PAPER = "not in the paper"

_DIGITS = {"count": ".0f", "percent": ".2f", "decibel": ".2f", "score": ".4f", "error": ".3g"}


def clean(words: str) -> str:
    """Return words without line breaks and control characters, which could drive a terminal."""
    return "".join(c if c.isprintable() else " " for c in words)


def format_number(value: float, kind: Kind, *, sign: bool = False) -> str:
    """Return a number with the digits of its kind."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if kind == "text":
        return str(value)
    if kind == "quantity":
        digits = ".0f" if abs(value) >= 999.5 else ".3g"  # g alone would turn to an exponent
    else:
        digits = _DIGITS[kind]
    return format(value, ("+" if sign else "") + digits)


def cell_parts(cell: Cell, column: Column, *, published: bool) -> list[str]:
    """Return the parts of a cell, each of which reads on one line.

    They are the value, its denominator ``(n=40)``, what must be said of it, its interval
    ``(18.1–45.4)``; then the paper's value in parentheses and the difference with its sign.
    """
    return [
        *_measured(cell, column),
        *(_published(cell, column) if published and not column.is_text else []),
    ]


def _measured(cell: Cell, column: Column) -> list[str]:
    if cell.value is None:
        return [NOT_RUN if cell.not_run else clean(cell.note) or EMPTY]
    if isinstance(cell.value, str):
        return [clean(cell.value)]
    parts = [format_number(cell.value, column.kind)]
    if column.show_denominator and cell.denominator is not None:
        parts.append(f"(n={cell.denominator})")
    if cell.note:
        parts.append(f"({clean(cell.note)})")
    if cell.interval is not None:
        kind = column.kind
        ends = (format_number(x, kind) if kind == "quantity" else f"{x:.1f}" for x in cell.interval)
        parts.append(f"({'–'.join(ends)})")
    return parts


def _published(cell: Cell, column: Column) -> list[str]:
    if cell.published is None:
        return []
    parts = [f"({cell.published:.10g})"]
    if cell.difference is not None:
        parts.append(format_number(cell.difference, column.kind, sign=True))
    return parts


def sections(table: ReportTable) -> Sequence[tuple[str | None, tuple[Row, ...]]]:
    """Return the rows in one or two sections; a heading parts off what is not in the paper.

    A table of only one sort has one section without a heading: its title says what it shows.
    """
    ours = tuple(row for row in table.rows if row.in_paper)
    others = tuple(row for row in table.rows if not row.in_paper)
    if not (ours and others):
        return [(None, table.rows)]
    return [(None, ours), (NOT_IN_PAPER, others)]
