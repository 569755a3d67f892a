"""The schema's revisions: what a database has, what this pixguard needs, and the way up."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Engine, inspect, text

import pixguard
from pixguard.errors import PixguardError, SchemaMismatchError
from pixguard.store.location import ANOTHER, Location
from pixguard.words import shell_word

if TYPE_CHECKING:
    from alembic.config import Config

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


def alembic_config(connection: Connection) -> "Config":
    """Return Alembic's configuration for a connection; there is no alembic.ini."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this pixguard knows, newest first.

    They are read from the text of the migrations: Alembic takes a quarter of a second to import,
    and a database that is up to date does not need it.

    Raises:
        ValueError: the migrations are not one chain.
    """
    before: dict[str | None, str] = {}
    for path in (migrations_folder() / "versions").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        one, previous = (_assigned(source, name) for name in ("revision", "down_revision"))
        if one is None or previous in before:
            raise ValueError(f"{path} has no revision, or the same one before it as another file")
        before[previous] = one
    chain: list[str] = []
    while (found := before.get(chain[-1] if chain else None)) is not None:
        chain.append(found)
    if len(chain) != len(before):
        raise ValueError("the migrations are not one chain")
    return tuple(reversed(chain))


def _assigned(source: str, name: str) -> str | None:
    found = re.search(rf"^{name}\b[^=\n]*=\s*['\"](\w+)['\"]", source, re.MULTILINE)
    return found[1] if found else None


def revision(connection: Connection) -> Revision:
    """Return the revision of a database and how it lies to this pixguard's newest."""
    known = known_revisions()
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE not in tables:
        return Revision(None, known[0], "unknown" if tables else "empty")
    found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
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
                f"fill it with `pixguard train --dataset ... --db {shell_word(location.name)}`, or "
                "name another file with `database=...`",
            )
        case "older":
            raise SchemaMismatchError(
                f"{location.name} has schema {revision.found}, this pixguard needs "
                f"{revision.newest}",
                f"pixguard db upgrade --db {shell_word(location.name)}  (it makes a backup first)"
                if location.path is not None
                else f"pg_dump -Fc -f pixguard.dump {shell_word(location.dsn)}; "
                f"pixguard db upgrade --db {shell_word(location.name)}",
            )
        case "newer":
            raise SchemaMismatchError(
                f"{location.name} has schema {revision.found}, newer than this pixguard's "
                f"{revision.newest}",
                f"upgrade pixguard (this is {pixguard.__version__}), or name another file with "
                "`database=...`",
            )
        case _:
            raise SchemaMismatchError(
                f"{location.name} was not made by pixguard (schema {revision.found or 'unknown'})",
                ANOTHER,
            )


def migrate(engine: Engine, *, only_if_empty: bool = False) -> None:
    """Bring a database to the newest revision, in one transaction.

    Foreign keys are off meanwhile: a table that is rebuilt is dropped, and its children with it.
    The pragma is ignored inside a transaction, so it stands before BEGIN. Rows that point to
    nothing already stay as they are: ``pixguard db check`` names them.

    Raises:
        PixguardError: more rows would point to nothing; the database is left as it was.
    """
    from alembic import command

    sqlite = engine.dialect.name == "sqlite"
    with engine.connect().execution_options(**NO_BEGIN) as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            if not only_if_empty or revision(connection).state == "empty":
                before = _dangling(connection) if sqlite else set()
                command.upgrade(alembic_config(connection), "head")
                if sqlite and (new := _dangling(connection) - before):
                    table, row, parent = min(new)
                    raise PixguardError(
                        f"the migration would leave {len(new)} rows that point to nothing, such as "
                        f"row {row} of table {table}, to {parent}; nothing is changed",
                        "this is an error of pixguard: keep the database, and report it",
                    )
            connection.commit()
        finally:
            connection.rollback()
            if sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def _dangling(connection: Connection) -> set[tuple[str, int, str]]:
    """Return the rows that point to nothing: table, row, and the table they point to."""
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return {(table, row, parent) for table, row, parent, _ in rows}
