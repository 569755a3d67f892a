"""What must not lose a result: a full disk, a kill, a second writer."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pixguard.errors import DatabaseBusyError, PixguardError
from pixguard.store import lock, maintenance
from pixguard.store.writer import Writer
from postgresql import SQLITE_ONLY
from store.store_samples import ENVIRONMENT, Filled, attempt, count, open_writer, rows

pytestmark = SQLITE_ONLY

FOREVER = """
import itertools
from pathlib import Path
from store.store_samples import ENVIRONMENT, Filled, attempt, open_writer

path = Path({path!r})
with open_writer(path, "pixguard attack --forever") as writer:
    database = Filled(path, writer)
    for number in itertools.count():
        database.attempt(writer, attempt(f"{{writer.run_id}}-{{number}}", number % 4))
        if number == 500:
            print("writing", flush=True)
"""


def _write_forever(path: Path) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", FOREVER.format(path=str(path))],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{root}:{root / 'tests'}"},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    return child


def test_kill_in_the_middle_of_writing_leaves_a_sound_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for run in (1, 2, 3):
        child = _write_forever(path)
        time.sleep(0.05 * run)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert maintenance.check(str(path)) == []
        stored = count(path, "attempt")
        assert stored >= 500 * run
        assert count(path, "pixel") == 2 * stored
        summary = maintenance.info(str(path))
        assert summary.runs[0].status == "killed"
        assert not summary.being_written
    with open_writer(path) as writer:  # the lock went with the process
        Filled(path, writer).attempt(writer, attempt("after", 0))
    assert count(path, "attempt") == stored + 1


def test_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    child = _write_forever(path)
    try:
        for second in (
            lambda: open_writer(path).__enter__(),
            lambda: maintenance.vacuum(str(path)),
            lambda: maintenance.upgrade(str(path)),
        ):
            with pytest.raises(DatabaseBusyError) as caught:
                second()
            assert caught.value.exit_code == 5
            assert f"process {child.pid} on " in caught.value.message
            assert "pixguard attack --forever" in caught.value.message
        summary = maintenance.info(str(path))  # readers go on
        assert summary.being_written
        assert summary.runs[0].status == "running"
        copy = maintenance.backup(str(path))
        assert maintenance.check(str(copy)) == []
    finally:
        child.kill()
        child.communicate()


def test_second_writer_in_the_same_process_and_by_another_name(filled: Filled) -> None:
    link = filled.path.with_name("link.db")
    link.symlink_to(filled.path)
    with open_writer(filled.path), pytest.raises(DatabaseBusyError, match="being written to by"):
        open_writer(link).__enter__()
    with open_writer(link):
        pass


@pytest.mark.parametrize("text", ["", "not json", '{"host": 1}', "[]"])
def test_stale_lock_file_is_harmless(filled: Filled, text: str) -> None:
    file = lock.lock_path(filled.path)
    file.write_text(text)
    assert not lock.is_locked(filled.path)
    with open_writer(filled.path):
        assert lock.is_locked(filled.path)
        file.write_text(text)
        with pytest.raises(DatabaseBusyError, match="another process"):
            open_writer(filled.path).__enter__()


def _fill(filled: Filled, writer: Writer) -> None:
    for number in range(10_000):
        filled.attempt(writer, attempt(f"full-{number}", number % 4))


def test_full_disk_keeps_every_committed_row(filled: Filled) -> None:
    with pytest.raises(PixguardError, match="no space left") as caught:
        with open_writer(filled.path) as writer:
            with writer.engine.connect() as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 40}").close()
            _fill(filled, writer)
    assert "`resume=True`" in caught.value.hint
    assert "committed so far is safe" in caught.value.message
    stored = count(filled.path, "attempt")
    assert (stored - 4) % 64 == 0
    assert stored > 4
    assert maintenance.check(str(filled.path)) == []
    assert rows(filled.path, "SELECT status FROM run ORDER BY id DESC LIMIT 1") == [("failed",)]


def test_what_a_full_disk_refused_is_written_when_there_is_room(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        with writer.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1").close()
        with pytest.raises(PixguardError, match="no space left"):
            _fill(filled, writer)
        with writer.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 100000").close()
        before = count(filled.path, "attempt")
        writer.flush()
        assert count(filled.path, "attempt") == before + 64


def test_the_lock_is_never_another_file(filled: Filled, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.write_text("gold")
    lock.lock_path(filled.path).unlink()
    lock.lock_path(filled.path).symlink_to(treasure)
    with pytest.raises(PixguardError, match="is a link"), open_writer(filled.path):
        pass
    assert treasure.read_text() == "gold"


def test_nothing_is_written_to_a_damaged_database(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        for number in range(500):
            filled.attempt(writer, attempt(f"more-{number}", 0))
    content = bytearray(filled.path.read_bytes())
    page = len(content) // 2 // 4096 * 4096
    content[page : page + 64] = b"\xff" * 64
    filled.path.write_bytes(content)
    with pytest.raises(PixguardError, match="is damaged") as caught, open_writer(filled.path):
        pass
    assert "db check" in caught.value.hint
    assert filled.path.read_bytes() == content


def test_a_log_that_a_reader_lets_grow_is_told_of(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixguard.store.writer.LARGE_LOG_BYTES", 1 << 20)
    monkeypatch.setattr("pixguard.store.writer.HEARTBEAT_EVERY_S", 0.0)
    told: list[str] = []
    writer = Writer(
        str(filled.path), command="c", config={}, seed=0, environment=ENVIRONMENT, say=told.append
    )
    with sqlite3.connect(filled.path) as reader, writer:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM attempt").fetchone()
        for number in range(1000):
            filled.attempt(writer, attempt(f"more-{number}", 0))
    assert len(told) == 1 and "pixguard.db-wal has grown to" in told[0]
