"""Opens a database: checks where it lies, sets what durability needs, and checks its schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from pixguard.errors import PixguardError
from pixguard.store import postgresql, schema
from pixguard.store.errors import damaged, from_os, translate_errors
from pixguard.store.location import (
    Location,
    beginning,
    file_url,
    is_wal,
    locate,
    read_only_url,
    refuse_network,
)
from pixguard.words import shell_word

BUSY_TIMEOUT_MS = 30_000


def open_engine(database: str, *, create: bool = False, writable: bool = False) -> Engine:
    """Open a database whose schema is this pixguard's.

    Args:
        database: path of an SQLite file, or an SQLAlchemy URL.
        create: make the file, or fill an empty one; implies ``writable``.
        writable: open for writing; every transaction then begins IMMEDIATE. Whoever writes
            results goes through :class:`pixguard.store.writer.Writer`, which also takes the lock.

    Raises:
        SchemaMismatchError: the schema is older, newer or not pixguard's.
        DatabaseBusyError: it stayed locked for 30 seconds.
        PixguardError: the file is missing, empty, damaged, not a database, not accessible, or
            on a network file system.
    """
    location = locate(database)
    engine = connect(location, create=create, writable=writable or create)
    try:
        if create:
            schema.migrate(engine, only_if_empty=True)
        with engine.connect() as connection:
            schema.require_current(schema.revision(connection), location)
    except BaseException:
        engine.dispose()
        raise
    return engine


def connect(location: Location, *, create: bool = False, writable: bool = False) -> Engine:
    """Open a database without a look at its schema; errors are those of :func:`open_engine`."""
    if location.url is not None:
        engine = postgresql.connect(location, writable=writable, busy_timeout_ms=BUSY_TIMEOUT_MS)
        translate_errors(engine, location)
        return engine
    path = location.file
    check_place(location, create=create, writable=writable)
    if writable:
        url = file_url(path, mode="rwc" if create else "rw")
    else:
        url = read_only_url(path)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    translate_errors(engine, location)
    _configure(engine, writable=writable)
    return engine


def is_there(database: str) -> bool:
    """Say whether there is a database to read: a file, or tables on a server."""
    location = locate(database)
    if location.path is not None:
        return location.path.exists()
    engine = connect(location)
    try:
        with engine.connect() as connection:
            return schema.revision(connection).state != "empty"
    finally:
        engine.dispose()


@contextmanager
def reading(database: str, *, create: bool = False, writable: bool = False) -> Iterator[Engine]:
    """Open a database as :func:`open_engine` does, and close it afterwards."""
    engine = open_engine(database, create=create, writable=writable)
    try:
        yield engine
    finally:
        engine.dispose()


def check_place(location: Location, *, create: bool = False, writable: bool = False) -> None:
    """Check that a database file is there, or can be, where SQLite works; see :func:`connect`."""
    path = location.file
    if not path.exists():
        if not create:
            raise PixguardError(
                f"there is no database at {location.name}",
                "create one with `pixguard train --dataset ...`, or name another file with "
                "`database=...`",
            )
        if not path.parent.is_dir():
            raise PixguardError(
                f"there is no folder {path.parent}", f"mkdir -p {shell_word(path.parent)}"
            )
    elif not path.is_file():
        raise PixguardError(
            f"{location.name} is not a file", f"name one: `database={path / 'pixguard.db'}`"
        )
    else:
        try:
            beginning(path, 1)
        except OSError as error:
            raise from_os(error, path) from error
    if writable or (path.exists() and is_wal(path)):
        refuse_network(path)


def refuse_damaged(engine: Engine, location: Location) -> None:
    """Refuse to write to a damaged file: it would only become worse. Takes a second a gigabyte.

    Raises:
        PixguardError: the file is damaged.
    """
    if location.path is None:
        return
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise damaged(location.name, str(found).splitlines()[-1])  # the first names the database


def _configure(engine: Engine, *, writable: bool) -> None:
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        # The driver would begin a deferred transaction by itself, and only before some statements.
        connection.isolation_level = None
        pragmas = [f"busy_timeout = {BUSY_TIMEOUT_MS}", "foreign_keys = ON"]
        if writable:
            pragmas += ["journal_mode = WAL", "synchronous = FULL"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get("sqlite_begin", begin)
        if statement is not None:
            connection.exec_driver_sql(statement)
