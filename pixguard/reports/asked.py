"""A user's own query as a table, for every format that reports have."""

from collections.abc import Sequence
from typing import Any

from pixguard.errors import UsageError
from pixguard.reports.report_table import Cell, Column, Query, ReportTable, Row


def asked_table(sql: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> ReportTable:
    """Return the rows of a query as a table; numbers are told as they are.

    Raises:
        UsageError: two columns have the same name.
    """
    for name in names:
        if list(names).count(name) > 1:
            raise UsageError(f"two columns are called {name!r}", f"{name} AS another_name")
    found = (Row(tuple(Cell(_plain(value)) for value in row), in_paper=False) for row in rows)
    return ReportTable(
        "query",
        f"{len(rows):,} row{'' if len(rows) == 1 else 's'}",
        tuple(map(Column, names)),
        tuple(found),
        queries=(Query("query", sql, {}),),
        is_own=True,
    )


def _plain(value: Any) -> int | float | str | None:
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, int | float | str):
        return value
    return float(value) if hasattr(value, "as_tuple") else str(value)  # a server's decimal
