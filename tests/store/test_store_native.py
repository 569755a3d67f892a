"""One classifier on the same images at two sizes: what is read of one is not the other's."""

from dataclasses import replace

import pytest

from pixguard.records import NATIVE_SIZE, PredictionRecord, RestorationRecord
from pixguard.store import maintenance, outcomes, reader
from pixguard.store.engine import open_engine
from store.store_samples import DATASET, Filled, attack, attempt, change, image, open_writer

AT_NATIVE = {"at": "native", "resize": "bicubic"}


@pytest.fixture
def two_sizes(filled: Filled) -> tuple[Filled, int]:
    """The filled database, with one attempt, restoration and decision at native size."""
    native_attack = replace(attack(), parameters={**attack().parameters, **AT_NATIVE})
    with open_writer(filled.path) as writer:
        native = writer.dataset(replace(DATASET, size=NATIVE_SIZE))
        images = writer.images(native, [replace(image(1, "n" * 64), height=40, width=60)])
        writer.predictions(filled.model_id, native, [PredictionRecord(1, (0,), 0.25)])
        writer.predictions(filled.model_id, filled.dataset_id, [PredictionRecord(1, (1,), 0.75)])
        writer.attempt(
            attempt("native", 1),
            attack_id=writer.attack(native_attack),
            model_id=filled.model_id,
            image_id=images[1],
        )
        writer.flush()
        (stored,) = outcomes.successes(writer.engine, filled.model_id, dataset_id=native)
        writer.restoration(
            RestorationRecord(1, stored.id, (1,), 0.5, True, 1.0),
            image_id=images[1],
            classifier_id=filled.model_id,
            denoiser_id=filled.denoiser_id,
        )
    return filled, native


def test_reading_by_dataset(two_sizes: tuple[Filled, int]) -> None:
    filled, native = two_sizes
    engine = open_engine(filled.database)
    model, denoiser = filled.model_id, filled.denoiser_id
    everything = outcomes.successes(engine, model)
    assert native != filled.dataset_id
    for dataset, confidence, restored in ((native, 0.25, 1), (filled.dataset_id, 0.75, 0)):
        assert reader.predictions(engine, model, dataset)[1].confidence == confidence
        assert len(outcomes.restoration_keys(engine, model, denoiser, dataset)) == restored
    own = outcomes.successes(engine, model, dataset_id=filled.dataset_id)
    (other,) = outcomes.successes(engine, model, dataset_id=native)
    assert [*own, other] == everything
    assert len(other.pixels) == len(own[0].pixels) > 0
    keys = reader.attempt_outcomes(engine, model, native)
    assert keys.keys() == {other.attempt_key}
    assert not keys.keys() & reader.attempt_outcomes(engine, model, filled.dataset_id).keys()
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "sound"),
    [
        ("UPDATE attack SET version = version", True),
        ("UPDATE attack SET parameters = '{}' WHERE parameters LIKE '%native%'", False),
        ("UPDATE dataset SET size = 56 WHERE size = 0", False),
        ("UPDATE dataset SET version = 'other' WHERE size = 0", False),
        ("UPDATE dataset SET split_seed = 5 WHERE size = 0", False),
    ],
)
def test_check_takes_the_same_images_at_native_size_and_no_others(
    two_sizes: tuple[Filled, int], statement: str, sound: bool
) -> None:
    filled, _ = two_sizes
    change(filled.path, statement)
    problem = "attempt 5 is on an image of another dataset than its model 1"
    assert maintenance.check(filled.database) == ([] if sound else [problem])


def test_check_finds_an_attack_at_native_size_on_other_images(filled: Filled) -> None:
    change(filled.path, 'UPDATE attack SET parameters = \'{"at":"native"}\'')
    assert len(maintenance.check(filled.database)) == 4
