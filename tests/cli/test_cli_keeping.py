"""``pixguard db tag`` and ``db delete`` as a user types them."""

import sqlite3
from pathlib import Path

import pytest

from support import run, run_json

TRAIN = (
    "train --dataset oct --source phantom --size 28 --images 120 --model small-cnn --epochs 1 "
    "--batch-size 32 --seed {}"
)


@pytest.fixture(autouse=True)
def two_classifiers(in_an_empty_folder: None) -> None:
    for seed in (0, 1):
        run_json(TRAIN.format(seed))
    run_json("attack --dataset oct --model 2 --attack random --queries 20 --limit 4")


def last_run(table: str) -> int:
    """Return the run that made a table's last row; 0 where it is empty."""
    with sqlite3.connect("pixguard.db") as database:
        return int(database.execute(f"SELECT MAX(run_id) FROM {table}").fetchone()[0] or 0)


def test_a_superseded_model_is_no_longer_the_latest_and_keeps_its_results() -> None:
    assert run_json("models show latest")["id"] == 2
    assert run_json("db tag model 2 superseded --note a_bug")["tags"] == ["superseded"]
    assert run_json("models show latest")["id"] == run_json("models show small-cnn")["id"] == 1
    assert run_json("models show 2")["tags"] == ["superseded"]
    assert "superseded" in run("models list").stdout and "a_bug" in run("db tag").stdout
    assert last_run("attempt") > 0
    assert run_json("db tag model 2 superseded --remove")["tags"] == []
    assert run_json("models show latest")["id"] == 2


def test_deleting_is_counted_refused_without_a_yes_and_done() -> None:
    weights = sorted(Path("pixguard-files/weights").iterdir())
    told = run("models remove 2", code=2).stderr
    assert "has results" in told and "pixguard db delete model 2" in told
    told = run("db delete model 2", code=2).stderr
    assert "4 attempt" in told and "pixguard db delete model 2 --yes" in told
    assert run_json("db delete model 2 --dry-run")["rows"]["attempt"] == 4
    assert run_json("models show 2")["id"] == 2
    done = run_json("db delete model 2 --yes")
    assert done["rows"]["attempt"] == done["rows"]["pixel"] == 4 and done["weights"] == 1
    left = sorted(Path("pixguard-files/weights").iterdir())
    assert len(left) == len(weights) - 1 and run("db check").exit_code == 0
    assert "no model" in run("models show 2", code=2).stderr
    assert run_json("models show latest")["id"] == 1


def test_a_run_and_a_dataset_are_deleted_with_what_rests_on_them() -> None:
    run_json(f"db delete run {last_run('attempt')} --yes")
    assert not last_run("attempt")
    assert run_json("models show 2")["id"] == 2
    again = run_json("attack --dataset oct --model 2 --attack random --queries 20 --limit 4")
    assert again["made"] == 4
    assert run_json("db delete dataset 1 --yes")["rows"]["model"] == 2
    assert run("models list").stdout.strip().startswith("no models")
    assert run("db check").exit_code == 0
    for wrong, told in (
        ("db delete model 99", "there is no model 99"),
        ("db tag model 99 word", "there is no model 99"),
        ("db tag model 1", "which words"),
        ("db delete cat 1", "cat"),
    ):
        assert told in run(wrong, code=2).stderr
