"""``attack --undetected-by``: plans, rows, refusals and tables of attacks under an alarm."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pixguard.classifiers.evaluation import canonical_logits
from pixguard.cli.app import app
from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.defences.detectors.scoring import score_images
from pixguard.records import decode_label_set
from pixguard.runner.detectors import load_detector, watch_of
from pixguard.runner.images import adversarial_images
from pixguard.runner.subject import open_subject
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.gallery import sample_attempts
from support import run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

BUDGET = "--population 20 --generations 8 --pixels 1"
ATTACK = f"attack --dataset oct {BUDGET} --per-class 0"


def select(query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def after_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undetected")
    for command in (
        "train --dataset oct --source phantom --size 28 --images 400 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32",
        "detect train --dataset oct --model repair --false-alarms 0.3",
        "detect train --dataset oct --model one-class-svm --epochs 1 --nu 0.5",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", str(folder / "pixguard.db")])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def trained(after_training: Path, tmp_path: Path) -> Path:
    shutil.copytree(after_training, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("detector", ["repair", "one-class-svm"])
def test_a_success_fools_the_classifier_and_leaves_the_detector_silent(
    trained: Path, detector: str
) -> None:
    run(f"{ATTACK} --limit 10")
    made = run_json(f"{ATTACK} --undetected-by {detector} --limit 10")
    assert detector in made["undetected_by"] and made["made"] == made["planned"] == 10
    assert made["clean_flagged"] > 0, "else nothing is seen of who is left out"
    assert made["clean_scored"] == 10, "the images of the attack without the detector"
    (number,) = select(
        f"SELECT id FROM model WHERE kind = 'detector' AND architecture='{detector}'"
    )
    through = select("SELECT DISTINCT through FROM attempt_details WHERE through IS NOT NULL")
    assert through == [(f"detector {detector}",)]
    flagged = "SELECT image_id FROM detection WHERE attempt_id IS NULL AND flagged = 1"
    assert not select(
        f"SELECT 1 FROM attempt WHERE through_model_id = {number[0]} AND image_id IN ({flagged})"
    )
    # What `detect apply` and the classifier say of the stored images.
    with open_session("pixguard.db", "cpu", DatasetRequest("oct")) as session:
        subject = open_subject(session, DatasetRequest("oct"), "latest")
        with reading(session.database) as engine:
            watch = watch_of(engine, reader.model(engine, number[0]))
            attempts = sample_attempts(engine, 100)
        module = load_detector(session, watch, 1)
        watched = [one for one in attempts if one.through == f"detector {detector}"]
        for one in watched:
            _, image = adversarial_images(session, subject.dataset, [one])
            is_silent = score_images(module, image).item() <= 0
            (decision,) = subject.classifier.decide(canonical_logits(subject.classifier, image))
            assert decision.label_set == decode_label_set(one.predicted_after)
            assert one.success == (is_silent and one.predicted_after != one.truth)
    assert sum(one.success for one in watched) == made["succeeded"]
    assert any(one.success for one in attempts), "else nothing is seen of successes"


def test_it_is_a_plan_of_its_own_that_is_resumed(trained: Path) -> None:
    run(f"{ATTACK} --limit 4")
    watched = f"{ATTACK} --undetected-by repair"
    assert run_json(f"{watched} --limit 2 --dry-run")["found"] == 0
    assert run_json(f"{watched} --limit 2")["made"] == 2
    run(f"{watched} --limit 4", code=2)
    resumed = run_json(f"{watched} --limit 4 --resume")
    assert (resumed["found"], resumed["made"]) == (2, 2)
    by_id = run_json(f"{ATTACK} --undetected-by 2 --limit 4 --resume")
    assert (by_id["found"], by_id["made"]) == (4, 0)
    newest = run_json(f"{ATTACK} --undetected-by latest --limit 4 --dry-run")
    assert newest["found"] == 0 and "one-class-svm" in newest["undetected_by"]
    assert run_json(f"{ATTACK} --limit 4 --resume")["found"] == 4
    assert select("SELECT COUNT(*) FROM detection") == select(
        "SELECT COUNT(DISTINCT image_id) FROM detection"
    )
    run("db check")


def test_what_is_attacked_under_an_alarm_is_no_attack_on_the_bare_classifier(trained: Path) -> None:
    run(f"{ATTACK} --undetected-by repair --limit 3")
    assert select("SELECT COUNT(*) FROM attempts_that_count") == [(0,)]
    applied = run_json("detect apply --dataset oct --detector 2")
    assert applied["attacked"] == 0


@pytest.mark.parametrize(
    ("options", "told", "hint"),
    [
        ("--attack spgd", "gradient", "--attack corner"),
        ("--attack apgd --eps 4", "gradient", "--attack corner"),
        ("--attack exhaustive --by bounds", "bounds", "--by candidates"),
        ("--through median", "two defences", "--through"),
        ("--undetected-by trigger", "no detector 'trigger'", "one-class-svm"),
    ],
)
def test_what_cannot_heed_a_detector_is_refused(
    trained: Path, options: str, told: str, hint: str
) -> None:
    refused = run(f"attack --dataset oct --undetected-by repair {options}", code=2).output
    assert told in refused and hint in refused
    assert not select("SELECT 1 FROM plan")


def test_a_detector_that_alarms_at_everything_leaves_nothing_to_attack(trained: Path) -> None:
    with sqlite3.connect("pixguard.db") as database:
        database.execute("DELETE FROM model WHERE kind = 'detector'")
    assert "pixguard detect train" in run(f"{ATTACK} --undetected-by latest", code=2).output
