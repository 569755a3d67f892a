"""Who works on a database is told while it does, and one that is gone is not taken for another."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pixguard.cli.stopping import stop_one
from pixguard.errors import PixguardError
from pixguard.progress import SILENT
from pixguard.store import leftovers, presence
from pixguard.store.location import files_folder
from pixguard.store.presence import Presence, workers
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, open_writer

WORKER = """
import sys, time
from pixguard.store.presence import Presence
with Presence(sys.argv[1], "pixguard attack").at_work():
    print("at work", flush=True)
    time.sleep(60)
"""


def begin(database: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", WORKER, str(database)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"at work\n"
    return child


def test_a_process_is_there_while_it_works_and_tells_what_it_does(tmp_path: Path) -> None:
    database = str(tmp_path / "x.db")
    own = Presence(database, "pixguard score")
    assert workers(database) == []
    with own.at_work(), own.watching(SILENT).track("scoring", 40, "images") as progress:
        own.tell(plan=3)
        progress.update(10, "fine", 12.0)
        own._write()
        (worker,) = workers(database)
        assert (worker.pid, worker.command, worker.state) == (os.getpid(), *WORKS)
        told = {"title": "scoring", "done": 10, "total": 40, "unit": "images", "note": "fine"}
        assert worker.doing.items() >= {**told, "plan": 3, "at_most": True}.items()
        assert worker.doing["left_s"] == pytest.approx(12, abs=1)
        assert workers(str(tmp_path / "x.sqlite")) == []  # it has the same folder
    assert list(tmp_path.iterdir()) == []


WORKS = ("pixguard score", "running")


@SQLITE_ONLY
def test_one_that_was_killed_is_gone_until_another_begins(filled: Filled) -> None:
    child, database = begin(filled.path), str(filled.path)
    assert [w.state for w in workers(database)] == ["running"]
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert [w.state for w in workers(database)] == ["gone"]
    (left,) = leftovers.find(database) or ()
    assert left.path == workers(database)[0].path
    with Presence(database, "another").at_work():
        assert [w.command for w in workers(database)] == ["another"]


def test_a_number_that_another_process_has_now_is_not_that_process(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    child = begin(database)
    try:
        (worker,) = workers(str(database))
        assert worker.path is not None
        said: dict[str, Any] = json.loads(worker.path.read_text())
        assert presence.is_same_process(said)
        assert not presence.is_same_process(said | {"began": said["began"] - 1})
        assert not presence.is_same_process(said | {"boot": "an earlier start"})
        # Held, as by one in a container, whose number is another process here.
        worker.path.write_text(json.dumps(said | {"began": said["began"] - 1}))
        assert [w.state for w in workers(str(database))] == ["running"]
        with pytest.raises(PixguardError, match="cannot be seen from here"):
            stop_one(worker)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
    assert [w.state for w in workers(str(database))] == ["gone"]


def test_one_on_another_computer_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    database = str(tmp_path / "x.db")
    with Presence(database, "pixguard attack").at_work():
        (worker,) = workers(database)
        assert worker.path is not None
        said = json.loads(worker.path.read_text())
    folder = files_folder(database) / presence.FOLDER
    folder.mkdir(parents=True)
    for ago_s, state in ((5, "running"), (100, "silent")):
        beat_ms = int(1000 * (time.time() - ago_s))
        (folder / "1.json").write_text(json.dumps(said | {"host": "far", "beat_ms": beat_ms}))
        assert [w.state for w in workers(database)] == [state]


def test_what_is_no_such_file_is_nobody(tmp_path: Path) -> None:
    folder = files_folder(str(tmp_path / "x.db")) / presence.FOLDER
    folder.mkdir(parents=True)
    for number, text in enumerate(("", "{", "[]", '{"database": 3}')):
        (folder / f"{number}.json").write_text(text)
    (folder / "folder.json").mkdir()
    assert workers(str(tmp_path / "x.db")) == []


def test_a_run_beats_while_an_attempt_takes_minutes(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr("pixguard.store.writer.HEARTBEAT_EVERY_S", 0.1)
    with open_writer(filled.path) as writer, writer.engine.connect() as connection:
        query = f"SELECT heartbeat_ms > started_ms FROM run WHERE id = {writer.run_id}"
        deadline = time.monotonic() + 5
        while not connection.exec_driver_sql(query).scalar() and time.monotonic() < deadline:
            connection.rollback()
            time.sleep(0.05)
        assert connection.exec_driver_sql(query).scalar() == 1


def test_a_folder_that_cannot_be_written_stops_no_work(tmp_path: Path) -> None:
    (tmp_path / "x-files").write_text("a file where the folder would be")
    with Presence(str(tmp_path / "x.db"), "pixguard attack").at_work():
        assert workers(str(tmp_path / "x.db")) == []
