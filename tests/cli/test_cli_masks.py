"""``pixguard certify mask`` as a user types it, on images small enough to try everything on."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app
from support import run, run_json, write_slopes

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

MASK = "certify mask --dataset slopes --stride 2"


@pytest.fixture(scope="module")
def after_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a plain classifier of 400 noisy 8 x 8 images."""
    images, folder = (tmp_path_factory.mktemp(name) for name in ("slopes", "plain"))
    write_slopes(images)
    command = f"train --dataset slopes --source folder --data-dir {images} --size 8 --epochs 3"
    command += " --model small-cnn --learning-rate 0.02 --batch-size 64"
    result = CliRunner().invoke(app, f"{command} --db {folder / 'pixguard.db'}".split())
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def trained(after_training: Path, tmp_path: Path) -> None:
    shutil.copytree(after_training, tmp_path, dirs_exist_ok=True)


def select(query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


@pytest.mark.usefixtures("trained")
def test_masks_go_around_a_classifier_and_what_they_promise_holds() -> None:
    made = run_json(MASK)
    assert (made["model"], made["of_model"], made["masks"]) == (2, 1, 4)
    assert (made["first_round"], made["certificate"]) == (4, 10)
    assert run_json(MASK)["model"] == 2
    assert run_json(f"{MASK} --fill mean")["model"] == 3
    one, two, three = json.loads(run("models list --json").stdout)
    assert one["weights_file"] == two["weights_file"] == three["weights_file"]
    assert (two["architecture"], two["parameters"]["network"]) == ("masked-consensus", "small-cnn")
    layers = json.loads(run("models show 2 --layers --json").stdout)
    assert layers["total_parameters"] == one["trainable_parameters"] + one["frozen_parameters"]
    # A plain command still means the plain classifier, whose training is found as it was.
    assert run_json("attack --dataset slopes --attack random --limit 1 --queries 9")["made"] == 1
    assert select("SELECT DISTINCT model_id FROM attempt") == [(1,)]
    done = run_json("certify apply --dataset slopes --model 2")
    assert done["made"] == done["images"] == 80
    assert select(
        "SELECT COUNT(*) FROM certificate c JOIN prediction p ON p.image_id = c.image_id "
        "AND p.model_id = c.model_id AND p.predicted = c.predicted "
        "WHERE c.method = 'masked-consensus' AND c.radius IN (0, 1)"
    ) == [(80,)]
    attacked = run_json("attack --dataset slopes --attack exhaustive --limit 3 --model 2")
    assert attacked["evaluator"] == "dense" and attacked["made"] == 3
    outcomes = set(
        select(
            "SELECT c.radius, a.success FROM attempt a JOIN certificate c "
            "ON c.image_id = a.image_id AND c.model_id = a.model_id"
        )
    )
    assert (1, 1) not in outcomes and (1, 0) in outcomes
    (table,) = run_json("report --table certified")["tables"]
    first, plain, second = table["rows"]
    assert (first["classifier"], first["votes"], first["images"]) == ("masked-consensus #2", 4, 80)
    assert first["refuted"] == 0 and first["clean_accuracy_percent"] == done["right"] / 0.8
    assert plain["classifier"] == "small-cnn #1" and second["votes"] == 4
    assert "is sound" in run("db check").stdout


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("certify apply --dataset slopes --model 1", "certify mask --dataset slopes --model 1"),
        ("certify apply --dataset slopes --model masked-consensus", "pixguard certify mask"),
        (f"{MASK} --radius 2", "--stride 3"),
        (f"{MASK} --stride 9", "--stride"),
        (f"{MASK} --model 2", "certificate already"),
        (
            "models add --trust any.pt --name masked-consensus --dataset slopes",
            "cannot be the name",
        ),
    ],
)
def test_bad_input_is_a_clear_error(command: str, told: str) -> None:
    if "already" in told:
        run(MASK)
    error = json.loads(run(f"{command} --json", code=2).stdout)["error"]
    assert told in error["message"] + error["hint"]
    assert "is sound" in run("db check").stdout
