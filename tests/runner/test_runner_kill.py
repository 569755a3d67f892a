"""An attack that is killed and resumed ends with the rows of one that was not."""

import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from support import pixguard_command

ATTACK = (
    "attack --dataset oct --pixels 2 --limit 30 --population 60 --generations 30 --resume"
).split()
KILLS = 10


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*pixguard_command(), *ATTACK],
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
    assert len(expected) == 30
    assert {columns[4] for columns, _ in expected.values()} == {0, 1}, "both outcomes are needed"

    moments = random.Random(7)
    found_between = set()
    for _ in range(KILLS):
        process = start(workplace)
        assert process.stderr is not None
        process.stderr.readline()  # at work: the imports are behind it
        time.sleep(moments.uniform(0.0, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        found_between.add(len(rows(workplace)))
    assert len(found_between) > 2, "the kills must fall into the work, not before or after it"
    assert max(found_between) < 30, "the last kill must leave work to do"
    errors = finish(workplace)
    assert f"found {max(found_between)} of 30 attempts" in errors

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
