"""Looking after a database file: upgrade, backup, information, check, vacuum."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import CheckConstraint, Connection, Engine, func, inspect, select, text

from pixguard.errors import DatabaseBusyError, PixguardError
from pixguard.files import publish, temporary_folder
from pixguard.store import postgresql, schema
from pixguard.store.engine import check_place, connect
from pixguard.store.location import WEIGHTS, Location, file_url, files_folder, locate
from pixguard.store.lock import WriterLock, is_locked
from pixguard.store.postgresql import running
from pixguard.store.tables import Base


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run; ``status`` is ``killed`` where it neither ended nor goes on."""

    id: int
    command: str
    status: str
    host: str
    pid: int
    started_ms: int
    heartbeat_ms: int
    finished_ms: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DatabaseSummary:
    """What is in a database. ``schema_state`` is current, older, newer, unknown or empty."""

    database: str
    size_bytes: int
    schema_revision: str | None
    schema_newest: str
    schema_state: schema.State
    being_written: bool
    rows: dict[str, int]
    runs: list[RunSummary]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did; ``backup`` is None where there was nothing to do."""

    before: str | None
    after: str
    backup: Path | None


CHECKS = {
    "attempt {0} is a success with {1} pixels and changes {2} distinct ones": """
        SELECT attempt.id, attack.pixels, COUNT(DISTINCT
               CASE WHEN pixel."before" <> pixel."after" THEN pixel."row" || ',' || pixel.col END)
        FROM attempt
        JOIN attack ON attack.id = attempt.attack_id
        LEFT JOIN pixel ON pixel.attempt_id = attempt.id
        WHERE attempt.success = 1
        GROUP BY attempt.id, attack.pixels
        HAVING COUNT(pixel.id) <> attack.pixels OR COUNT(DISTINCT
               CASE WHEN pixel."before" <> pixel."after" THEN pixel."row" || ',' || pixel.col END)
               <> attack.pixels
    """,
    "attempt {0} of an attack on {1} pixels (0: all) has {2} whole images": """
        SELECT attempt.id, attack.pixels, COUNT(whole_image.id)
        FROM attempt
        JOIN attack ON attack.id = attempt.attack_id
        LEFT JOIN whole_image ON whole_image.attempt_id = attempt.id
        GROUP BY attempt.id, attack.pixels
        HAVING COUNT(whole_image.id) <> CASE WHEN attack.pixels = 0 THEN 1 ELSE 0 END
    """,
    "score {0} is called {1} and its value is {2}": """
        SELECT id, value_kind, value FROM score
        WHERE value_kind = 'finite' AND ABS(value) > :largest
    """,
    "denoising_score {0} is called {1} and its value is {2}": """
        SELECT id, value_kind, value FROM denoising_score
        WHERE value_kind = 'finite' AND ABS(value) > :largest
    """,
    "denoising {0} is of an image of another dataset than its denoiser {1}": """
        SELECT denoising.id, model.id FROM denoising
        JOIN model ON model.id = denoising.denoiser_id
        JOIN image ON image.id = denoising.image_id
        WHERE image.dataset_id <> model.dataset_id
    """,
    "detection {0} is of an image of another dataset than its detector {1}": """
        SELECT detection.id, model.id FROM detection
        JOIN model ON model.id = detection.detector_id
        JOIN image ON image.id = detection.image_id
        WHERE image.dataset_id <> model.dataset_id
    """,
    "detection {0} is of another image than its attempt {1}": """
        SELECT detection.id, attempt.id FROM detection
        JOIN attempt ON attempt.id = detection.attempt_id
        WHERE attempt.image_id <> detection.image_id
    """,
    "certificate {0} is of an image of another dataset than its model {1}": """
        SELECT certificate.id, model.id FROM certificate
        JOIN model ON model.id = certificate.model_id
        JOIN image ON image.id = certificate.image_id
        WHERE image.dataset_id <> model.dataset_id
    """,
    # Its own dataset; or, where the attack says so, the same images at native size (size 0).
    "attempt {0} is on an image of another dataset than its model {1}": """
        SELECT attempt.id, model.id FROM attempt
        JOIN attack ON attack.id = attempt.attack_id
        JOIN model ON model.id = attempt.model_id
        JOIN dataset own ON own.id = model.dataset_id
        JOIN image ON image.id = attempt.image_id
        JOIN dataset attacked ON attacked.id = image.dataset_id
        WHERE (own.id <> attacked.id OR attack.parameters LIKE '%"at":"native"%')
          AND NOT (own.size <> 0 AND attacked.size = 0
            AND attack.parameters LIKE '%"at":"native"%'
            AND attacked.name = own.name AND attacked.source = own.source
            AND attacked.version = own.version AND attacked.split_scheme = own.split_scheme
            AND attacked.split_seed = own.split_seed)
    """,
}
"""Queries for rows that must not be, by the message about each row."""


def upgrade(database: str, command: str = "pixguard db upgrade") -> Upgrade:
    """Bring a database to this pixguard's schema; a backup is made beside it first.

    On a server no backup is made; the migration is one transaction there too.

    Raises:
        DatabaseBusyError: it is being written to.
        SchemaMismatchError: it is newer, or not pixguard's.
        PixguardError: the backup or the migration failed; the database is as it was.
    """
    with _exclusive(database, command) as (location, engine):
        with engine.connect() as connection:
            before = schema.revision(connection)
        if before.state != "older":
            schema.require_current(before, location)
            return Upgrade(before.found, before.newest, None)
        if location.path is None:
            schema.migrate(engine)
            return Upgrade(before.found, before.newest, None)
        target = _backup_path(location.file, f"schema-{before.found}")
        _vacuum_into(engine, target)
        try:
            schema.migrate(engine)
        except BaseException:
            target.unlink()  # the migration is one transaction: nothing is changed
            raise
        return Upgrade(before.found, before.newest, target)


def backup(database: str, target: Path | None = None) -> Path:
    """Copy a database, while it may be in use, to one compact file; return the file.

    Raises:
        PixguardError: the target exists or cannot be written.
    """
    location = locate(database)
    path = target or _backup_path(location.file, "backup")
    if path.is_dir() or not path.name:
        raise PixguardError(f"{path} is a folder", "name a file in it")
    if path.exists() or path.is_symlink():
        raise PixguardError(f"{path} exists already", f"`out={path}.2`, or another file")
    engine = connect(location)
    try:
        _vacuum_into(engine, path)
    finally:
        engine.dispose()
    return path


def info(database: str) -> DatabaseSummary:
    """Return what is in a database, also in one whose schema is not this pixguard's."""
    location = locate(database)
    engine = connect(location)
    try:
        with engine.connect() as connection:
            found = schema.revision(connection)
            rows = {
                name: int(connection.execute(text(f'SELECT COUNT(*) FROM "{name}"')).scalar_one())
                for name in sorted(inspect(connection).get_table_names())
                if name != schema.VERSION_TABLE
            }
            runs = _runs(connection) if found.state in ("current", "older") else []
            if location.path is None:
                alive, size_bytes = running(connection), postgresql.size_bytes(connection)
                writing = bool(alive)
            else:
                writing, size_bytes = is_locked(location.path), location.path.stat().st_size
                alive = {run.id for run in runs[:1] if writing}
    finally:
        engine.dispose()
    runs = [
        replace(run, status="killed") if run.status == "running" and run.id not in alive else run
        for run in runs
    ]
    return DatabaseSummary(
        location.name, size_bytes, found.found, found.newest, found.state, writing, rows, runs
    )


def check(database: str) -> list[str]:
    """Return what is wrong with a database, one sentence a fault; nothing for a sound one.

    SQLite's own checks, the foreign keys, and what the schema cannot say: a success changes
    exactly as many distinct pixels as its attack has, a score's kind fits its value, and, where
    there is a folder of weights beside the database, every model has its file there. Of an older
    schema, the first two alone.

    Raises:
        SchemaMismatchError: its schema is older, and nothing is wrong with it; or it is newer, or
            not pixguard's.
    """
    location = locate(database)
    engine = connect(location)
    try:
        with engine.connect() as connection:
            problems = _file_faults(connection) if engine.dialect.name == "sqlite" else []
            found = schema.revision(connection)
            if problems and found.state == "older":
                return problems
            schema.require_current(found, location)
            problems += _constraint_faults(connection)
            problems += _missing_weights(connection, files_folder(database) / WEIGHTS)
            for message, query in CHECKS.items():
                values = {"largest": sys.float_info.max} if ":largest" in query else {}
                rows = connection.execute(text(query), values)
                problems += [message.format(*row) for row in rows]
    finally:
        engine.dispose()
    return problems


def _file_faults(connection: Connection) -> list[str]:
    integrity = connection.exec_driver_sql("PRAGMA integrity_check").all()
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [f"integrity: {row[0]}" for row in integrity if row[0] != "ok"] + [
        f"row {row[1]} of table {row[0]} points to a missing row of {row[2]}" for row in orphans
    ]


def _constraint_faults(connection: Connection) -> list[str]:
    """Check the CHECK constraints: on a read-only connection SQLite's own check leaves them out."""
    faults = []
    for table in Base.metadata.sorted_tables:
        for constraint in table.constraints:
            if isinstance(constraint, CheckConstraint):
                broken = text(f"NOT ({constraint.sqltext})")
                query = select(func.count()).select_from(table).where(broken)
                if found := connection.execute(query).scalar_one():
                    faults.append(f"{found} rows of table {table.name} break {constraint.name}")
    return faults


def vacuum(database: str, command: str = "pixguard db vacuum") -> tuple[int, int]:
    """Give unused space back; return the file's size in bytes before and after.

    Raises:
        DatabaseBusyError: it is being written to.
        PixguardError: the disk has no room for the copy that this needs; nothing is lost.
    """
    file = locate(database).file  # a server looks after its space itself
    with _exclusive(database, command) as (_, engine):
        before_bytes = file.stat().st_size
        with engine.connect().execution_options(**schema.NO_BEGIN) as connection:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return before_bytes, file.stat().st_size


@contextmanager
def _exclusive(database: str, command: str) -> Iterator[tuple[Location, Engine]]:
    location = locate(database)
    if location.path is None:
        _refuse_running(location)
    else:
        check_place(location, writable=True)
    with nullcontext() if location.path is None else WriterLock(location.path, command):
        engine = connect(location, writable=True)
        try:
            yield location, engine
        finally:
            engine.dispose()


def _refuse_running(location: Location) -> None:
    engine = connect(location)
    try:
        with engine.connect() as connection:
            known = {run.id: run for run in _runs(connection)}
            busy = [known[run] for run in running(connection) if run in known]
    finally:
        engine.dispose()
    if busy:
        who = ", ".join(f"process {run.pid} on {run.host} ({run.command})" for run in busy)
        raise DatabaseBusyError(
            f"{location.name} is being written to by {who}", "wait for it to finish"
        )


def _missing_weights(connection: Connection, folder: Path) -> list[str]:
    """Return a fault for each model without its file; a database may travel without its folder."""
    rows = connection.execute(text("SELECT id, weights_file FROM model WHERE weights_file <> ''"))
    return [
        f"the weights of model {id_} are missing: {folder / file}; training it again makes them"
        for id_, file in rows
        if folder.is_dir() and not (folder / file).is_file()
    ]


def _backup_path(path: Path, label: str) -> Path:
    return path.with_name(f"{path.name}.{label}-{time.strftime('%Y%m%d-%H%M%S')}")


def _vacuum_into(engine: Engine, target: Path) -> None:
    """Write a compact copy; whole and on the disk it gets its name, or never."""
    try:
        target.parent.stat()  # a missing folder is not made
        with temporary_folder(target) as folder:
            growing = folder / "copy.db"
            with engine.connect().execution_options(**schema.NO_BEGIN) as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (file_url(growing).database,))
            publish(growing, target)
    except PixguardError as error:
        raise PixguardError(f"no backup at {target}: {error.message}", error.hint) from error
    except OSError as error:
        raise PixguardError(
            f"cannot write {target}: {error.strerror}", "`out=...` with a file in another folder"
        ) from error


def _runs(connection: Connection) -> list[RunSummary]:
    """Return all runs as they are stored, newest first."""
    columns = "id, command, status, host, pid, started_ms, heartbeat_ms, finished_ms, error"
    rows = connection.execute(text(f"SELECT {columns} FROM run ORDER BY id DESC")).mappings()
    return [RunSummary(**row) for row in rows]
