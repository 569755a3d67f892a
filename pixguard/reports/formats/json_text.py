"""Tables as JSON: everything that a table holds."""

import json
import math
from typing import Any

from pixguard.reports.report_table import Cell, ReportTable


def json_value(table: ReportTable) -> dict[str, Any]:
    """Return a table as JSON values; infinity, which JSON lacks, is the string ``"inf"``."""
    return {
        "table": table.number,
        "title": table.title,
        **({"selection": dict(table.selection)} if table.selection else {}),
        "columns": [{"name": c.name, "kind": c.kind} for c in table.columns],
        "rows": [
            {
                "in_paper": row.in_paper,
                "cells": [_cell_value(cell, table.published) for cell in row.cells],
            }
            for row in table.rows
        ],
        "caption": list(table.caption),
        "notes": list(table.notes),
        "queries": [
            {"name": q.name, "sql": q.sql, "parameters": dict(q.parameters)} for q in table.queries
        ],
    }


def render_json(tables: list[ReportTable]) -> str:
    """Return one table as an object, several as an array."""
    values = [json_value(table) for table in tables]
    value = values[0] if len(values) == 1 else values
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cell_value(cell: Cell, published: bool) -> dict[str, Any]:
    value: dict[str, Any] = {"value": _number(cell.value)}
    if cell.denominator is not None:
        value["n"] = cell.denominator
    if cell.interval is not None:
        value["interval"] = list(cell.interval)
    if published and cell.published is not None:
        value["published"] = cell.published
        value["difference"] = _number(cell.difference)
    if cell.note:
        value["note"] = cell.note
    if cell.not_run is not None:
        value["not_run"] = cell.not_run
    return value


def _number(value: int | float | str | None) -> int | float | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
