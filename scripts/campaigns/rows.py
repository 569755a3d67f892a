"""What a database says, apart from when, by whom and in which order it was written."""

import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

UNTOLD = frozenset(("run", "environment", "failure", "alembic_version", "sqlite_sequence"))
"""Tables that tell of processes, not of results."""
OF_THE_PROCESS = frozenset(
    "id run_id elapsed_ms seconds training_seconds created_ms finished_ms command location".split()
)
TOLERANCE = 1e-5
"""Of confidences: kernels differ in the last bits between batch sizes."""

Row = tuple[Any, ...]
Identity = tuple[Any, ...]


def read_only(database: Path) -> sqlite3.Connection:
    """Open a database of any name, and change nothing."""
    return sqlite3.connect(f"file:{quote(os.fsencode(database))}?mode=ro", uri=True)


def results(database: Path) -> dict[str, dict[Identity, list[tuple[float, ...]]]]:
    """Return the rows of each table: what identifies them -> their real numbers, a tuple a row.

    A reference counts as what the row that it points to is, so ids do not matter.
    """
    connection = read_only(database)
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = {name for (name,) in tables.fetchall()}
        reader = _Reader(connection)
        found: dict[str, dict[Identity, list[tuple[float, ...]]]] = {}
        for table in sorted(names - UNTOLD):
            rows = defaultdict(list)
            for identity, numbers in reader.rows(table).values():
                rows[identity].append(numbers)
            found[table] = {identity: sorted(each) for identity, each in rows.items()}
        return found
    finally:
        connection.close()


def differences(expected: Path, actual: Path, tables: Iterable[str] = ()) -> list[str]:
    """Return how two databases differ, a line each; none where they say the same.

    ``tables``: those that are compared; by default all that hold results.
    """
    one, other = results(expected), results(actual)
    told = [f"table {name} in one only" for name in one.keys() ^ other.keys()]
    for table in set(tables) or one.keys() & other.keys():
        mine, theirs = one[table], other[table]
        for words, more, less in (("is missing", mine, theirs), ("is too much", theirs, mine)):
            for identity, rows in more.items():
                surplus = len(rows) - len(less.get(identity, ()))
                if surplus > 0:
                    told.append(f"{table}: {surplus} row {words}: {str(identity)[:300]}")
        for identity in mine.keys() & theirs.keys():
            for a, b in zip(mine[identity], theirs[identity], strict=False):
                if any(not _close(x, y) for x, y in zip(a, b, strict=True)):
                    told.append(f"{table}: {a} became {b} in {str(identity)[:200]}")
    return told


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=TOLERANCE)


class _Reader:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._read: dict[str, dict[int, tuple[Identity, tuple[float, ...]]]] = {}

    def rows(self, table: str) -> dict[int, tuple[Identity, tuple[float, ...]]]:
        """Return id -> (identity, real numbers) of a table."""
        if table in self._read:
            return self._read[table]
        columns = [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")]
        references = {
            row[3]: self.rows(row[2])
            for row in self._connection.execute(f"PRAGMA foreign_key_list({table})")
            if row[2] not in UNTOLD
        }
        told = [c for c in columns if c not in OF_THE_PROCESS]
        found = {}
        for row in self._connection.execute(f"SELECT id, {', '.join(told)} FROM {table}"):
            values = dict(zip(told, row[1:], strict=True))
            for column, rows in references.items():
                if values[column] is not None:
                    values[column] = hash(rows[values[column]][0])
            numbers = tuple(v for v in values.values() if isinstance(v, float))
            identity = tuple(v for v in values.values() if not isinstance(v, float))
            found[row[0]] = identity, numbers
        self._read[table] = found
        return found


def count(database: Path, tables: Iterable[str] = ("attempt", "restoration", "score")) -> int:
    """Return how many results a database holds; 0 where there is none yet, or it is being made."""
    if not database.exists():
        return 0
    connection = read_only(database)
    try:
        return sum(connection.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in tables)
    except sqlite3.OperationalError:  # no tables yet
        return 0
    finally:
        connection.close()
