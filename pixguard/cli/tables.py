"""Rows on stdout, as a table for people."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pixguard.words import printable

UNBROKEN = 10_000
"""Columns: wider than any row."""


def print_rows(rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
    """Print rows of equal keys; ``nothing`` is what to say where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width: every row stays on one line there.
    console = Console(width=None if sys.stdout.isatty() else UNBROKEN)
    if not rows:
        console.print(nothing, markup=False, highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for key, value in rows[0].items():
        number = isinstance(value, int | float)
        table.add_column(
            key.replace("_", " "), justify="right" if number else "left", overflow="fold"
        )
    for row in rows:
        cells = ("" if value is None else printable(str(value)) for value in row.values())
        table.add_row(*map(Text, cells))
    console.print(table)


def local_time(milliseconds: int) -> str:
    """Return a stored time as the user's clock shows it, to the minute."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")
