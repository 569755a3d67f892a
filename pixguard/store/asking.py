"""A user's own SQL, which may read and do nothing else."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from pixguard.errors import UsageError

_READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_LOOK_EVERY = 1_000_000
"""Steps of SQLite's machine between two moments at which Ctrl-C is heard."""


def ask(engine: Engine, sql: str) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    """Return the names of the columns and the rows of a query.

    A file is open for reading alone, and SQLite asks before every step whether it may: no ATTACH,
    no PRAGMA, no write to a temporary table. On a server the transaction is READ ONLY.

    Raises:
        UsageError: it is no query, does more than read, or is wrong.
    """
    if engine.dialect.name == "sqlite":
        return _ask_sqlite(engine, sql)
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        connection.execute(text("SELECT 1"))  # begins the transaction
        cursor: Any = connection.connection.cursor()
        # As a prepared statement, which is a single one: no COMMIT that ends the transaction.
        prepared = {"prepare": True} if engine.dialect.driver == "psycopg" else {}
        try:
            cursor.execute(sql, **prepared)
            return _told(cursor), cursor.fetchall()
        except engine.dialect.loaded_dbapi.Error as error:
            raise UsageError(f"the query cannot be answered: {error}", _HINT) from error


def _told(cursor: Any) -> list[str]:
    """Return the names of a query's columns."""
    if cursor.description is None:
        raise UsageError("that is no query: it has no rows", _HINT)
    return [column[0] for column in cursor.description]


_HINT = 'one SELECT, such as pixguard db query "SELECT * FROM attempt_details LIMIT 5"'


def _ask_sqlite(engine: Engine, sql: str) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    refused: list[bool] = []

    def may(action: int, *what: str | None) -> int:
        if action in _READS:
            return sqlite3.SQLITE_OK
        refused.append(True)
        return sqlite3.SQLITE_DENY

    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_authorizer(may)
        raw.set_progress_handler(lambda: 0, _LOOK_EVERY)
        try:
            cursor = raw.execute(sql)
            return _told(cursor), cursor.fetchall()
        except sqlite3.Error as error:
            if refused:
                raise UsageError(
                    "the query does more than read, which it may not", _HINT
                ) from error
            if isinstance(error, sqlite3.DatabaseError) and "interrupted" in str(error):
                raise KeyboardInterrupt from error
            raise UsageError(f"the query cannot be answered: {error}", _HINT) from error
        finally:
            raw.set_progress_handler(None, 0)
            raw.set_authorizer(None)
