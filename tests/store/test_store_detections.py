"""Detections: stored once, clean or of an attempt, found again, and checked."""

import math
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from pixguard.records import DetectionRecord
from pixguard.store import maintenance
from pixguard.store.detections import StoredDetection, detections
from store.store_samples import DATASET, Filled, change, model, open_writer, rows


def record(index: int, attempt: int | None = None, score: float = 0.5) -> DetectionRecord:
    return DetectionRecord(index, attempt, score, score > 0, elapsed_ms=2.0)


def test_a_detection_is_kept_once_and_found_again(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        first, second = (
            writer.model(model(letter * 64, "one-class-svm", "detector"), filled.dataset_id)
            for letter in "ef"
        )
        clean = {"image_id": filled.images[0], "detector_id": first}
        writer.detection(record(0), **clean)
        writer.detection(record(0, score=9.0), **clean)
        writer.flush()
        writer.detection(record(0, score=8.0), **clean)
        writer.detection(record(0, attempt=1, score=-1.0), **clean)
        writer.detection(record(0), image_id=filled.images[0], detector_id=second)
        writer.flush()
        found = detections(writer.engine, first)
        assert len(detections(writer.engine, second)) == 1
    assert found == {
        (None, filled.images[0]): StoredDetection(0.5, True),
        (1, filled.images[0]): StoredDetection(-1.0, False),
    }
    assert rows(filled.path, "SELECT COUNT(DISTINCT detection_key) FROM detection") == [(3,)]
    assert maintenance.check(filled.database) == []


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_is_finite(filled: Filled, score: float) -> None:
    with open_writer(filled.path) as writer, pytest.raises(ValueError, match="image 0"):
        writer.detection(
            DetectionRecord(0, None, score, True, 1.0), image_id=1, detector_id=filled.model_id
        )


def test_what_must_not_be_is_found(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        other = writer.dataset(replace(DATASET, name="other"))
        stranger = writer.model(model("f" * 64, "one-class-svm", "detector"), other)
        writer.detection(record(0), image_id=filled.images[0], detector_id=stranger)
        own = writer.model(model("e" * 64, "one-class-svm", "detector"), filled.dataset_id)
        writer.detection(record(1, attempt=1), image_id=filled.images[1], detector_id=own)
    told = " ".join(maintenance.check(filled.database))
    assert f"another dataset than its detector {stranger}" in told
    assert "detection 2 is of another image than its attempt 1" in told
    with pytest.raises(IntegrityError):
        change(filled.path, "UPDATE detection SET flagged = 2")
