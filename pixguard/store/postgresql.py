"""What PostgreSQL needs that SQLite does not: sessions, locks, plain numbers, and its errors.

Several machines may write at a time. Each transaction that writes waits for those before it, as
``BEGIN IMMEDIATE`` does on SQLite, so that what is registered once is registered once; a run holds
a lock of its own, by which others see that it is at work.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, Text, create_engine, event, text
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.ext.compiler import compiles

from pixguard.errors import DatabaseBusyError, PixguardError, SchemaMismatchError, UsageError
from pixguard.store.location import Location
from pixguard.words import shell_word

DRIVER = "postgresql+psycopg"
CONNECT_TIMEOUT_S = 10
WRITING, RUNNING = 0x70697867_77726974, 0x70697867
"""Advisory locks: of a transaction that writes, and of a run, whose second half is its id."""


@compiles(Text, "postgresql")
def _in_the_order_of_bytes(type_: Text, compiler: Any, **_options: Any) -> str:
    """Columns of text are sorted as SQLite sorts them, not as the server's language does."""
    return 'TEXT COLLATE "C"'


def connect(location: Location, *, writable: bool, busy_timeout_ms: int) -> Engine:
    """Return an engine on a server's database; one that only reads can change nothing.

    Raises:
        UsageError: the driver is not installed.
    """
    assert location.url is not None
    try:
        engine = create_engine(
            location.url,
            # A server that was started anew meanwhile is no reason to stop.
            pool_pre_ping=True,
            # Several questions within one transaction are answered from one moment.
            isolation_level="READ COMMITTED" if writable else "REPEATABLE READ",
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UsageError(
            f"no driver for {location.name}: {error}", "pip install 'pixguard[postgres]'"
        ) from error

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.adapters.register_loader("numeric", _PlainNumber)
        settings = [f"lock_timeout = {busy_timeout_ms}", "application_name = 'pixguard'"]
        if not writable:
            settings.append("default_transaction_read_only = on")
        for setting in settings:
            connection.execute(f"SET {setting}")
        connection.commit()

    if writable:

        @event.listens_for(engine, "begin")
        def _on_begin(connection: Connection) -> None:
            if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITING})

    return engine


class _PlainNumber:
    """Reads sums and means as SQLite gives them: int or float, never Decimal (psycopg's Loader)."""

    format = 0  # of text

    def __init__(self, oid: int, context: object = None) -> None:
        pass

    def load(self, data: bytes) -> int | float:
        """Return the number that the server wrote."""
        word = bytes(data)
        return int(word) if word.lstrip(b"-").isdigit() else float(word)


def hold_run(engine: Engine, run_id: int) -> Callable[[], None]:
    """Show others that a run is at work, until the process ends or the result is called."""
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    keys = {"kind": RUNNING, "run": run_id}
    connection.execute(text("SELECT pg_advisory_lock(:kind, :run)"), keys)

    def let_go() -> None:
        connection.invalidate()  # the lock is the session's, which a pool would keep
        connection.close()

    return let_go


def running(connection: Connection) -> set[int]:
    """Return the ids of the runs that are at work now."""
    query = """
        SELECT l.objid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND l.classid = :kind AND l.objsubid = 2
          AND d.datname = current_database()
    """
    return set(map(int, connection.scalars(text(query), {"kind": RUNNING})))


def size_bytes(connection: Connection) -> int:
    """Return the size of the connection's database."""
    return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def from_driver(error: Exception, location: Location) -> PixguardError:
    """Return the user's error for one of the driver's; the reason is in its SQLSTATE or its text.

    None of them holds a password: neither the server nor its library repeats one.
    """
    name, lines = location.name, str(error).strip().splitlines() or [type(error).__name__]
    state, said = getattr(error, "sqlstate", None) or "", lines[-1].strip()
    url = location.url
    database = "" if url is None or url.database is None else shell_word(url.database)
    if state in ("42P01", "42703"):
        return SchemaMismatchError(
            f"{name} lacks something that this pixguard reads ({lines[0]})",
            f"pixguard db check --db {shell_word(name)}",
        )
    if state in ("55P03", "40P01"):
        return DatabaseBusyError(
            f"{name} is locked: another program kept it busy for 30 seconds ({lines[0]})",
            "psql -c 'SELECT * FROM pg_stat_activity' shows who holds it; then run it again",
        )
    if state == "53100":
        return PixguardError(
            f"no space left on the disk of {name}; everything committed so far is safe",
            "free some space there, then run the same command again (an attack with `resume=True`)",
        )
    if state in ("42501", "25006"):
        return PixguardError(
            f"{name} cannot be written ({lines[0]})",
            f"GRANT CREATE, USAGE ON SCHEMA public TO ... in database {database}, as its owner",
        )
    if state == "3D000" or ("does not exist" in said and "database" in said):
        return PixguardError(f"{name}: {said}", f"createdb {database}, as one who may")
    if state.startswith("28") or "password" in said:
        return PixguardError(
            f"{name} does not let you in: {said}",
            "put the password into ~/.pgpass (chmod 600), as HOST:PORT:DATABASE:USER:PASSWORD, or "
            "into the environment as PGPASSWORD",
        )
    if state.startswith(("57P", "08")) or type(error).__name__ == "OperationalError":
        return PixguardError(
            f"{name} cannot be reached, or the connection was lost ({said}); everything committed "
            "so far is safe",
            "pg_isready tells if the server is up; then run the same command again (an attack with "
            "`resume=True`)",
        )
    return PixguardError(f"{name}: {lines[0]}")
