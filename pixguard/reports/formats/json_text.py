"""Tables as JSON: everything that a table holds, its rows as objects."""

import json
import math
from collections.abc import Sequence
from typing import Any

from pixguard.reports.report_table import Cell, Column, ReportTable
from pixguard.words import printable_json

FACTS = ("n", "low", "high", "paper", "difference", "note", "not_run")
"""What may be said of a figure: its denominator, the bounds of its interval, the paper's figure and
the difference from it, a remark, and the command that would fill the cell."""


def json_value(table: ReportTable) -> dict[str, Any]:
    """Return a table as JSON values; infinity, which JSON lacks, is the string ``"inf"``.

    A row maps the keys of the columns to values. ``KEY_n`` and so on (:data:`FACTS`) stand beside
    ``KEY`` where a row of the table has such a fact, and are null in its other rows.
    """
    facts = [_facts(table, position) for position in range(len(table.columns))]
    return {
        "name": table.number,
        "title": table.title,
        "selection": dict(table.selection),
        "datasets": list(table.datasets),
        "columns": [{"name": c.key, "heading": c.name, "kind": c.kind} for c in table.columns],
        "rows": [
            {"in_paper": row.in_paper, **_row(table.columns, row.cells, facts)}
            if not table.is_own
            else {c.name: _number(v.value) for c, v in zip(table.columns, row.cells, strict=True)}
            for row in table.rows
        ],
        "caption": list(table.caption),
        "notes": list(table.notes),
        "queries": [
            {"name": q.name, "sql": q.sql, "parameters": dict(q.parameters)} for q in table.queries
        ],
    }


def render_json(tables: Sequence[ReportTable]) -> str:
    """Return one object, ``{"tables": [...]}``, for one table and for several."""
    value = {"tables": [json_value(table) for table in tables]}
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def _row(
    columns: Sequence[Column], cells: Sequence[Cell], facts: Sequence[Sequence[str]]
) -> dict[str, Any]:
    values = {}
    for column, cell, own in zip(columns, cells, facts, strict=True):
        values[column.key] = _number(cell.value)
        values |= {f"{column.key}_{fact}": _fact(cell, fact) for fact in own}
    return values


def _facts(table: ReportTable, position: int) -> list[str]:
    hidden = () if table.published else ("paper", "difference")
    cells = [row.cells[position] for row in table.rows]
    return [
        fact
        for fact in FACTS
        if fact not in hidden and any(_fact(cell, fact) is not None for cell in cells)
    ]


def _fact(cell: Cell, fact: str) -> int | float | str | None:
    low, high = cell.interval or (None, None)
    return {
        "n": cell.denominator,
        "low": low,
        "high": high,
        "paper": cell.published,
        "difference": _number(cell.difference),
        "note": cell.note or None,
        "not_run": cell.not_run,
    }[fact]


def _number(value: int | float | str | None) -> int | float | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
