"""Detection as a user types it, on phantoms of several labels an image."""

import json

import pytest

from support import run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TRAIN = "detect train --dataset chest --epochs 1 --limit 24"


def test_from_training_to_the_table() -> None:
    trained = run_json(f"{TRAIN} --source phantom --size 28 --images 120")
    assert trained["detectors"][0]["normal_class"] == "Normal"  # no finding at all
    assert "--resume" in run(TRAIN, code=2).output
    assert run_json(f"{TRAIN} --resume")["detectors"][0]["already_trained"]

    table = json.loads(run("report --table detection --json").stdout)
    assert "pixguard detect apply --dataset chest --detector 1" in json.dumps(table)
    applied = run_json("detect apply --dataset chest")
    (figures,) = applied["detectors"]
    assert figures["normal"] + figures["others"] == 24
    assert applied["classifier"] is None
    shown = run("report --table detection --format md").stdout
    assert "phantom data" in shown and "Effusion" in shown and "all others" in shown
    assert "is sound" in run("db check").stdout
    assert "one-class-svm" in run("models list --kind detector").stdout
    assert "(4, 4, 8)" in run("models show 1 --layers").stdout


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "detect train --dataset oct --source phantom --images 60 --normal Cyst",
            "no class 'Cyst'",
        ),
        ("detect train --dataset oct --source phantom --images 60 --nu 1.5", "nu is 1.5"),
        ("detect train --dataset oct --source phantom --resume --fresh-seed", "--fresh-seed"),
    ],
)
def test_what_is_wrong_is_a_usage_error(command: str, told: str) -> None:
    assert told in " ".join(run(command, code=2).output.split())


def test_without_a_detector_the_command_that_trains_one_is_told() -> None:
    run("train --dataset oct --source phantom --size 28 --images 60 --model small-cnn --epochs 1")
    refused = run("detect apply --dataset oct --json", code=2)
    assert json.loads(refused.stdout)["error"]["hint"] == "pixguard detect train --dataset oct"
