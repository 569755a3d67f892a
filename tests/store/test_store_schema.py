"""Migrations create exactly what the models declare; other schemas are recognised."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from pixguard.errors import PixguardError, SchemaMismatchError
from pixguard.store import maintenance, schema
from pixguard.store.engine import open_engine
from pixguard.store.tables import Base
from postgresql import SQLITE_ONLY

pytestmark = SQLITE_ONLY

HEAD = "0011"


def _sql(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def _set_revision(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_migrated_schema_is_the_declared_one(tmp_path: Path) -> None:
    migrated, declared = tmp_path / "migrated.db", tmp_path / "declared.db"
    engine = open_engine(str(migrated), create=True)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()
    plain = create_engine(f"sqlite:///{declared}")
    Base.metadata.create_all(plain)
    plain.dispose()
    assert _sql(migrated) == _sql(declared)
    assert "STRICT" in _sql(migrated)["attempt"]


def test_head_is_what_a_new_database_gets(tmp_path: Path) -> None:
    open_engine(str(tmp_path / "a.db"), create=True).dispose()
    assert schema.known_revisions()[0] == HEAD
    scripts = ScriptDirectory(str(schema.migrations_folder()))
    assert schema.known_revisions() == tuple(s.revision for s in scripts.walk_revisions())
    assert all(revision.isdecimal() for revision in schema.known_revisions())
    assert maintenance.info(str(tmp_path / "a.db")).schema_revision == HEAD


def test_migrations_beside_the_package_win_over_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (schema.migrations_folder() / "env.py").is_file()
    installed = tmp_path / "pixguard" / "migrations"
    installed.mkdir(parents=True)
    monkeypatch.setattr("pixguard.__file__", str(tmp_path / "pixguard" / "__init__.py"))
    assert schema.migrations_folder() == installed


@pytest.mark.parametrize(
    ("revision", "words", "hint"),
    [
        ("9999", f"newer than this pixguard's {HEAD}", "upgrade pixguard"),
        ("abcd", "not made by pixguard", "`database="),
    ],
)
@pytest.mark.parametrize("writable", [False, True])
def test_foreign_revisions_stop_with_exit_4(
    tmp_path: Path, revision: str, words: str, hint: str, writable: bool
) -> None:
    path = tmp_path / "a.db"
    open_engine(str(path), create=True).dispose()
    _set_revision(path, revision)
    with pytest.raises(SchemaMismatchError, match=words) as caught:
        open_engine(str(path), writable=writable)
    assert caught.value.exit_code == 4
    assert hint in caught.value.hint


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (id INTEGER)")
    for create in (False, True):
        with pytest.raises(SchemaMismatchError, match="not made by pixguard"):
            open_engine(str(path), create=create)
    assert set(_sql(path)) == {"precious"}


def test_an_empty_file_is_filled_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(PixguardError, match="is empty"):
        open_engine(str(path))
    assert path.stat().st_size == 0
    open_engine(str(path), create=True).dispose()
    open_engine(str(path)).dispose()


OLDER = """
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = {down!r}
def upgrade():
    {body}
"""
FIRST = """
    op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("name", sa.Text))
    op.create_table("child", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("parent_id", sa.Integer,
                              sa.ForeignKey("parent.id", ondelete="CASCADE")))
    op.execute("INSERT INTO parent VALUES (1, 'a')")
    op.execute("INSERT INTO child VALUES (1, 1)")
"""
REBUILD = """
    with op.batch_alter_table("parent", recreate="always") as batch:
        batch.alter_column("name", nullable=False)
"""
BREAK = """
    op.execute("DELETE FROM parent")
"""


@pytest.fixture
def two_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Migrations whose second step rebuilds a parent table; the returned database is at the first.

    The children are ON DELETE CASCADE on purpose: with foreign keys on, SQLite would delete them
    when the rebuilt parent is dropped.
    """
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    source = schema.migrations_folder() / "env.py"
    (folder / "env.py").write_text(source.read_text())
    first = OLDER.format(revision="0001", down=None, body=FIRST)
    (folder / "versions" / "a.py").write_text(first)
    monkeypatch.setattr(schema, "migrations_folder", lambda: folder)
    schema.known_revisions.cache_clear()
    path = tmp_path / "old.db"
    open_engine(str(path), create=True).dispose()
    return path


@pytest.fixture(autouse=True)
def _forget_revisions() -> Iterator[None]:
    yield
    schema.known_revisions.cache_clear()


def _add_revision(path: Path, body: str) -> None:
    second = OLDER.format(revision="0002", down="0001", body=body)
    (path.parent / "migrations" / "versions" / "b.py").write_text(second)
    schema.known_revisions.cache_clear()


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


def test_upgrade_backs_up_and_keeps_children_of_rebuilt_tables(two_revisions: Path) -> None:
    _add_revision(two_revisions, REBUILD)
    for writable in (False, True):
        with pytest.raises(SchemaMismatchError, match="0001, this pixguard needs 0002") as caught:
            open_engine(str(two_revisions), writable=writable)
        assert "pixguard db upgrade" in caught.value.hint
    done = maintenance.upgrade(str(two_revisions))
    assert (done.before, done.after) == ("0001", "0002")
    assert _rows(two_revisions, "SELECT parent_id FROM child") == [(1,)]
    assert _rows(two_revisions, "SELECT version_num FROM alembic_version") == [("0002",)]
    assert done.backup is not None
    assert _rows(done.backup, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert maintenance.upgrade(str(two_revisions)).backup is None


def test_a_migration_that_loses_parents_changes_nothing(two_revisions: Path) -> None:
    _add_revision(two_revisions, BREAK)
    with pytest.raises(PixguardError, match=r"1 rows that point to nothing.*nothing is changed"):
        maintenance.upgrade(str(two_revisions))
    assert _rows(two_revisions, "SELECT COUNT(*) FROM parent") == [(1,)]
    assert _rows(two_revisions, "SELECT version_num FROM alembic_version") == [("0001",)]
