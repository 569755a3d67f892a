"""``pixguard certify`` as a user types it, on images small enough to try everything on."""

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pixguard.classifiers.classifier import Classifier
from pixguard.cli.app import app
from pixguard.config import VoteSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import DataError
from support import pixguard_command, run, run_json, write_slopes

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SLOPES = "--dataset slopes --source folder --data-dir {images} --size 8"
TRAIN = "certify train --stride 2 --learning-rate 0.02 --batch-size 64"


@pytest.fixture(scope="module")
def slopes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Options that open 400 noisy 8 x 8 images, a third each: brighter to one side, or not."""
    folder = tmp_path_factory.mktemp("slopes")
    write_slopes(folder)
    return SLOPES.format(images=folder)


@pytest.fixture(scope="module")
def after_training(slopes: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vote")
    command = f"{TRAIN} {slopes} --epochs 3 --db {folder / 'pixguard.db'}"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def trained(after_training: Path, tmp_path: Path) -> Path:
    shutil.copytree(after_training, tmp_path, dirs_exist_ok=True)
    return tmp_path


def select(query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


def certified_rows() -> list[dict[str, object]]:
    (table,) = run_json("report --table certified")["tables"]
    found: list[dict[str, object]] = table["rows"]
    return found


def test_certificates_agree_with_the_decisions_and_withstand_every_pixel(trained: Path) -> None:
    first = run_json("certify apply --dataset slopes --limit 30")
    assert (first["found"], first["made"], first["images"]) == (0, 30, 30)
    whole = run_json("certify apply --dataset slopes")
    assert (whole["found"], whole["made"]) == (30, whole["images"] - 30)
    assert run_json("certify apply --dataset slopes")["made"] == 0
    rows = select(
        "SELECT c.predicted, p.predicted, c.votes, c.radius FROM certificate c "
        "JOIN prediction p ON p.image_id = c.image_id AND p.model_id = c.model_id"
    )
    assert len(rows) == whole["images"] == 80
    for predicted, decided, text, radius in rows:
        votes = json.loads(str(text))
        assert predicted == decided == str(votes.index(max(votes)))
        assert sum(votes) == 4 and 0 <= int(str(radius)) <= 2
    # Eight images, each with every value of every pixel.
    attacked = run_json("attack --dataset slopes --attack exhaustive --limit 8")
    assert attacked["evaluator"] == "dense" and attacked["planned"] == 8
    outcomes = select(
        "SELECT c.radius > 0, a.success, a.queries FROM attempt a JOIN certificate c "
        "ON c.image_id = a.image_id AND c.model_id = a.model_id"
    )
    assert len(outcomes) == 8
    assert (1, 1) not in {outcome[:2] for outcome in outcomes}
    assert {outcome[:2] for outcome in outcomes} >= {(1, 0), (0, 1)}, "nothing could have fallen"
    assert all(queries == 64 * 256 for _, success, queries in outcomes if not success)
    vote, plain = certified_rows()
    assert vote["refuted"] == 0 and vote["votes"] == 4 and vote["images"] == 80
    assert vote["clean_accuracy_percent"] == pytest.approx(100 * whole["right"] / 80)
    fallen = sum(int(str(success)) for _, success, _ in outcomes)
    assert vote["withstood_1_pixel_percent"] == pytest.approx(100 * (8 - fallen) / 8)
    assert plain["classifier"] == "plain"
    assert "is sound" in run("db check").stdout


def test_proof_agrees_with_brute_force_and_a_survey_goes_on_where_it_stopped(slopes: str) -> None:
    run(f"train {slopes} --model small-cnn --epochs 2 --learning-rate 0.02 --batch-size 64")
    attack = "attack --dataset slopes --attack exhaustive --limit 2"
    brute, proven = run_json(attack), run_json(f"{attack} --by bounds")
    assert proven["queries"] < brute["queries"] and "open" not in proven
    rows = select("SELECT COUNT(DISTINCT success) FROM attempt GROUP BY image_id")
    assert rows == [(1,), (1,)]
    survey = run_json("certify pixels --dataset slopes --limit 1")
    assert survey["made"] == survey["images"] == 1 and survey["open %"] == 0
    again = run_json("certify pixels --dataset slopes --limit 2")
    assert (again["found"], again["made"]) == (1, 1)
    images = [
        select(f"SELECT DISTINCT image_id FROM {table} ORDER BY image_id")
        for table in ("attempt", "certificate")
    ]
    assert images[0] == images[1]  # so that surveys are the truth of what attacks were tried on
    told = run("report --table truth").stdout
    assert "Every pixel of 2 images was surveyed" in " ".join(told.split())
    assert "known" in told and "by=bounds" in told


@pytest.fixture(scope="module")
def after_survey(
    request: pytest.FixtureRequest, slopes: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A database with a small network, and six surveyed images of one channel, or of three."""
    folder = tmp_path_factory.mktemp("survey")
    channels = request.param
    for words in (
        f"train {slopes} --channels {channels} --model small-cnn --epochs 1 --limit 100 "
        "--learning-rate 0.02",
        "certify pixels --dataset slopes --limit 6 --universal 2 --most-bounds 400",
    ):
        result = CliRunner().invoke(app, f"{words} --db {folder / 'pixguard.db'}".split())
        assert result.exit_code == 0, result.output
    return folder


def votes_of(method: str) -> list[list[int]]:
    """Return of each image how many pixels are proven, fooled at an extreme, between, and open."""
    rows = select(f"SELECT votes FROM certificate WHERE method = '{method}' ORDER BY image_id")
    found = []
    for (content,) in rows:
        votes = json.loads(str(content))
        if isinstance(votes, dict):
            votes = [votes["proven"], len(votes["extremes"]), votes["between"], votes["open"]]
        found.append(votes)
    return found


@pytest.mark.parametrize("after_survey", ["gray"], indirect=True)
def test_pixels_drawn_are_decided_as_a_survey_decides_them(
    after_survey: Path, tmp_path: Path
) -> None:
    shutil.copytree(after_survey, tmp_path, dirs_exist_ok=True)
    command = "certify pixels --dataset slopes --limit 6 --most-bounds 400"
    every, some = run_json(f"{command} --drawn 64"), run_json(f"{command} --drawn 5")
    surveyed = votes_of("pixel-survey 400")
    assert votes_of("pixel-sample 400 of 64") == surveyed
    assert every["proven"] == sum(votes[0] for votes in surveyed)
    assert 0 < some["drawn"] == some["proven"] + some["fooled_only_between"] <= 30
    for votes, whole in zip(votes_of("pixel-sample 400 of 5"), surveyed, strict=True):
        assert votes[1] == whole[1] and votes[3] == 0
        assert votes[0] <= whole[0] and votes[2] <= whole[2]
        assert votes[0] + votes[2] == min(5, whole[0] + whole[2])
    assert run_json(f"{command} --drawn 5")["made"] == 0
    told = " ".join(run("report --table truth").stdout.split())
    assert "Of 6 images every extreme colour of every pixel was tried" in told


@pytest.mark.parametrize("after_survey", ["rgb"], indirect=True)
def test_a_budget_that_leaves_a_survey_open_decides_pixels_drawn(
    after_survey: Path, tmp_path: Path
) -> None:
    shutil.copytree(after_survey, tmp_path, dirs_exist_ok=True)
    told = run_json("certify pixels --dataset slopes --limit 6 --drawn 1 --most-bounds 20000")
    surveyed = votes_of("pixel-survey 400")
    assert sum(votes[3] for votes in surveyed) > 64
    drawn = votes_of("pixel-sample 20000 of 1")
    assert [votes[1] for votes in drawn] == [votes[1] for votes in surveyed]
    assert told["open"] == 0 and told["drawn"] == sum(votes[1] < 64 for votes in drawn)
    both = "certify pixels --dataset slopes --drawn 1 --universal 2".split()
    refused = CliRunner().invoke(app, both)
    assert refused.exit_code == 2 and "a survey of all pixels" in refused.output


@pytest.mark.parametrize("after_survey", ["gray", "rgb"], indirect=True)
def test_no_two_pixels_fool_more_images_when_chosen_one_after_the_other(
    after_survey: Path, tmp_path: Path
) -> None:
    shutil.copytree(after_survey, tmp_path, dirs_exist_ok=True)
    told = run_json("certify pixels --dataset slopes --limit 6 --universal 2 --most-bounds 400")
    assert told["made"] == 0 and len(told["universal"]) == 2
    dataset, classifier = opened()
    indices = [
        index
        for (index,) in select(
            "SELECT DISTINCT i.dataset_index FROM certificate c JOIN image i ON i.id = c.image_id"
        )
    ]
    images = torch.from_numpy(dataset.images(indices)).permute(0, 3, 1, 2)
    truths = torch.tensor([dataset.label_set(int(str(index)))[0] for index in indices])
    channels = images.shape[1]
    levels = range(256) if channels == 1 else (0, 255)
    colours = torch.tensor(list(itertools.product(levels, repeat=channels))).byte()
    if channels == 3:  # bit by bit, as corners are numbered
        colours = colours.flip(1)
    taken: list[int] = []
    for universal in told["universal"]:
        counts = torch.zeros(64, len(colours), dtype=torch.int64)
        for image, truth in zip(images, truths, strict=True):
            for place in set(range(64)) - set(taken):
                changed = image.expand(len(colours), -1, -1, -1).clone()
                changed[:, :, place // 8, place % 8] = colours
                with torch.no_grad():
                    counts[place] += classifier(changed / 255).argmax(1) != truth
        place, value = divmod(int(counts.argmax()), len(colours))
        assert (universal["row"], universal["col"]) == divmod(place, 8)
        assert np.ravel(universal["value"]).tolist() == colours[value].tolist()
        assert universal["fooled"] == int(counts.max()) > 0
        images = images.clone()
        images[:, :, place // 8, place % 8] = colours[value]
        taken.append(place)


def opened() -> tuple[ImageDataset, Classifier]:
    """Return the images and the classifier of the database in the working folder."""
    from pixguard.cli.common import open_session
    from pixguard.config import DatasetRequest
    from pixguard.runner.subject import open_subject

    request = DatasetRequest("slopes")
    with open_session("pixguard.db", "cpu", request) as session:
        subject = open_subject(session, request, "latest")
    return subject.dataset, subject.classifier


def test_the_vote_is_a_classifier_like_others(trained: Path) -> None:
    (listed,) = json.loads(run("models list --json").stdout)
    assert (listed["kind"], listed["architecture"]) == ("classifier", "polyphase-vote")
    assert listed["parameters"] == {"voter": "small-cnn", "stride": 2}
    assert listed["hyperparameters"]["training_images"] == 280
    layers = json.loads(run("models show 1 --layers --json").stdout)
    assert layers["total_parameters"] == (
        listed["trainable_parameters"] + listed["frozen_parameters"]
    )
    # The white-box attacks find a slope, the paper's a fitness that is not flat.
    budgets = {
        "corner": "--queries 300",
        "sigma-zero": "--queries 40",
        "differential-evolution": "--population 20 --generations 5",
    }
    for name, budget in budgets.items():
        done = run_json(f"attack --dataset slopes --attack {name} --pixels 2 --limit 4 {budget}")
        assert done["made"] == 4 and done["failed"] == 0
    text = run("attack --dataset slopes --attack random --limit 2 --queries 100").stderr
    assert "delta evaluation is not possible" in text
    run("certify apply --dataset slopes")
    assert certified_rows()[0]["refuted"] == 0


def test_a_run_off_is_another_classifier_of_the_same_votes(trained: Path) -> None:
    made = run_json("certify run-off --dataset slopes")
    assert (made["model"], made["of_model"], made["votes"]) == (2, 1, 4)
    assert run_json("certify run-off --dataset slopes")["model"] == 2
    vote, run_off = json.loads(run("models list --json").stdout)
    assert vote["weights_file"] == run_off["weights_file"]
    assert (run_off["architecture"], run_off["parameters"]) == ("run-off", vote["parameters"])
    layers = [json.loads(run(f"models show {n} --layers --json").stdout) for n in (1, 2)]
    assert layers[0]["layers"] == layers[1]["layers"]
    done = run_json("certify apply --dataset slopes --model run-off --limit 40")
    assert done["made"] == 40 and done["confidence"] == 1.0 and done["images_per_second"] > 0
    assert [row["pixels"] for row in done["right_and_certain"]] == list(range(9))
    assert select("SELECT DISTINCT method FROM certificate") == [("run-off",)]
    run("attack --dataset slopes --model run-off --attack exhaustive --limit 4")
    rows = {row["classifier"]: row for row in certified_rows()}
    assert rows["run-off #2"]["votes"] == 4 and rows["run-off #2"]["refuted"] == 0
    assert "is no polyphase vote" in run("certify run-off --dataset slopes -m 2", code=2).output


def test_a_randomised_ablation_from_training_to_the_table(slopes: str) -> None:
    train = f"certify train {slopes} --certificate randomised-ablation --keep 30 --epochs 2"
    made = run_json(f"{train} --learning-rate 0.02 --name seen")
    assert (made["architecture"], made["keep"], made["confidence"]) == (
        "randomised-ablation", 30, 0.95,
    )  # fmt: skip
    assert run_json(f"{train} --learning-rate 0.02 -r")["already_trained"]
    (stored,) = json.loads(run("models list --json").stdout)
    assert stored["parameters"] == {"network": "small-cnn", "keep": 30, "samples": 1000}
    layers = json.loads(run("models show 1 --layers --json").stdout)
    held = stored["trainable_parameters"] + stored["frozen_parameters"]
    assert layers["total_parameters"] == held
    done = run_json("certify apply --dataset slopes --model seen --limit 3")
    assert done["made"] == 3 and done["confidence"] == 0.95
    for predicted, decided, votes, radius in select(
        "SELECT c.predicted, p.predicted, c.votes, c.radius FROM certificate c "
        "JOIN prediction p ON p.image_id = c.image_id AND p.model_id = c.model_id"
    ):
        assert predicted == decided and sum(json.loads(str(votes))) == 1000
        assert 0 <= int(str(radius)) <= 2
    row = next(r for r in certified_rows() if r["classifier"] == "randomised-ablation #1")
    assert (row["votes"], row["images"]) == (1000, 3)


def test_a_training_is_not_done_twice(trained: Path, slopes: str) -> None:
    again = f"{TRAIN} {slopes} --epochs 3"
    assert "--fresh-seed" in run(again, code=2).output
    assert run_json(f"{again} --resume")["already_trained"]
    fresh = run_json(f"{again} --fresh-seed --limit 50")
    assert not fresh["already_trained"] and fresh["model"] == 2
    assert select("SELECT json_extract(hyperparameters, '$.training_images') FROM model") == [
        (280,),
        (50,),
    ]


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, slopes: str) -> None:
    train = [
        *pixguard_command(),
        *TRAIN.split(),
        *slopes.split(),
        "--epochs",
        "4",
        "--limit",
        "120",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(train, env=environment, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / "pixguard-files" / "checkpoints"
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("*.pt")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130, "it was over before it could be stopped"
    assert select("SELECT COUNT(*) FROM model") == [(0,)]
    assert "--resume" in run(f"{TRAIN} {slopes} --epochs 4 --limit 120", code=2).output
    resumed = subprocess.run([*train, "--resume"], env=environment, capture_output=True, text=True)
    assert resumed.returncode == 0 and "found" in resumed.stderr
    other = [*train, "--db", "other.db"]
    subprocess.run(other, env=environment, capture_output=True, check=True)
    with sqlite3.connect("other.db") as database:
        expected = database.execute("SELECT weights_sha256 FROM model").fetchall()
    assert select("SELECT weights_sha256 FROM model") == expected
    assert not list(checkpoints.iterdir())


BAD = [
    (f"{TRAIN} --stride 1", 2, "stride of 1"),
    (f"{TRAIN} --stride 9", 2, "stride of 9"),
    (f"{TRAIN} --stride 3", 2, "--stride 2"),
    (f"{TRAIN} --keep 5", 2, "no option of the certificate polyphase-vote"),
    ("certify train --certificate randomised-ablation --keep 64", 2, "no 64 pixels"),
    ("certify apply --dataset slopes --model run-off", 2, "pixguard certify run-off"),
    (f"{TRAIN} --model resnet5O", 2, "resnet50"),
    (f"{TRAIN} --resume --fresh-seed", 2, "one of the two"),
    ("certify apply --dataset slopes", 2, "pixguard certify train --dataset slopes"),
    ("certify apply --dataset slopes --model 1", 2, "gives no certificates"),
    ("certify apply --dataset slopes --model 7", 2, "pixguard"),
    ("train --model polyphase-vote", 2, "polyphase-vote"),
    ("models add --trust any.pt --name polyphase-vote", 2, "cannot be the name"),
]


@pytest.fixture(scope="module")
def after_plain_training(slopes: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    command = f"train {slopes} --model small-cnn --epochs 1 --db {folder / 'pixguard.db'}"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize(("command", "code", "told"), BAD, ids=[b[2] for b in BAD])
def test_bad_input_is_a_clear_error(
    after_plain_training: Path, slopes: str, tmp_path: Path, command: str, code: int, told: str
) -> None:
    shutil.copytree(after_plain_training, tmp_path, dirs_exist_ok=True)
    options = "" if "--dataset" in command else slopes
    error = json.loads(run(f"{command} {options} --json", code=code).stdout)["error"]
    assert told in error["message"] + error["hint"]
    assert "is sound" in run("db check").stdout


def test_several_labels_have_no_plurality() -> None:
    command = "certify train --dataset chest --source phantom --size 28 --images 100"
    assert "any number of labels" in run(command, code=2).output


def test_without_training_images_nothing_is_trained(trained: Path, slopes: str) -> None:
    """No source opens such a dataset today; the registry and the loop must not depend on it."""
    from pixguard.cli.common import open_session
    from pixguard.config import TrainingRequest
    from pixguard.runner.classifier_training import VoteTraining
    from pixguard.runner.subject import open_for_training
    from pixguard.runner.training import train

    with open_session("pixguard.db", "cpu") as session:
        dataset = open_for_training(session, TrainingRequest("slopes"))
        empty = replace(dataset, splits=np.full_like(dataset.splits, 2))
        with pytest.raises(DataError, match="no images to train on"):
            train(session, VoteTraining(empty, VoteSettings(stride=2, seed=5)))
