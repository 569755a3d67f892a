"""``train --name``: what a classifier is called, and found by."""

import json
from pathlib import Path

import pytest

from support import run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TRAIN = "train --dataset oct --source phantom --size 28 --images 100 --model small-cnn --resume"


def names() -> dict[int, str | None]:
    return {m["id"]: m["name"] for m in json.loads(run("models list --json").stdout)}


def test_a_trained_classifier_is_given_a_name_and_found_by_it() -> None:
    assert run_json(f"{TRAIN} --epochs 1 --name first")["name"] == "first"
    assert run_json(f"{TRAIN} --epochs 1")["name"] == "first"
    assert run_json(f"{TRAIN} --epochs 2 --name second")["model"] == 2
    assert names() == {1: "first", 2: "second"}
    for called, model in (("first", 1), ("second", 2), ("small-cnn", 2)):
        planned = run_json(f"attack --dataset oct --model {called} --limit 1 --dry-run")
        assert planned["classifier"] == model
    run("attack --dataset oct --model first --limit 1 --population 10 --generations 1")
    for options in ("--table success", "--figure success --out x.png"):
        assert run(f"report {options} --dataset oct --model first").stdout == (
            run(f"report {options} --dataset oct --model 1").stdout
        )


def test_one_classifier_has_a_name_at_a_time() -> None:
    run(f"{TRAIN} --epochs 1 --name best")
    run(f"{TRAIN} --epochs 2 --name best")
    assert names() == {1: None, 2: "best"}
    run(f"{TRAIN} --epochs 1 --name best")
    assert names() == {1: "best", 2: None}


@pytest.mark.parametrize("name", ["latest", "7", "polyphase-vote"])
def test_a_name_that_selects_another_one_is_refused(name: str) -> None:
    told = run(f"{TRAIN} --epochs 1 --name {name}", code=2).stderr
    assert f"{name!r} cannot be the name of a model" in told
    assert not Path("pixguard.db").exists()
