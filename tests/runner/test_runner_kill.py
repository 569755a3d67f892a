"""An attack that is killed and resumed ends with the rows of one that was not."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import pixguard_command

ATTACK = (
    "attack --dataset oct --pixels 2 --limit 40 --population 100 --generations 60 --resume"
).split()
ATTEMPTS = 40
SAVING_OFTEN = """
from pixguard.cli.app import main
from pixguard.runner import in_flight
in_flight.PERIOD_S = 0.2
main()
"""
"""The command, which saves what is in flight every fifth of a second, and not every 30 seconds."""
AFTER_A_COMMIT = [True] * 3 + [False] * 7
"""Ten kills: some soon after results were committed, the others at any moment before that."""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SAVING_OFTEN, *ATTACK],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path) -> str:
    process = start(folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def rows(folder: Path) -> dict[str, tuple[list[object], list[tuple[object, ...]]]]:
    """Attempts by key: every column but those of the run, and the pixels in order."""
    database = sqlite3.connect(folder / "pixguard.db")
    found = {}
    attempts = database.execute(
        "SELECT attempt_key, id, image_id, target, repeat, seed, success, predicted_before, "
        "predicted_after, queries, generations, evaluator, precision, confidence_before, "
        "confidence_after, true_confidence_after FROM attempt ORDER BY attempt_key"
    ).fetchall()
    for key, attempt_id, *columns in attempts:
        assert key not in found
        pixels = database.execute(
            "SELECT ordinal, row, col, before, after FROM pixel WHERE attempt_id = ? "
            "ORDER BY ordinal",
            (attempt_id,),
        ).fetchall()
        found[key] = (columns, pixels)
    database.close()
    return found


@pytest.mark.timeout(900)
def test_ten_kills_change_no_row(workplace: Path, trained: Path, tmp_path: Path) -> None:
    uninterrupted = tmp_path / "uninterrupted"
    uninterrupted.mkdir()
    for item in trained.iterdir():
        copy = uninterrupted / item.name
        if item.is_dir():
            copy.symlink_to(item)
        else:
            copy.write_bytes(item.read_bytes())
    finish(uninterrupted)
    expected = rows(uninterrupted)
    assert len(expected) == ATTEMPTS
    assert {columns[4] for columns, _ in expected.values()} == {0, 1}, "both outcomes are needed"

    moments = random.Random(7)
    found = 0
    for after_a_commit in moments.sample(AFTER_A_COMMIT, len(AFTER_A_COMMIT)):
        process = start(workplace)
        assert process.stderr is not None
        process.stderr.readline()  # at work: the imports are behind it
        while after_a_commit and len(rows(workplace)) == found:
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(moments.uniform(0.0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        if after_a_commit:
            assert len(rows(workplace)) > found
        found = len(rows(workplace))
    assert 3 <= found < ATTEMPTS, "the kills must fall into the work, and leave some of it"
    told = finish(workplace)
    assert f"found {found} of {ATTEMPTS} attempts" in told
    assert "attempts that were in flight" in told, "no kill fell after one was saved"
    assert not list((workplace / "pixguard-files/in-flight").iterdir())

    resumed = rows(workplace)
    assert resumed.keys() == expected.keys()
    for key, (columns, pixels) in expected.items():
        assert resumed[key][1] == pixels
        assert resumed[key][0][:-3] == columns[:-3]
        assert resumed[key][0][-3:] == pytest.approx(columns[-3:], abs=1e-6)
    check = subprocess.run(
        [*pixguard_command(), "db", "check"], cwd=workplace, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stderr
