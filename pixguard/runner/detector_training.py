"""Trains detectors on a dataset's classes, one at a time or each in turn, and registers them."""

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DenoiserSettings, DetectorSettings
from pixguard.datasets.base import ImageDataset
from pixguard.defences.denoisers.autoencoder import autoencoder
from pixguard.defences.detectors.one_class_svm import fit_one_class_svm, latents_of
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.records import NO_FINDING_ORDINAL
from pixguard.runner.denoiser_training import indices_of_class
from pixguard.runner.registering import (
    Training,
    begin_training,
    keeping_a_finished_training,
    register,
    with_fresh_seed,
)
from pixguard.runner.session import Session

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
        UsageError: no such class, too few images of it, or a share outside (0, 1).
    """
    if not 0 < settings.nu < 1:
        raise UsageError(
            f"nu is {settings.nu:g}, and must be a share between 0 and 1, neither included",
            "--nu 0.05 lets one normal image in twenty raise an alarm",
        )
    there = dataset.class_counts("train")
    limit = settings.limit
    counts = {name: n if limit is None else min(n, limit) for name, n in there.items()}
    enough = [name for name, count in counts.items() if count >= FEWEST_IMAGES]
    names = [settings.normal]
    if settings.normal == EVERY_CLASS and EVERY_CLASS not in counts:
        rare = [f"{name} ({counts[name]})" for name in counts if name not in enough]
        if rare:
            session.display.say(f"too few training images to be normal: {', '.join(rare)}")
        names = enough
    elif settings.normal not in counts:
        raise UsageError(
            f"{dataset.info.name!r} has no class {settings.normal!r}",
            f"--normal {EVERY_CLASS}, or one of: {', '.join(counts)}",
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
        f"--normal {shlex.quote(most)} has the most: {counts[most]}; or more images, or a larger "
        "--limit",
    )


def train(
    session: Session,
    dataset: ImageDataset,
    settings: DetectorSettings,
    *,
    resume: bool,
    fresh_seed: bool = False,
) -> dict[str, Any]:
    """Train an autoencoder on a class, enclose its latents by a one-class SVM, and register both.

    With ``settings.normal`` ``all`` every class is normal in turn (one against the rest).

    Returns:
        What ``pixguard detect train --json`` prints.

    Raises:
        UsageError: there is no such class, too few images of it, or a training exists and
            ``resume`` is not set.
        InterruptedRunError: a stop was requested; finished epochs and detectors are kept.
    """
    chosen = plan(session, dataset, settings)
    if fresh_seed:
        chosen = _with_one_fresh_seed(session, dataset, chosen)
    # All are checked before hours are spent on the first.
    trainings = [begin_training(session, dataset.info, asdict(one), resume) for one in chosen]
    return {
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size,
        "detectors": {
            one.normal: _train(session, dataset, one, training)
            for one, training in zip(chosen, trainings, strict=True)
        },
    }


def _train(
    session: Session, dataset: ImageDataset, settings: DetectorSettings, training: Training
) -> dict[str, Any]:
    if training.done is not None:
        session.display.say(
            f"already trained: detector {training.done.id} ({settings.normal}); nothing to do"
        )
        return {"model": training.done.id, "already_trained": True}
    denoiser = DenoiserSettings(
        name="autoencoder", epochs=settings.epochs, only_class=settings.normal, seed=settings.seed
    )
    images = dataset.images(training_indices(dataset, settings))
    trained = autoencoder(dataset.info.channels)
    session.display.say(f"normal: {settings.normal}, {len(images)} training images")
    fit = train_denoiser(
        trained,
        images,
        dataset.images(indices_of_class(dataset, "val", settings.normal)),
        denoiser,
        device=session.device,
        checkpoint=training.checkpoint,
        display=session.display,
        stop=session.stop,
    )
    kept = f"{len(fit.epochs)} finished epochs are kept in {training.checkpoint}"
    session.honour_stop(kept, session.again(settings.seed))
    session.display.say(f"fitting the one-class SVM to {len(images)} latents")
    started = time.perf_counter()
    detector = fit_one_class_svm(trained, latents_of(trained, images, session.device), settings.nu)
    fit = replace(fit, seconds=fit.seconds + time.perf_counter() - started)
    with (
        keeping_a_finished_training(session, settings.seed),
        session.writer(asdict(settings), settings.seed) as writer,
    ):
        vectors = len(detector.vectors)
        stored = register(
            session,
            writer,
            dataset.info,
            training,
            "detector",
            settings.name,
            detector,
            fit,
            {"support_vectors": vectors},
        )
    training.checkpoint.unlink(missing_ok=True)
    return {
        "model": stored.id,
        "training_images": len(images),
        "support_vectors": vectors,
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
        found = max(with_fresh_seed(session, dataset.info, one).seed for one in fresh)
        if found == seed:
            return fresh
        seed = found
