"""Trains denoisers on a dataset's images."""

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DenoiserSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.overview import content
from pixguard.datasets.patches import PATCH_SIDE, patches
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.variants import variant_parameters
from pixguard.defences.training import load_recipe, train_denoiser
from pixguard.errors import UsageError
from pixguard.models.training_loop import Fit, Workplace
from pixguard.records import NO_FINDING_ORDINAL, Split
from pixguard.runner.registering import Made, begin_training, with_fresh_seed
from pixguard.runner.session import Session
from pixguard.runner.training import Job, described, train
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer


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
            f"{dataset.info.name!r} has no class {only_class!r}", f"one of: {', '.join(ordinals)}"
        )
    wanted = ordinals[only_class]
    label_sets = (dataset.label_set(int(index)) or (NO_FINDING_ORDINAL,) for index in indices)
    carries = np.fromiter((wanted in labels for labels in label_sets), bool, len(indices))
    chosen: NDArray[np.int64] = indices[carries]
    return chosen


def train_on(
    session: Session,
    dataset: ImageDataset,
    settings: DenoiserSettings,
    *,
    resume: bool,
    fresh_seed: bool = False,
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
    load_recipe(settings.name)
    if fresh_seed:
        settings = with_fresh_seed(session, dataset.info, settings)
    parameters = variant_parameters(settings.name, settings.variant)
    indices_train = indices_of_class(dataset, "train", settings.only_class)
    indices_val = indices_of_class(dataset, "val", settings.only_class)
    identity, take = asdict(settings), dataset.images
    if dataset.info.is_native:
        identity, take = {**identity, "patch": PATCH_SIDE}, partial(patches, dataset)
    fits: list[Fit] = []

    def make(at: Workplace) -> Made:
        denoiser = build_denoiser(settings.name, dataset.info.channels, **parameters)
        fit = train_denoiser(denoiser, take(indices_train), take(indices_val), settings, at)
        fits.append(fit)
        return Made(denoiser, fit, parameters)

    def describe_content(writer: Writer, stored: StoredModel) -> None:
        writer.content(stored.dataset_id, content(dataset))

    training = begin_training(session, dataset.info, identity, resume)
    job = Job("denoiser", settings.name, identity, make, describe_content)
    stored = train(session, dataset.info, training, job)
    if training.done is not None:
        return {"model": stored.id, "already_trained": True}
    last = fits[0].epochs[-1]
    return {
        "model": stored.id,
        "denoiser": settings.name,
        "variant": settings.variant,
        "only_class": settings.only_class,
        **described(stored, dataset.info),
        "trainable_parameters": stored.record.trainable_parameters,
        "frozen_parameters": stored.record.frozen_parameters,
        "train_loss": last.train_loss,
        "val_loss": last.val_loss,
    }
