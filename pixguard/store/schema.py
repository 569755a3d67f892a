"""The schema's revisions: what a database has, what this pixguard needs, and the way up."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

import pixguard
from pixguard.errors import PixguardError, SchemaMismatchError
from pixguard.store.location import Location

State = Literal["empty", "current", "older", "newer", "unknown"]
VERSION_TABLE = "alembic_version"
NO_BEGIN = {"sqlite_begin": None}
"""Execution options of a connection that begins its transactions itself."""


@dataclass(frozen=True, slots=True)
class Revision:
    """The revision of a database (None: no pixguard schema), the newest one, and how they lie."""

    found: str | None
    newest: str
    state: State


def migrations_folder() -> Path:
    """Return the folder of the migrations: inside an installed package, else the repository's."""
    package = Path(pixguard.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection; there is no alembic.ini."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this pixguard knows, newest first."""
    scripts = ScriptDirectory(str(migrations_folder()))
    return tuple(script.revision for script in scripts.walk_revisions())


def revision(connection: Connection) -> Revision:
    """Return the revision of a database and how it lies to this pixguard's newest."""
    known = known_revisions()
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE not in tables:
        return Revision(None, known[0], "unknown" if tables else "empty")
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        return Revision(None, known[0], "unknown")
    state: State = "unknown"
    if found in known:
        state = "current" if found == known[0] else "older"
    elif found.isdecimal() and int(found) > int(known[0]):
        state = "newer"
    return Revision(found, known[0], state)


def require_current(revision: Revision, location: Location) -> None:
    """Stop on a database that this pixguard cannot use as it is.

    Raises:
        SchemaMismatchError: its schema is older, newer or not pixguard's.
        PixguardError: it is empty.
    """
    match revision.state:
        case "current":
            return
        case "empty":
            raise PixguardError(
                f"{location.name} is empty",
                "fill it with `pixguard train --dataset ...`, or name another file with --db",
            )
        case "older":
            raise SchemaMismatchError(
                f"{location.name} has schema {revision.found}, this pixguard needs "
                f"{revision.newest}",
                f"pixguard db upgrade --db {location.name}  (it makes a backup first)",
            )
        case "newer":
            raise SchemaMismatchError(
                f"{location.name} has schema {revision.found}, newer than this pixguard's "
                f"{revision.newest}",
                f"upgrade pixguard (this is {pixguard.__version__}), or name another file with "
                "--db",
            )
        case _:
            raise SchemaMismatchError(
                f"{location.name} was not made by pixguard (schema {revision.found or 'unknown'})",
                "name another file with --db; a new one is created by `pixguard train`",
            )


def migrate(engine: Engine, *, only_if_empty: bool = False) -> None:
    """Bring a database to the newest revision, in one transaction.

    Foreign keys are off meanwhile: a table that is rebuilt is dropped, and its children with it.
    The pragma is ignored inside a transaction, so it stands before BEGIN.

    Raises:
        PixguardError: rows would point to nothing; the database is left as it was.
    """
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect().execution_options(**NO_BEGIN) as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            if not only_if_empty or revision(connection).state == "empty":
                command.upgrade(alembic_config(connection), "head")
                if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise PixguardError(
                        "the migration would leave rows that point to nothing; nothing is changed",
                        "pixguard db check",
                    )
            connection.commit()
        finally:
            connection.rollback()
            if sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")
