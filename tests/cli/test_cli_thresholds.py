"""Thresholds chosen on validation images: another model, which every command decides by."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch

from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.runner.subject import open_subject
from support import by_name, run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

DATA = "--dataset chest --source phantom --images 60"
TRAIN = f"train {DATA} --model small-cnn --epochs 2"


def select(query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


def test_thresholds_make_another_model_of_the_same_weights() -> None:
    first = run_json(TRAIN)
    found = run_json(f"models thresholds {first['model']} --by youden")
    assert found["model"] != first["model"] and found["of_model"] == first["model"]
    assert found["validation_images"] == 6 and found["test_correct_before"] == first["test_correct"]
    labels = by_name(found["labels"], "label")
    assert any(row["threshold"] != 0.5 for row in labels.values())
    assert all(row["youden"] is None for row in labels.values() if not row["positives"])

    with open_session("pixguard.db", "cpu") as session:
        subject = open_subject(session, DatasetRequest("chest"), "latest")
        native = open_subject(session, DatasetRequest("chest"), str(first["model"]))
    assert subject.model.id == found["model"]
    chosen = [row["threshold"] for row in found["labels"]]
    assert subject.classifier.thresholds.tolist() == pytest.approx(chosen)
    assert native.classifier.thresholds.tolist() == [0.5] * len(chosen)
    own, other = subject.classifier.state_dict(), native.classifier.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own if name != "thresholds")
    (same, other_file) = select("SELECT weights_file FROM model ORDER BY id")
    assert same == other_file
    hashes = select("SELECT COUNT(DISTINCT weights_sha256) FROM model")
    assert hashes == [(2,)]

    # What they are is recorded, and found again: chosen anew, they are the same model.
    shown = run_json(f"models show {found['model']}")
    assert shown["parameters"]["thresholds"] == pytest.approx(chosen)
    assert shown["hyperparameters"]["thresholds_by"] == "youden" and shown["epochs"] == 0
    assert run_json(f"models thresholds {found['model']} --by youden")["model"] == found["model"]
    # The training is still the first model's.
    assert run_json(f"{TRAIN} --resume")["model"] == first["model"]


def test_an_attack_starts_and_ends_with_the_decisions_of_the_thresholds() -> None:
    run(TRAIN)
    found = run_json("models thresholds 1 --by f1")
    predictions = select("SELECT model_id, predicted FROM prediction ORDER BY model_id, image_id")
    own = [p for m, p in predictions if m == found["model"]]
    assert len(own) == 12 and own != [p for m, p in predictions if m == 1]
    attack = "attack --dataset chest --attack random --queries 40 --which label --target"
    result = run_json(f"{attack} Effusion")
    assert result["classifier"] == found["model"] and result["planned"] > 0
    before = select(
        "SELECT t.predicted_before, p.predicted FROM attempt t JOIN prediction p "
        "ON p.model_id = t.model_id AND p.image_id = t.image_id"
    )
    assert before and all(one == other for one, other in before)
    assert "whole label set" in run(f"{attack} each --through median", code=2).output
    assert "one of several labels" in run(attack.replace("--target", ""), code=2).output


def test_costs_are_told_to_the_table_that_takes_them() -> None:
    run(TRAIN)
    run_json("models thresholds 1 --by f1")
    run("attack --dataset chest --attack random --queries 40 --which label --target Effusion")
    Path("costs.csv").write_text("label,direction,cost\nEffusion,missed,5\nEffusion,false,2\n")
    report = run_json("report --table severity,labels --costs costs.csv")
    severity, labels = report["tables"]
    (row,) = severity["rows"]
    (effusion,) = [r for r in labels["rows"] if r["label"] == "Effusion"]
    cost = 5 * effusion["missed"] + 2 * effusion["false"]
    assert row["mean_cost"] == pytest.approx(cost / row["images"])
    assert "--table severity" in run("report --table labels --costs costs.csv", code=2).output


def test_one_class_an_image_has_no_thresholds() -> None:
    run("train --dataset oct --source phantom --images 60 --model small-cnn --epochs 1")
    assert "one class an image" in run("models thresholds latest", code=2).output
