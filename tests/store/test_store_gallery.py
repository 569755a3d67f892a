"""Attempts as the gallery reads them, from a database whose rows are known."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from pixguard.records import AttackRecord, AttemptRecord, PixelRecord, RestorationRecord
from pixguard.store.engine import open_engine
from pixguard.store.gallery import count_attempts, sample_attempts
from postgresql import place
from store.store_samples import DATASET, image, model, open_writer

KEYS = ["c", "a", "d", "b"]
PIXELS = (PixelRecord(3, 4, (1,), (255,)), PixelRecord(0, 27, (2,), (0,)))


def attempt(number: int) -> AttemptRecord:
    return AttemptRecord(
        attempt_key=KEYS[number] * 64,
        image_index=number,
        target=1 if number == 2 else None,
        repeat=0,
        seed=5,
        success=number == 1,
        predicted_before=(0,),
        predicted_after=(1,) if number == 1 else (0,),
        confidence_before=0.9,
        confidence_after=0.6,
        true_confidence_after=0.4,
        queries=10 * number,
        generations=0,
        elapsed_ms=1.0,
        evaluator="dense",
        precision="float32",
        pixels=PIXELS,
    )


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    path = tmp_path / "gallery.db"
    with open_writer(path) as writer:
        dataset_id = writer.dataset(DATASET)
        ids = writer.images(dataset_id, [image(n) for n in range(4)])
        classifier = writer.model(model("a" * 64), dataset_id)
        denoiser = writer.model(model("b" * 64, "median", "denoiser"), dataset_id)
        attack = writer.attack(AttackRecord("random", 1, 2, {}))
        for n in range(4):
            writer.attempt(
                attempt(n),
                attack_id=attack,
                model_id=classifier,
                image_id=ids[n],
                through_model_id=denoiser if n == 3 else None,
            )
        writer.flush()
        writer.restoration(
            RestorationRecord(1, 2, (0,), 0.75, True, 1.0),
            image_id=ids[1],
            classifier_id=classifier,
            denoiser_id=denoiser,
        )
    return open_engine(place(path))


def test_an_attempt_comes_with_pixels_labels_and_restorations(engine: Engine) -> None:
    first, second, third, fourth = sample_attempts(engine, 10)
    assert second.pixels == PIXELS and second.success and not first.success
    assert (second.attack, second.attack_pixels, second.seed) == ("random", 2, 5)
    assert (second.truth, second.predicted_before, second.predicted_after) == ("1", "0", "1")
    assert (second.height, second.width, second.image_index) == (28, 28, 1)
    (restored,) = second.restorations
    assert (restored.predicted, restored.confidence, restored.recovered) == ("0", 0.75, True)
    assert not first.restorations
    assert [a.through for a in (first, second, third, fourth)] == [None, None, None, "median"]
    assert [a.target for a in (first, second, third, fourth)] == [None, None, 1, None]


def test_a_sample_takes_the_smallest_keys_in_the_order_of_ids(engine: Engine) -> None:
    assert count_attempts(engine) == 4
    assert [a.queries for a in sample_attempts(engine, 2)] == [10, 30]  # keys a and b
    assert [a.queries for a in sample_attempts(engine, 3)] == [0, 10, 30]
    assert sample_attempts(engine, 0) == []


def test_one_dataset_can_be_asked_for(engine: Engine) -> None:
    assert count_attempts(engine, "oct") == 4 and len(sample_attempts(engine, 9, "oct")) == 4
    assert count_attempts(engine, "chest") == 0 and sample_attempts(engine, 9, "chest") == []
