"""The campaigns of ``scripts/chaos``, in short."""

import importlib
import random
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
faults = importlib.import_module("campaigns.faults")
kills = importlib.import_module("campaigns.kills")
long_run = importlib.import_module("campaigns.long_run")
lost = importlib.import_module("campaigns.lost")
readers = importlib.import_module("campaigns.readers")
rows = importlib.import_module("campaigns.rows")
same = importlib.import_module("campaigns.same")
workshops = importlib.import_module("campaigns.workshop")

KILLS = {
    "train": 2,
    "attack": 6,
    "denoise apply": 2,
    "models add": 2,
    "report to a file": 1,
    "db backup": 2,
    "db upgrade": 2,
    "data fetch": 2,
}
QUICK = (
    "weights deleted",
    "one bit of the weights flipped",
    "an image file changed",
    "memory runs out in two batches of an attack",
    "memory runs out in a training",
    "logits become NaN",
    "SIGTERM during a training",
    "SIGHUP once during an attack",
    "the clock runs backwards",
    "a log and a lock of a dead process, its pid in use again",
    "file systems where locks or the log do not work",
)
WAYS = ("2 threads", "in reverse order", "batches of 8", "killed over and over")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory):
    return workshops.Workshop(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    server = kills.Server(tmp_path_factory.mktemp("server"))
    with server.running():
        yield server


@pytest.mark.parametrize("name", KILLS)
def test_kills_leave_no_trace(name, workshop, server):
    (work,) = (work for work in kills.works(server) if work.name == name)
    tally = kills.campaign(work, KILLS[name], workshop, random.Random(name))
    assert tally.kills == KILLS[name]
    assert not tally.faults


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_told_and_loses_nothing(name, workshop, tmp_path):
    assert faults.FAULTS[name](faults.Site(workshop, tmp_path / "mounts"))


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_has_the_same_rows_in_another_way(way, workshop):
    options = same.ATTACKS["differential-evolution, 2 pixels"]
    assert same.compare(options, same.WAYS[way], workshop) == []


def test_readers_beside_a_writer_see_what_was_true(workshop):
    attempts, seen, checked = readers.campaign(workshop, 2, 3.0)
    assert attempts > 100 and checked.endswith("is sound")
    assert all(one.reads and one.attempts for one in seen)
    assert [fault for one in seen for fault in one.faults] == []


def test_a_long_run_measures_itself(workshop):
    found = long_run.campaign(workshop, 6000)
    assert found.attempts >= 6000
    assert found.memory_at_the_end < 1.05
    assert 200 < found.bytes_an_attempt < 1500


def test_a_cluster_that_dies_piece_by_piece_makes_the_same_rows(workshop):
    """With TLS where there is openssl; workers are killed, and die of one image."""
    pytest.importorskip("distributed")
    cluster = importlib.import_module("campaigns.cluster")
    attack = "attack --dataset oct --evaluator delta --pixels 1 --limit 4"
    attack += " --population 20 --generations 20"
    found = cluster.campaign(workshop, attack, every_s=0.5, clients=0, schedulers=0, workers=2)
    assert found.faults == []
    assert (found.attempts, [kind for _, kind in found.failures]) == (4, ["WorkerDied"])


def test_a_changed_row_is_found(workshop, tmp_path):
    folder = workshop.copy((workshops.TRAIN, workshops.ATTACK), "changed")
    expected = workshop.template((workshops.TRAIN, workshops.ATTACK)) / workshops.DATABASE
    changed = sqlite3.connect(folder / workshops.DATABASE)
    for statement, told in (
        ("UPDATE pixel SET row = row + 1 WHERE id = 1", "pixel"),
        ("UPDATE attempt SET confidence_after = confidence_after - 0.001 WHERE id = 2", "became"),
        ("DELETE FROM pixel WHERE attempt_id = 3", "is missing"),
    ):
        changed.execute(statement)
        changed.commit()
        found = rows.differences(expected, folder / workshops.DATABASE)
        assert any(told in line for line in found), found
    changed.close()


def test_what_a_kill_loses_is_counted_and_made_again(workshop):
    found = lost.campaign(workshop, kills=2, generations=300, period_s=0.4, draw=random.Random(1))
    assert len(found.lost_s) == 2 and min(found.lost_s) >= 0
    assert not found.faults
