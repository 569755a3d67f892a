"""Work of days goes on, or stops cleanly, when the terminal or the log that it speaks to goes."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from support import pixguard_command

ATTACK = "attack --dataset oct --limit 12 --population 20 --generations 10 --verbose".split()


def attempts(folder: Path) -> int:
    with sqlite3.connect(folder / "pixguard.db") as database:
        return int(database.execute("SELECT COUNT(*) FROM attempt").fetchone()[0])


def test_a_closed_stderr_does_not_end_an_attack(workplace: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*pixguard_command(), *ATTACK, "--json"],
        cwd=workplace,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
    )
    os.close(writing)
    assert done.returncode == 0
    assert json.loads(done.stdout)["made"] == attempts(workplace) == 12


def test_a_full_disk_of_the_log_does_not_end_an_attack(workplace: Path) -> None:
    """/dev/full takes the opening and refuses the writing."""
    log = workplace / "log.txt"
    run = subprocess.Popen(
        [*pixguard_command(), *ATTACK, "--log-file", str(log)],
        cwd=workplace,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not log.exists():
        assert run.poll() is None
        time.sleep(0.01)
    log.unlink()
    log.symlink_to("/dev/full")
    assert run.communicate(timeout=120) and run.returncode == 0
    assert attempts(workplace) == 12


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_stop_commits_and_leaves_the_run_as_interrupted(workplace: Path, number: int) -> None:
    run = subprocess.Popen(
        [*pixguard_command(), "attack", "--dataset", "oct", "--generations", "5000"],
        cwd=workplace,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    for line in run.stderr:
        if "candidates at a time" in line:
            break
    time.sleep(0.5)
    run.send_signal(number)
    told = run.stderr.read()
    assert run.wait(60) == 130, told
    assert "--resume" in told
    with sqlite3.connect(workplace / "pixguard.db") as database:
        status = database.execute("SELECT status FROM run ORDER BY id DESC LIMIT 1").fetchone()
    assert status == ("interrupted",)


def test_what_nohup_runs_does_not_hear_the_terminal_close(workplace: Path) -> None:
    run = subprocess.Popen(
        ["nohup", *pixguard_command(), *ATTACK],
        cwd=workplace,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    run.stderr.readline()
    run.send_signal(signal.SIGHUP)
    assert run.communicate(timeout=120) and run.returncode == 0
    assert attempts(workplace) == 12
