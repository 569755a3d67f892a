"""Trains detectors on a dataset's classes, one at a time or each in turn, and registers them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DetectorSettings
from pixguard.datasets.base import ImageDataset
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.detectors.training import TrainedDetector
from pixguard.errors import UsageError
from pixguard.models.training_loop import Workplace
from pixguard.records import NO_FINDING_ORDINAL
from pixguard.registry import load_target
from pixguard.runner.denoiser_training import indices_of_class
from pixguard.runner.registering import Made, Training, begin_training, with_fresh_seed
from pixguard.runner.session import Session
from pixguard.runner.training import Job, train

EVERY_CLASS = "all"
FEWEST_IMAGES = 10
"""Training images of the normal class; with fewer there is no boundary to speak of."""


def majority_class(dataset: ImageDataset) -> str:
    """Return the class to call normal: no finding, or the one with most training images."""
    for one in dataset.info.classes:
        if one.ordinal == NO_FINDING_ORDINAL:
            return one.name
    counts = dataset.class_counts("train")
    return max(counts, key=lambda name: counts[name])


def plan(
    session: Session, dataset: ImageDataset, settings: DetectorSettings
) -> list[DetectorSettings]:
    """Return the settings of each detector to train: one, or with ``normal`` all, one a class.

    Of all classes those with fewer than :data:`FEWEST_IMAGES` training images are left out, and
    that is said.

    Raises:
        UsageError: no such detector or class, or too few images of it.
    """
    options = DETECTORS[settings.name].options
    if settings.options is None and options is not None:
        settings = replace(settings, options=options())
    if settings.normal is None:
        settings = replace(settings, normal=majority_class(dataset))
    there = dataset.class_counts("train")
    limit = settings.limit
    counts = {name: n if limit is None else min(n, limit) for name, n in there.items()}
    enough = [name for name, count in counts.items() if count >= FEWEST_IMAGES]
    names = [str(settings.normal)]
    if settings.normal == EVERY_CLASS and EVERY_CLASS not in counts:
        rare = [f"{name} ({counts[name]})" for name in counts if name not in enough]
        if rare:
            session.display.say(f"too few training images to be normal: {', '.join(rare)}")
        names = enough
    elif settings.normal not in counts:
        raise UsageError(
            f"{dataset.info.name!r} has no class {settings.normal!r}",
            f"`normal={EVERY_CLASS}`, or one of: {', '.join(counts)}",
        )
    if not names or not set(names) <= set(enough):
        raise _too_few(counts, repr(*names) if names else "any class")
    # A limit that leaves nothing out makes no other detector.
    return [
        replace(settings, normal=name, limit=None if counts[name] == there[name] else limit)
        for name in names
    ]


def _too_few(counts: Mapping[str, int], whose: str) -> UsageError:
    most = max(counts, key=lambda name: counts[name])
    return UsageError(
        f"a detector needs {FEWEST_IMAGES} training images of its normal class, and there are not "
        f"as many of {whose}",
        f"`normal={shlex.quote(most)}` has the most: {counts[most]}; or more images, or a larger "
        "`limit=...`",
    )


def train_on(
    session: Session,
    dataset: ImageDataset,
    settings: DetectorSettings,
    *,
    resume: bool,
    fresh_seed: bool = False,
) -> dict[str, Any]:
    """Train a detector on the images of a class, and register it.

    With ``settings.normal`` ``all`` every class is normal in turn (one against the rest).

    Returns:
        What ``pixguard detect train --json`` prints.

    Raises:
        UsageError: there is no such detector or class, too few images of it, or a training exists
            and ``resume`` is not set.
        InterruptedRunError: a stop was requested; finished epochs and detectors are kept.
    """
    chosen = plan(session, dataset, settings)
    if fresh_seed:
        chosen = _with_one_fresh_seed(session, dataset, chosen)
    # All are checked before hours are spent on the first.
    trainings = [begin_training(session, dataset.info, one.identity(), resume) for one in chosen]
    return {
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size,
        "detectors": {
            str(one.normal): _train(session, dataset, one, training)
            for one, training in zip(chosen, trainings, strict=True)
        },
    }


def _train(
    session: Session, dataset: ImageDataset, settings: DetectorSettings, training: Training
) -> dict[str, Any]:
    indices = training_indices(dataset, settings)
    told: dict[str, Any] = {}

    def make(at: Workplace) -> Made:
        session.display.say(f"normal: {settings.normal}, {len(indices)} training images")
        trained: TrainedDetector = load_target(DETECTORS[settings.name].trainer)(
            dataset.images(indices),
            dataset.images(indices_of_class(dataset, "val", settings.normal)),
            settings,
            at,
        )
        told.update(trained.parameters)
        return Made(trained.network, trained.fit, trained.parameters)

    job = Job("detector", settings.name, settings.identity(), make)
    stored = train(session, dataset.info, training, job)
    if training.done is not None:
        return {"model": stored.id, "already_trained": True}
    return {
        "model": stored.id,
        "training_images": len(indices),
        **told,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
    }


def training_indices(dataset: ImageDataset, settings: DetectorSettings) -> NDArray[np.int64]:
    """Return the dataset indices that a detector is trained on, ascending; a limit draws them."""
    indices = indices_of_class(dataset, "train", settings.normal)
    if settings.limit is None or settings.limit >= len(indices):
        return indices
    drawn = np.random.default_rng(settings.seed).permutation(len(indices))[: settings.limit]
    chosen: NDArray[np.int64] = indices[np.sort(drawn)]
    return chosen


def _with_one_fresh_seed(
    session: Session, dataset: ImageDataset, chosen: Sequence[DetectorSettings]
) -> list[DetectorSettings]:
    """Return the settings with the first seed that no training of any of them has begun with.

    One seed for all: the command that goes on after an interruption names only one.
    """
    seed = chosen[0].seed
    while True:
        fresh = [replace(one, seed=seed) for one in chosen]
        found = max(
            with_fresh_seed(session, dataset.info, one, DetectorSettings.identity).seed
            for one in fresh
        )
        if found == seed:
            return fresh
        seed = found
