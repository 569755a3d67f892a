"""Detectors trained and applied: interrupted or not they come to the same; bad input is told."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixguard.config import DatasetRequest, DetectorSettings
from pixguard.config.settings import SettingError
from pixguard.datasets.base import ImageDataset
from pixguard.defences.detectors.registry import OneClassSVMOptions
from pixguard.errors import InterruptedRunError, UsageError
from pixguard.progress import Silent
from pixguard.records import (
    NO_FINDING_ORDINAL,
    AttackRecord,
    AttemptRecord,
    ClassInfo,
    DatasetInfo,
    ModelRecord,
    PixelRecord,
)
from pixguard.reports.build import build_table
from pixguard.reports.specs import table_spec
from pixguard.runner import detecting, images
from pixguard.runner.detecting import apply, threshold_for
from pixguard.runner.detector_training import majority_class, train_detectors
from pixguard.runner.session import Session
from pixguard.store.engine import open_engine
from support import StopAfter, by_name

SIDE = 28
SETTINGS = DetectorSettings("round", epochs=2, seed=3)
COUNTS = {"train": (12, 30), "val": (4, 20), "test": (10, 22)}
"""Images of the classes flat and round in each split."""


def make_dataset() -> ImageDataset:
    """Return discs of class ``round``, bars of class ``flat``, and two of class ``rare``."""
    random = np.random.default_rng(0)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    images, labels, splits = [], [], []
    for split, counts in enumerate(COUNTS.values()):
        for label in np.repeat([0, 1, 2], [*counts, 2]):
            place = random.uniform(-3, 3, 3)
            inside = [
                abs(rows - 14 - place[0]) < 3,
                (rows - 14 - place[0]) ** 2 + (cols - 14 - place[1]) ** 2 < 60 + 8 * place[2],
                (rows + cols) % 4 < 2,
            ][label]
            images.append(40 + 150 * inside + random.integers(0, 20, (SIDE, SIDE)))
            labels.append(label)
            splits.append(split)
    stacked = np.array(images, np.uint8)[..., None]
    classes = (ClassInfo(0, "flat"), ClassInfo(1, "round"), ClassInfo(2, "rare"))
    info = DatasetInfo(
        "shapes", "folder", SIDE, "v", "paper", 0, "m" * 64, "multi-class", 1, classes
    )
    return ImageDataset(
        info, np.array(labels), np.array(splits, np.uint8), lambda indices: stacked[indices]
    )


DATASET = make_dataset()


@pytest.fixture(autouse=True)
def small_chunks_of_a_known_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CHUNK", 8)
    monkeypatch.setattr(detecting, "open_registered", lambda *_: DATASET)


def session(folder: Path, stop: Silent | None = None) -> Session:
    folder.mkdir(exist_ok=True)
    return Session(
        str(folder / "p.db"),
        folder / "files",
        torch.device("cpu"),
        Silent(),
        stop or Silent(),
        "pixguard detect",
    )


def trained(folder: Path, stop: Silent | None = None, *, resume: bool = False, **changes: Any):
    return train_detectors(
        session(folder, stop), DATASET, replace(SETTINGS, **changes), resume=resume
    )


def applied(folder: Path, *selectors: str, stop: Silent | None = None, model: str = "latest"):
    return apply(session(folder, stop), DatasetRequest("shapes"), selectors, model)


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "p.db") as database:
        return database.execute(query).fetchall()


def scores(folder: Path) -> list[tuple[Any, ...]]:
    return rows(
        folder,
        "SELECT m.weights_sha256, i.dataset_index, n.attempt_id, n.score, n.flagged "
        "FROM detection n JOIN model m ON m.id = n.detector_id JOIN image i ON i.id = n.image_id "
        "ORDER BY n.detection_key",
    )


def attack(folder: Path) -> None:
    """Store a classifier and attempts that fooled it, on the first test images, and one failure."""
    record = ModelRecord("classifier", "small-cnn", "c" * 64, "c", {}, {}, 1, 0, 1.0, 1)
    test = [int(index) for index in DATASET.indices("test")[:6]]
    with session(folder).writer({}, 0) as writer:
        dataset_id = writer.dataset(DATASET.info)
        model_id = writer.model(record, dataset_id)
        ids = writer.images(dataset_id, DATASET.records(test))
        attack_id = writer.attack(AttackRecord("differential-evolution", 1, 1, {}))
        for index in test:
            before = int(DATASET.images([index])[0, 3, 4, 0])
            attempt = AttemptRecord(
                f"{index:064d}", index, None, 0, 0, index != test[-1], (0,), (1,), 0.9, 0.6, 0.4,
                10, 1, 1.0, "dense", "float32", (PixelRecord(3, 4, (before,), (255,)),),
            )  # fmt: skip
            writer.attempt(attempt, attack_id=attack_id, model_id=model_id, image_id=ids[index])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an attacked classifier and a detector of ``round``, applied at one go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detecting, "open_registered", lambda *_: DATASET)
        folder = tmp_path_factory.mktemp("finished")
        attack(folder)
        trained(folder)
        applied(folder)
    return folder


def test_all_that_is_to_be_scored_is(finished: Path) -> None:
    found = rows(
        finished,
        "SELECT i.split, i.label_set, n.attempt_id IS NULL, COUNT(*) FROM detection n "
        "JOIN image i ON i.id = n.image_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    assert found == [
        ("test", "0", 0, 5), ("test", "0", 1, 10), ("test", "1", 1, 22), ("test", "2", 1, 2),
        ("val", "1", 1, 20),
    ]  # fmt: skip
    again = applied(finished)
    (figures,) = again["detectors"]
    assert (figures["clean_found"], figures["clean_scored"]) == (54, 0)
    assert (figures["attacked_found"], figures["attacked_scored"]) == (5, 0)
    groups = {"validation": 20, "normal": 22, "others": 12}
    assert {name: figures[name] for name in groups} == groups
    (threshold,) = figures["thresholds"]  # 1 % is less than one of twenty images
    assert threshold["false_alarms"] == 0.05
    assert threshold.keys() == {"false_alarms", "score", "normal_flagged", "others_flagged"}


def test_what_is_not_normal_scores_higher(finished: Path) -> None:
    engine = open_engine(str(finished / "p.db"))
    table = build_table(engine, table_spec("detection"))
    engine.dispose()
    names = [column.name for column in table.columns]
    found = {
        row.cells[3].value: {n: c.value for n, c in zip(names, row.cells, strict=True)}
        for row in table.rows
    }
    assert found["flat"]["AUC"] > 0.9 and found["rare"]["AUC"] > 0.9
    attacked = found.pop("attacked: differential-evolution, 1 pixel, no parameters, seed 0, "
                         "small-cnn #1")  # fmt: skip
    assert (attacked["images"], attacked["compared"]) == (5, 5)
    assert list(found) == ["flat", "rare", "all others"]


def test_interrupted_and_resumed_is_the_same(finished: Path, tmp_path: Path) -> None:
    attack(tmp_path)
    with pytest.raises(InterruptedRunError, match="1 finished epochs are kept") as caught:
        trained(tmp_path, StopAfter(3))  # two batches an epoch
    assert caught.value.exit_code == 130 and "--resume" in caught.value.hint
    with pytest.raises(UsageError, match="begun before"):
        trained(tmp_path)
    trained(tmp_path, resume=True)
    assert trained(tmp_path, resume=True)["detectors"][0]["already_trained"]
    done = 0
    for looks in (1, 2):
        with pytest.raises(InterruptedRunError, match="finished detections are committed"):
            applied(tmp_path, stop=StopAfter(looks))
        assert len(scores(tmp_path)) > done
        done = len(scores(tmp_path))
    applied(tmp_path)
    assert scores(tmp_path) == scores(finished)
    assert done < len(scores(finished))


def test_every_class_is_normal_in_turn(tmp_path: Path) -> None:
    found = trained(tmp_path, normal="all", epochs=1)["detectors"]
    # Two images of class rare are no class to enclose.
    assert [one["normal_class"] for one in found] == ["flat", "round"]
    with pytest.raises(UsageError, match="finished"):
        trained(tmp_path, normal="all", epochs=1)
    fresh = train_detectors(
        session(tmp_path),
        DATASET,
        replace(SETTINGS, normal="all", epochs=1, limit=12),
        resume=False,
        fresh_seed=True,
    )
    assert by_name(fresh["detectors"], "normal_class")["round"]["training_images"] == 12
    # The newest of each class and nu; one by its id; one by its class.
    assert len(applied(tmp_path)["detectors"]) == 2
    (by_id,), (by_class,) = (applied(tmp_path, own)["detectors"] for own in ("1", "round"))
    assert (by_id["id"], by_id["name"], by_id["normal_class"]) == (1, "one-class-svm", "flat")
    assert (by_class["id"], by_class["normal_class"]) == (4, "round")


@pytest.mark.parametrize(
    ("changes", "told", "hint"),
    [
        ({"normal": "square"}, "no class 'square'", "flat, round, rare"),
        ({"normal": "rare"}, "10 training images", "`normal=round`"),
        ({"limit": 9}, "10 training images", "`limit=...`"),
        ({"normal": "all", "limit": 3}, "10 training images", "`limit=...`"),
        ({"name": "one-class-smv"}, "no detector 'one-class-smv'", "one-class-svm"),
    ],
)
def test_what_cannot_be_trained_is_told(
    tmp_path: Path, changes: dict[str, Any], told: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        trained(tmp_path, **changes)
    assert hint in caught.value.hint
    assert not (tmp_path / "files").exists()


@pytest.mark.parametrize("nu", [0.0, 1.0, float("nan")])
def test_what_is_no_share_is_refused(nu: float) -> None:
    with pytest.raises(SettingError, match="nu is") as caught:
        OneClassSVMOptions(nu)
    assert "`nu=0.05`" in caught.value.hint


def test_what_cannot_be_applied_is_told(finished: Path, tmp_path: Path) -> None:
    for selectors, model, told, hint in [
        (("flat",), "latest", "no detector 'flat'", "detect train --dataset shapes --normal flat"),
        ((), "resnet50", "no classifier 'resnet50'", "leave `model=...` out"),
        ((), "7", "no classifier '7'", "leave `model=...` out"),
    ]:
        with pytest.raises(UsageError, match=told) as caught:
            applied(finished, *selectors, model=model)
        assert hint in caught.value.hint
    attack(tmp_path)
    with pytest.raises(UsageError, match="no detector of dataset") as caught:
        applied(tmp_path)
    assert caught.value.hint == "pixguard detect train --dataset shapes"


def test_a_detector_of_another_dataset_is_told(finished: Path) -> None:
    with pytest.raises(UsageError, match="was trained on 'shapes', not on this 'cells'") as caught:
        apply(session(finished), DatasetRequest("cells"), ["2"], "latest")
    assert caught.value.hint == "pixguard detect apply --dataset shapes --detector 2"


def test_the_majority_class() -> None:
    assert majority_class(DATASET) == "round"
    info = replace(
        DATASET.info,
        task="multi-label",
        classes=(ClassInfo(NO_FINDING_ORDINAL, "No finding"), ClassInfo(0, "Mass")),
    )
    labels = np.ones((len(DATASET), 1), np.uint8)
    assert majority_class(replace(DATASET, info=info, labels=labels)) == "No finding"


def test_a_threshold_lets_no_more_through_than_it_may() -> None:
    scores = [float(score) for score in range(40)]
    assert threshold_for(scores, 0.05) == 37.0  # 38 and 39 exceed it
    assert threshold_for([1.0] * 40, 0.05) == 1.0
    assert threshold_for(scores, 0.01) is None
    assert threshold_for(scores[:20], 0.05) == 18.0
