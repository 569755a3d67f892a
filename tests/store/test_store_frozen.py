"""Databases of every past revision of the schema are upgraded, and lose nothing."""

import json
import sqlite3
from pathlib import Path

import pytest

from pixguard.errors import PixguardError
from pixguard.store import maintenance, schema
from postgresql import SQLITE_ONLY
from support import run

pytestmark = SQLITE_ONLY

FROZEN = Path(__file__).parent / "frozen"
REVISIONS = sorted(path.stem for path in FROZEN.glob("*.sql"))


@pytest.fixture(params=REVISIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database of an old revision, as scripts/freeze_database made it."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as database:
        database.executescript((FROZEN / f"{request.param}.sql").read_text())
    return path


NEVER_WRITTEN = {"attempt_state"}
"""Tables of 0007 that 0008 dropped: no release wrote to them."""


def contents(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every table's rows, each by column."""
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        names = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        ).fetchall()
        return {
            name: [dict(row) for row in database.execute(f"SELECT * FROM {name} ORDER BY id")]
            for (name,) in names
        }


def made_of(path: Path) -> set[tuple[str, str]]:
    """Tables, indexes and views, with their SQL."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.replace('"', "").split())) for name, sql in rows}


def test_there_is_a_frozen_database_of_every_revision() -> None:
    """After a migration: scripts/freeze_database REVISION."""
    assert sorted(schema.known_revisions()) == REVISIONS


def test_no_row_is_lost_and_no_value_is_changed(old: Path) -> None:
    before = contents(old)
    assert all(len(rows) == 2 for rows in before.values())
    maintenance.upgrade(str(old))
    after = contents(old)
    assert before.keys() - after.keys() <= NEVER_WRITTEN
    before = {name: rows for name, rows in before.items() if name not in NEVER_WRITTEN}
    for name, rows in before.items():
        kept = after[name] if name != "run" else after[name][: len(rows)]
        assert [{key: row[key] for key in was} for was, row in zip(rows, kept, strict=True)] == rows
    with sqlite3.connect(old) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_an_upgraded_schema_is_that_of_a_fresh_database(old: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    from store.store_samples import open_writer

    with open_writer(fresh):
        pass
    maintenance.upgrade(str(old))
    assert made_of(old) == made_of(fresh)


@pytest.mark.parametrize("table", ["17", "cost", "recovery"])
def test_reports_read_an_upgraded_database(old: Path, table: str) -> None:
    maintenance.upgrade(str(old))
    shown = json.loads(run(f"report --table {table} --json --db {old}").stdout)
    assert shown


def test_rows_that_dangle_already_do_not_stand_in_the_way(old: Path) -> None:
    """The field case: upgrade said "db check", check said "db upgrade", each try left a copy."""
    with sqlite3.connect(old) as database:
        database.execute("DELETE FROM environment")
    faults = {f for f in maintenance.check(str(old)) if "missing row of environment" in f}
    assert faults
    maintenance.upgrade(str(old))
    assert faults <= set(maintenance.check(str(old)))


def test_a_migration_that_fails_leaves_no_copy(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(engine: object) -> None:
        raise PixguardError("no room")

    if maintenance.info(str(old)).schema_state == "current":
        pytest.skip("nothing to upgrade")
    monkeypatch.setattr(schema, "migrate", fail)
    with pytest.raises(PixguardError, match="no room"):
        maintenance.upgrade(str(old))
    assert [path.name for path in old.parent.iterdir() if ".lock" not in path.name] == ["old.db"]
