"""Results as data frames: ``pixguard.results.load("pixguard.db")["attempts"]``."""

from collections.abc import Sequence
from typing import Any

from pixguard.registry import unknown
from pixguard.store.engine import reading
from pixguard.store.exports import Export, exports, snapshot


def load(database: str, *names: str) -> dict[str, Any]:
    """Return tables of a database by name, all of one moment, also beside a running attack.

    Args:
        database: path of the SQLite file, or URL.
        names: ``attempts``, ``pixels``, ``restorations``, ``scores``, ``detections``,
            ``certificates``, ``predictions``, ``datasets``, ``classes``, ``models``, ``attacks``;
            by default all. They are the tables of ``pixguard db export``.

    Returns:
        Each a ``pandas.DataFrame`` where pandas is installed, whole numbers that may be missing
        as ``Int64``; else a list of dicts.

    Raises:
        UsageError: there is no such table.
        PixguardError: the database cannot be read, or is of another schema.
    """
    known = exports()
    for name in names:
        if name not in known:
            raise unknown("table", name, list(known))
    with reading(database) as engine, snapshot(engine) as connection:
        asked = {name: known[name] for name in names} or known
        return {
            name: _frame(export, [row for part in export.rows(connection) for row in part])
            for name, export in asked.items()
        }


def _frame(export: Export, rows: Sequence[tuple[Any, ...]]) -> Any:
    names = [column.name for column in export.columns]
    try:
        import pandas
    except ImportError:
        return [dict(zip(names, row, strict=True)) for row in rows]
    frame = pandas.DataFrame.from_records(rows, columns=names)
    kinds = {"integer": "int64", "number": "float64", "text": "object"}
    wanted = {
        column.name: "Int64"
        if column.kind == "integer" and column.may_be_null
        else kinds[column.kind]
        for column in export.columns
    }
    return frame.astype(wanted)
