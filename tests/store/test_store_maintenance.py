"""Backup, information, check and vacuum."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pixguard.errors import PixguardError, SchemaMismatchError
from pixguard.store import maintenance, schema
from pixguard.store.location import is_wal
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, attempt, count, open_writer

pytestmark = SQLITE_ONLY


def _damage(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)


def test_info_counts_rows_and_runs(filled: Filled) -> None:
    summary = maintenance.info(str(filled.path))
    assert (summary.schema_revision, summary.schema_state) == (
        schema.known_revisions()[0],
        "current",
    )
    assert summary.rows["attempt"] == 4
    assert summary.rows["pixel"] == 8
    assert "alembic_version" not in summary.rows
    assert summary.size_bytes == filled.path.stat().st_size
    assert [(run.command, run.status) for run in summary.runs] == [("pixguard test", "finished")]


def test_info_also_works_on_another_schema(filled: Filled) -> None:
    _damage(filled.path, "UPDATE alembic_version SET version_num = '0042'")
    summary = maintenance.info(str(filled.path))
    assert (summary.schema_state, summary.rows["attempt"]) == ("newer", 4)
    with pytest.raises(SchemaMismatchError):
        maintenance.check(str(filled.path))
    with pytest.raises(SchemaMismatchError):
        maintenance.upgrade(str(filled.path))


def test_backup_is_one_sound_file(filled: Filled, tmp_path: Path) -> None:
    with open_writer(filled.path) as writer:
        filled.attempt(writer, attempt("new", 0))
        writer.flush()
        copy = maintenance.backup(str(filled.path), tmp_path / "copy.db")
    assert count(copy, "attempt") == 5
    assert not is_wal(copy)
    assert maintenance.check(str(copy)) == []
    with pytest.raises(PixguardError, match="exists already"):
        maintenance.backup(str(filled.path), copy)
    with pytest.raises(PixguardError, match="cannot write"):
        maintenance.backup(str(filled.path), tmp_path / "no" / "copy.db")


BACKUP = """
import sys
from pathlib import Path
from pixguard.store import maintenance

maintenance.publish = lambda *files: (print("copied", flush=True), sys.stdin.read())
maintenance.backup(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_killed_backup_is_not_taken_for_one(filled: Filled, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", BACKUP, str(filled.path), str(copy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "copied\n"
    child.kill()
    child.communicate()
    assert not copy.exists()
    assert maintenance.backup(str(filled.path), copy) == copy
    assert count(copy, "attempt") == 4


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "DELETE FROM pixel WHERE attempt_id = 2 AND ordinal = 1",
            "attempt 2 is a success with 2 pixels and changes 1 distinct ones",
        ),
        (
            'UPDATE pixel SET "row" = 0 WHERE attempt_id = 2',
            "attempt 2 is a success with 2 pixels and changes 1 distinct ones",
        ),
        (
            'UPDATE pixel SET "after" = "before" WHERE attempt_id = 1',
            "attempt 1 is a success with 2 pixels and changes 0 distinct ones",
        ),
        ("DELETE FROM pixel WHERE attempt_id = 4", None),  # not a success
        ("DELETE FROM environment", "row 1 of table run points to a missing row of environment"),
        (
            "UPDATE attempt SET success = 2 WHERE id = 1",
            "1 rows of table attempt break ck_attempt_success",
        ),
    ],
)
def test_check_finds_faults(filled: Filled, statement: str, problem: str | None) -> None:
    assert maintenance.check(str(filled.path)) == []
    _damage(filled.path, statement)
    assert maintenance.check(str(filled.path)) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("value", "kind", "problem"),
    [
        ("1.5", "finite", None),
        ("NULL", "inf", None),
        ("9e999", "finite", "score 1 is called finite and its value is inf"),
        ("NULL", "finite", "1 rows of table score break ck_score_value"),
        ("1.5", "nan", "1 rows of table score break ck_score_value"),
        ("NULL", "huge", "1 rows of table score break ck_score_value_kind"),
    ],
)
def test_check_judges_scores(filled: Filled, value: str, kind: str, problem: str | None) -> None:
    _damage(
        filled.path,
        "INSERT INTO restoration VALUES (1, 'k', NULL, 1, 1, 2, 1, '0', 0.5, 1, 1.0)",
    )
    _damage(filled.path, "INSERT INTO metric VALUES (1, 'psnr', 1, '{}')")
    _damage(filled.path, f"INSERT INTO score VALUES (1, 1, 1, {value}, '{kind}')")
    assert maintenance.check(str(filled.path)) == ([problem] if problem else [])


def test_vacuum_gives_space_back(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        for number in range(2000):
            filled.attempt(writer, attempt(f"many-{number}", 0))
    _damage(filled.path, "DELETE FROM pixel WHERE attempt_id > 4")
    _damage(filled.path, "DELETE FROM attempt WHERE id > 4")
    before, after = maintenance.vacuum(str(filled.path))
    assert after < before / 2
    assert filled.path.stat().st_size == after
    assert maintenance.check(str(filled.path)) == []
