"""Trains denoisers on a dataset's images, and registers them."""

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DenoiserSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.overview import content
from pixguard.datasets.patches import PATCH_SIDE, patches
from pixguard.defences.denoisers import NAMES, TRAINED, build_denoiser
from pixguard.defences.denoisers.variants import variant_parameters
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.records import NO_FINDING_ORDINAL, Split
from pixguard.runner.registering import (
    begin_training,
    keeping_a_finished_training,
    register,
)
from pixguard.runner.session import Session


def indices_of_class(
    dataset: ImageDataset, split: Split, only_class: str | None
) -> NDArray[np.int64]:
    """Return the dataset indices of a split's images that carry a class, ascending; None: of all.

    Raises:
        UsageError: the dataset has no class of that name.
    """
    indices = dataset.indices(split)
    if only_class is None:
        return indices
    ordinals = {c.name: c.ordinal for c in dataset.info.classes}
    if only_class not in ordinals:
        raise UsageError(
            f"{dataset.info.name!r} has no class {only_class!r}",
            f"--only-class with one of: {', '.join(ordinals)}",
        )
    wanted = ordinals[only_class]
    label_sets = (dataset.label_set(int(index)) or (NO_FINDING_ORDINAL,) for index in indices)
    carries = np.fromiter((wanted in labels for labels in label_sets), bool, len(indices))
    chosen: NDArray[np.int64] = indices[carries]
    return chosen


def train(
    session: Session,
    dataset: ImageDataset,
    settings: DenoiserSettings,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Train a denoiser on a dataset's training images, or one class of them, and register it.

    At native sizes it is trained on a patch of each image.

    Returns:
        What ``pixguard denoise train --json`` prints.

    Raises:
        UsageError: the denoiser needs no training, there is no such variant or class, or this
            training exists and ``resume`` is not set.
        InterruptedRunError: a stop was requested; the finished epochs are kept.
    """
    if settings.name in NAMES and settings.name not in TRAINED:
        raise UsageError(
            f"the denoiser {settings.name!r} needs no training",
            f"pixguard denoise apply --dataset {dataset.info.name}",
        )
    parameters = variant_parameters(settings.name, settings.variant)
    indices_train = indices_of_class(dataset, "train", settings.only_class)
    indices_val = indices_of_class(dataset, "val", settings.only_class)
    identity, take = asdict(settings), dataset.images
    if dataset.info.is_native:
        identity, take = {**identity, "patch": PATCH_SIDE}, partial(patches, dataset)
    training = begin_training(session, dataset.info, identity, resume)
    if training.done is not None:
        session.display.say(f"already trained: denoiser {training.done.id}; nothing to do")
        return {"model": training.done.id, "already_trained": True}
    denoiser = build_denoiser(settings.name, dataset.info.channels, **parameters)
    fit = train_denoiser(
        denoiser,
        take(indices_train),
        take(indices_val),
        settings,
        device=session.device,
        checkpoint=training.checkpoint,
        display=session.display,
        stop=session.stop,
    )
    kept = f"{len(fit.epochs)} finished epochs are kept in {training.checkpoint}"
    session.honour_stop(kept, session.again(settings.seed))
    with (
        keeping_a_finished_training(session, settings.seed),
        session.writer(asdict(settings), settings.seed) as writer,
    ):
        stored = register(
            session,
            writer,
            dataset.info,
            training,
            "denoiser",
            settings.name,
            denoiser,
            fit,
            parameters,
        )
        writer.content(stored.dataset_id, content(dataset))
    training.checkpoint.unlink(missing_ok=True)
    return {
        "model": stored.id,
        "denoiser": settings.name,
        "variant": settings.variant,
        "only_class": settings.only_class,
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size_name,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
        "trainable_parameters": stored.record.trainable_parameters,
        "frozen_parameters": stored.record.frozen_parameters,
        "train_loss": fit.epochs[-1].train_loss,
        "val_loss": fit.epochs[-1].val_loss,
    }
