"""``status``, ``stop`` and ``--detach``, as from another terminal."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import pixguard_command, run, run_json

LONG = "attack --dataset oct --pixels 1 --per-class 20 --population 200 --generations 5000"


@pytest.fixture
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(workplace)
    yield workplace
    for one in run_json("status")["working"]:
        if one["state"] != "gone" and one["host"] == socket.gethostname():
            os.kill(one["pid"], signal.SIGKILL)


def typed(words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*pixguard_command(), *words.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def until(state: str) -> dict[str, Any]:
    for _ in range(100):
        found = run_json("status")
        if [one["state"] for one in found["working"]] == [state] and found["plans"]:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_detached_attack_is_seen_and_stopped_from_elsewhere(place: Path) -> None:
    told = json.loads(typed(f"{LONG} --detach --json").stdout)
    found = until("running")
    (one,), (plan,) = found["working"], found["plans"]
    assert (one["pid"], one["command"]) == (told["pid"], f"pixguard {LONG} --json")
    assert (plan["state"], plan["plan"]) == ("running", one["plan"])
    assert one["heartbeat_age_s"] < 30
    shown = run("status").stdout
    assert f"process {told['pid']} on " in shown
    assert f"plan {plan['plan']}: differential-evolution" in shown
    stopped = run_json("stop")
    assert stopped["pid"] == told["pid"]
    assert "InterruptedRunError" not in Path(told["log"]).read_text()
    assert json.loads(Path(told["result"]).read_text())["error"]["kind"] == "interrupted"
    after = run_json("status")
    assert (after["working"], after["plans"][0]["state"]) == ([], "interrupted")
    assert run_json("stop") == {"stopped": None}
    with sqlite3.connect("pixguard.db") as database:
        last = database.execute("SELECT status FROM run ORDER BY id DESC LIMIT 1").fetchone()
    assert last == ("interrupted",)


def test_what_fails_before_it_is_at_work_says_so_and_leaves_nothing(place: Path) -> None:
    told = json.loads(typed("score --dataset nope --detach --json", code=2).stdout)
    assert "nope" in told["error"]["message"]
    assert list(Path("pixguard-files/logs").iterdir()) == []


def test_a_killed_attack_is_said_to_be_gone(place: Path) -> None:
    told = json.loads(typed(f"{LONG} --detach --json").stdout)
    until("running")
    os.kill(told["pid"], signal.SIGKILL)
    found = until("gone")
    assert (found["plans"][0]["state"], found["working"][0]["left_s"]) == ("gone", None)
    shutil.rmtree("pixguard-files/running")  # its run and its plan alone tell it, too
    assert until("gone")["plans"][0]["state"] == "gone"
    assert f"go on: pixguard {LONG}" in run("status").stdout
    assert run_json("stop") == {"stopped": None}


def test_the_rate_of_half_a_plan_is_that_of_its_finished_beginning(place: Path) -> None:
    run("attack --dataset oct --pixels 1 --per-class 5 --population 20 --generations 5")
    with sqlite3.connect("pixguard.db") as database:
        order = database.execute(
            "SELECT t.id, t.success FROM planned_attempt p "
            "JOIN attempt t ON t.attempt_key = p.attempt_key ORDER BY p.place"
        ).fetchall()
        database.execute("DELETE FROM pixel WHERE attempt_id = ?", order[6][:1])
        database.execute("DELETE FROM attempt WHERE id = ?", order[6][:1])
        database.execute("UPDATE plan SET finished_ms = NULL")
    (plan,) = run_json("status")["plans"]
    assert (plan["done"], plan["planned"]) == (len(order) - 1, len(order))
    assert plan["success"]["attempts"] == 6
    assert plan["success"]["successes"] == sum(success for _, success in order[:6])


def test_a_stop_names_one_of_several(place: Path) -> None:
    from pixguard.store.presence import Presence

    attack = json.loads(typed(f"{LONG} --detach --json").stdout)
    with Presence("pixguard.db", "pixguard train").at_work():
        assert f"pixguard stop {attack['pid']}" in run("stop", code=2).output
        assert "does not work on pixguard.db" in run("stop 1", code=2).output
        assert run_json(f"stop {attack['pid']}")["pid"] == attack["pid"]


def test_watching_shows_a_line_each_time(place: Path) -> None:
    words = [*pixguard_command(), "status", "--watch", "--json"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["working"] == []
    assert json.loads(child.stdout.readline())["plans"] == []
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 0


def test_a_run_of_another_computer_is_stopped_there(place: Path) -> None:
    run("attack --dataset oct --pixels 1 --limit 1 --population 20 --generations 2")
    now_ms = int(1000 * time.time())
    with sqlite3.connect("pixguard.db") as database:
        database.execute(
            "UPDATE run SET status = 'running', host = 'far', heartbeat_ms = ? WHERE id = "
            "(SELECT MAX(id) FROM run)",
            [now_ms],
        )
    assert run_json("status")["working"][0]["host"] == "far"
    assert "on far works on pixguard.db" in run("stop", code=1).output
    with sqlite3.connect("pixguard.db") as database:
        database.execute("UPDATE run SET heartbeat_ms = ?", [now_ms - 61_000])
    (one,) = run_json("status")["working"]
    assert one["state"] == "silent"
