"""What killed processes left beside a database: what is found, and what stays."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pixguard.errors import DatabaseBusyError, PixguardError, UsageError
from pixguard.records import TRAINING_KEY, PlannedAttempt, PlanRecord
from pixguard.store import leftovers, maintenance
from pixguard.store.location import files_folder
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, attempt, model, open_writer
from store.test_store_maintenance import _damage

pytestmark = SQLITE_ONLY

DEAD = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
LONG_AGO_S = time.time() - 100 * 24 * 3600


def put(path: Path, content: bytes = b"x", *, old: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if old:
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return path


def found(filled: Filled) -> dict[Path, str]:
    left = leftovers.find(str(filled.path))
    assert left is not None
    return {one.path: one.what for one in left}


def test_temporary_files_of_dead_processes(filled: Filled) -> None:
    folder, files = filled.path.parent, files_folder(str(filled.path))
    left = [
        put(folder / f".pixguard-new-{DEAD}-0a"),
        put(folder / f"pixguard.db.backup-20260101-000000.{DEAD}.tmp", old=True),
        put(folder / f"pixguard.db.backup-20260101-000000.{DEAD}.tmp-journal", old=True),
        put(files / "weights" / f".pixguard-new-{DEAD}-0a"),
        put(files / "checkpoints" / f"{'a' * 16}.pt.{DEAD}.tmp", old=True),
        put(files / "in-flight" / f".pixguard-new-{DEAD}-0a" / "copy.db").parent,
        # The number is another process's by now.
        put(files / "weights" / f".pixguard-new-{os.getppid()}-0b", old=True),
    ]
    kept = [
        put(folder / f".pixguard-new-{os.getpid()}-0a"),
        put(folder / f"theirs.{DEAD}.tmp", old=True),
        put(folder / f".theirs.{DEAD}.tmp", old=True),
        put(files / "weights" / f"my.model.{DEAD}.tmp", old=True),
        put(files / f"{'b' * 16}.pt.{DEAD}.tmp" / "thesis.tex").parent,
        put(files / "weights" / f"{'c' * 16}.pt2" / "thesis.tex").parent,
        put(files / "checkpoints" / f"{'d' * 16}.pt.{DEAD}.tmp"),  # just written
        put(folder / ".pixguard-new-notes"),
        put(files / "weights" / "notes.txt"),
    ]
    held = put(files / "weights" / f".pixguard-new-{DEAD}-0c", old=True)  # of another container
    (files / "weights" / f".pixguard-new-{DEAD}-0d").symlink_to(kept[0])
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert set(found(filled)) == set(left)
        assert set(found(filled).values()) == {"temporary files of killed processes"}
        told = leftovers.find(str(filled.path)) or []
        assert {one.path for one in leftovers.clean(str(filled.path), told)} == set(left)
    assert not any(map(Path.exists, left))
    assert all(map(Path.exists, [*kept, held]))
    assert set(found(filled)) == {held}


def test_what_a_process_was_writing_when_it_was_killed(filled: Filled) -> None:
    target = files_folder(str(filled.path)) / "weights" / "w"
    code = (
        "import sys; from pathlib import Path; from pixguard.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as file: print(flush=True); sys.stdin.read()"
    )
    target.parent.mkdir(parents=True)
    line = [sys.executable, "-c", code, str(target)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        writing.stdout.readline()
        assert found(filled) == {}
        writing.send_signal(signal.SIGKILL)
    assert len(found(filled)) == 1


def test_weights_and_checkpoints_that_no_model_has(filled: Filled) -> None:
    files = files_folder(str(filled.path))
    weights, checkpoints = files / "weights", files / "checkpoints"
    with open_writer(filled.path) as writer:
        for name, key in (("a" * 16, "1" * 64), ("b" * 16, "2" * 64)):
            record = replace(model(name), hyperparameters={TRAINING_KEY: key})
            writer.model(record, filled.dataset_id)
    kept = [
        put(weights / f"{'a' * 16}.safetensors"),
        put(weights / "mine.safetensors"),
        put(checkpoints / f"{'2' * 16}.pt"),  # weights are gone: it is trained again
        put(checkpoints / f"{'3' * 16}.pt"),
    ]
    left = {
        put(weights / f"{'c' * 16}.safetensors"): "weights that no model has",
        put(weights / f"{'c' * 16}.torchscript.pt"): "weights that no model has",
        put(weights / f"{'c' * 16}.pt2"): "weights that no model has",
        put(checkpoints / f"{'1' * 16}.pt"): "checkpoints of finished trainings",
        put(
            checkpoints / f"{'4' * 16}.pt", old=True
        ): "checkpoints that nobody went on with for 30 days",
    }
    assert found(filled) == left
    assert all(map(Path.exists, kept))
    # Another database of this name has its files there, too.
    other = filled.path.with_suffix(".sqlite")
    other.write_bytes(filled.path.read_bytes())
    assert found(filled) == {}
    other.unlink()
    moved = files.rename(files.with_name("elsewhere"))
    files.symlink_to(moved)
    assert found(filled) == {}


def test_attempts_in_flight_of_plans_that_are_done_or_gone(filled: Filled) -> None:
    folder = files_folder(str(filled.path)) / "in-flight"
    plans = []
    with open_writer(filled.path) as writer:
        for seed, key in enumerate(("key-0", "not yet")):
            planned = [PlannedAttempt(key, 0, None, 0)]
            plan = writer.plan(
                PlanRecord(seed, None, planned, {}, "pixguard attack"),
                attack_id=filled.attack_id,
                model_id=filled.model_id,
                dataset_id=filled.dataset_id,
            )
            plans.append(plan)
    done, open_ = (put(folder / f"plan-{plan}.pt") for plan in plans)
    gone = put(folder / "plan-99.pt")
    put(folder / "plan-x.pt")
    assert set(found(filled)) == {done, gone}
    assert set(found(filled).values()) == {"attempts in flight of plans that are done or gone"}
    with open_writer(filled.path) as writer:
        filled.attempt(writer, attempt("not yet", 0))
    assert set(found(filled)) == {done, gone, open_}


def test_unfinished_backups(filled: Filled) -> None:
    folder = filled.path.parent
    whole = maintenance.backup(str(filled.path))
    os.utime(whole, (0, 0))
    name = "pixguard.db.{}-20260101-00000{}"
    content = whole.read_bytes()
    left = [
        put(folder / name.format("backup", 1), content[:-4096], old=True),
        put(folder / name.format("schema-0004", 2), bytes(4096) + content[4096:], old=True),
        put(folder / name.format("backup", 3), b"", old=True),
        put(folder / name.format("backup", 4), content, old=True),
        put(folder / (name.format("backup", 4) + "-journal"), bytes.fromhex("d9d505f920a163d7")),
    ]
    put(folder / name.format("backup", 6), content, old=True)
    put(folder / (name.format("backup", 6) + "-journal"), bytes(512))  # of one that ended well
    put(folder / name.format("backup", 5), content[:-4096])  # somebody copies it now
    put(folder / "pixguard.db.backup-mine", b"", old=True)
    put(folder / "other.db.backup-20260101-000001", b"", old=True)
    assert found(filled) == dict.fromkeys(left, "unfinished backups")


def test_nothing_is_removed_that_was_not_told_or_while_somebody_writes(filled: Filled) -> None:
    weights = files_folder(str(filled.path)) / "weights"
    told = put(weights / f"{'c' * 16}.pt2")
    listed = leftovers.find(str(filled.path)) or []
    put(weights / f"{'d' * 16}.pt2")
    with open_writer(filled.path):
        assert leftovers.find(str(filled.path)) is None
        with pytest.raises(DatabaseBusyError):
            leftovers.clean(str(filled.path), listed)
    assert [one.path for one in leftovers.clean(str(filled.path), listed)] == [told]
    assert [path.name for path in weights.iterdir()] == [f"{'d' * 16}.pt2"]
    assert leftovers.find("postgresql://nowhere/x") is None
    with pytest.raises(UsageError):
        leftovers.clean("postgresql://nowhere/x", [])


def test_a_damaged_database_says_nothing_of_files(filled: Filled) -> None:
    put(files_folder(str(filled.path)) / "weights" / f"{'c' * 16}.pt2")
    _damage(filled.path, "PRAGMA user_version = 1")  # empties the log
    content = bytearray(filled.path.read_bytes())
    content[8192:12288] = os.urandom(4096)
    filled.path.write_bytes(content)
    with pytest.raises(PixguardError, match="damaged"):
        leftovers.find(str(filled.path))
