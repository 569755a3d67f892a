"""A user's query reads, and does nothing else."""

from pathlib import Path

import pytest

from pixguard.errors import UsageError
from pixguard.store.asking import ask
from pixguard.store.engine import reading
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, open_writer

pytestmark = SQLITE_ONLY


def test_a_query_beside_a_writer(filled: Filled) -> None:
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) "
    sql += "SELECT success, COUNT(*) AS 'n %', '100 %:x' FROM attempts_that_count, n GROUP BY 1"
    with open_writer(filled.path), reading(str(filled.path)) as engine:
        names, rows = ask(engine, sql)
    assert names == ["success", "n %", "'100 %:x'"]
    assert rows == [(0, 3, "100 %:x"), (1, 9, "100 %:x")]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM pixel",
        "INSERT INTO attempt SELECT * FROM attempt RETURNING id",
        "CREATE TEMP TABLE x(y)",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "PRAGMA query_only = OFF",
        "SELECT * FROM pragma_table_info('attempt')",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM pixel",
        "BEGIN IMMEDIATE",
        "SELECT nothing FROM nowhere",
        "-- nothing",
        "",
    ],
)
def test_what_is_no_query_is_refused(
    filled: Filled, sql: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before, files = filled.path.read_bytes(), sorted(tmp_path.iterdir())
    with reading(str(filled.path)) as engine, pytest.raises(UsageError) as caught:
        ask(engine, sql)
    assert "pixguard db query" in caught.value.hint
    assert filled.path.read_bytes() == before
    new = {p.name for p in tmp_path.iterdir() if p not in files}
    assert new <= {"pixguard.db-shm", "pixguard.db-wal"}  # of any reader
