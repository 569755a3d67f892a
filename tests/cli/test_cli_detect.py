"""Detection as a user types it, on phantoms of several labels an image."""

import json
from pathlib import Path

import pytest

from support import run, run_json, write_slopes

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


def is_done_in_a_plan() -> bool:
    """Return whether ``pixguard run`` takes a trigger for the newest classifier as trained."""
    study = 'dataset = "slopes"\ndata-dir = "slopes"\nsize = 8\n'
    step = '[study.detect.train]\nmodel = "trigger"\nlimit = 9\n'
    Path("plan.toml").write_text(f"[[study]]\n{study}{step}")
    (only,) = run_json("run plan.toml --dry-run")["steps"]
    return bool(only["done"])


def test_a_trigger_asks_the_classifier_that_it_was_made_for() -> None:
    write_slopes(Path("slopes"))
    data, trigger = "--dataset slopes --data-dir slopes --size 8", "--model trigger --limit 9"
    untrained = json.loads(run(f"detect train {data} {trigger} --json", code=2).stdout)
    assert untrained["error"]["hint"] == "pixguard train --dataset slopes"
    for seed in (0, 1):
        run(f"train {data} --model small-cnn --epochs 1 --limit 40 --seed {seed}")
    told = run(f"detect train {data} {trigger} --classifier 1")
    assert "asks classifier 1 (small-cnn)" in told.output
    again = run_json(f"detect train {data} {trigger} --classifier 1 -r")
    assert again["detectors"][0]["already_trained"]
    assert not is_done_in_a_plan()
    newest = run_json(f"detect train {data} {trigger}")
    assert not newest["detectors"][0].get("already_trained")  # it asks classifier 2
    assert is_done_in_a_plan()
    run("attack --dataset slopes --model 2 --attack random --queries 20 --limit 4")
    told = run("detect apply --dataset slopes")
    assert "detector 3 asks another classifier than the attacked 2" in told.output
    assert "has no layers of its own" in run("models show 3 --layers", code=2).output
    run("db delete model 1 --yes")
    lost = run("detect apply --dataset slopes --detector 3 --json", code=2)
    assert "which is not in this database" in json.loads(lost.stdout)["error"]["message"]
