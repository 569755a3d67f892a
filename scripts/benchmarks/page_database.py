"""A database of made-up attempts on phantom images, whose page is as large as one likes."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.opening import open_dataset
from pixguard.progress import Silent
from pixguard.provenance import environment
from pixguard.records import (
    AttackRecord,
    AttemptRecord,
    ModelRecord,
    PixelRecord,
    RestorationRecord,
)
from pixguard.store import reader
from pixguard.store.outcomes import successes
from pixguard.store.writer import Writer

ATTACKS = ("differential-evolution", "random")
UNTRAINED = ("identity", "median")
SUCCESS_RATE, RECOVERY_RATE = 0.4, 0.6


def make_database(
    database: Path, attempts: int, *, names: Sequence[str] = ("oct", "derma"), size: int = 28
) -> None:
    """Write a new database: one- and two-pixel attempts on phantoms, and what denoisers undid.

    The images are real phantoms and the denoisers (identity and median) real ones; outcomes,
    confidences and pixels are drawn at random, and the classifiers have no weights.

    Args:
        database: a file that does not exist yet.
        attempts: in all, shared out evenly among the datasets.
        names: of the paper's datasets.
        size: side of the images in pixels.
    """
    random = np.random.default_rng(0)
    share = attempts // len(names)
    with Writer(
        str(database),
        command="scripts/bench_page.py",
        config={},
        seed=0,
        environment=environment(),
    ) as writer:
        for name in names:
            settings = DatasetSettings(name, "phantom", size, phantom_images=max(50, share // 2))
            dataset = open_dataset(settings, Silent())
            dataset_id = writer.dataset(dataset.info)
            ids = writer.images(dataset_id, dataset.records(np.arange(len(dataset))))
            classifier = writer.model(_model("classifier", "small-cnn", name), dataset_id)
            for record in _attempts(dataset, share, name, random):
                attack = AttackRecord(ATTACKS[record.seed], 1, len(record.pixels), {})
                writer.attempt(
                    record,
                    attack_id=writer.attack(attack),
                    model_id=classifier,
                    image_id=ids[record.image_index],
                )
            writer.flush()
            for denoiser in UNTRAINED:
                denoiser_id = writer.model(_model("denoiser", denoiser, name), dataset_id)
                for attempt in successes(writer.engine, classifier):
                    recovered = denoiser != "identity" and random.random() < RECOVERY_RATE
                    writer.restoration(
                        RestorationRecord(
                            image_index=attempt.image_index,
                            attempt_id=attempt.id,
                            predicted=attempt.predicted_before
                            if recovered
                            else attempt.predicted_after,
                            confidence=float(random.uniform(0.5, 1)),
                            recovered=recovered,
                            elapsed_ms=1.0,
                        ),
                        image_id=attempt.image_id,
                        classifier_id=classifier,
                        denoiser_id=denoiser_id,
                    )
            writer.flush()
        assert len(reader.datasets(writer.engine)) == len(names)


def _model(kind: Any, architecture: str, dataset: str) -> ModelRecord:
    return ModelRecord(
        kind=kind,
        architecture=architecture,
        weights_sha256=_digest(kind, architecture, dataset),
        weights_file="" if kind == "denoiser" else "none",
        parameters={},
        hyperparameters={},
        trainable_parameters=0,
        frozen_parameters=0,
        training_seconds=0.0,
        epochs=0,
    )


def _attempts(
    dataset: ImageDataset, count: int, name: str, random: np.random.Generator
) -> Iterator[AttemptRecord]:
    outcomes = [c for c in dataset.info.classes if c.ordinal >= 0]
    for number in range(count):
        index = number // 2 % len(dataset)
        truth = dataset.label_set(index)
        fooled = bool(random.random() < SUCCESS_RATE)
        other = outcomes[int(random.integers(len(outcomes)))].ordinal
        fooled = fooled and (other,) != truth
        before, after = float(random.uniform(0.6, 1)), float(random.uniform(0.4, 0.9))
        yield AttemptRecord(
            attempt_key=_digest("attempt", name, number),
            image_index=index,
            target=None,
            repeat=0,
            seed=number % 2,
            success=fooled,
            predicted_before=truth,
            predicted_after=(other,) if fooled else truth,
            confidence_before=before,
            confidence_after=after,
            true_confidence_after=1 - after if fooled else after,
            queries=int(random.integers(1, 10_000)),
            generations=0,
            elapsed_ms=1.0,
            evaluator="none",
            precision="float32",
            pixels=tuple(_pixels(dataset.images([index])[0], 1 + number // 2 % 2, random)),
        )


def _pixels(
    image: NDArray[np.uint8], count: int, random: np.random.Generator
) -> Iterator[PixelRecord]:
    height, width, channels = image.shape
    for place in random.choice(height * width, count, replace=False).tolist():
        row, col = divmod(place, width)
        colour = tuple(random.integers(0, 256, channels).tolist())
        yield PixelRecord(row, col, tuple(image[row, col].tolist()), colour)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
