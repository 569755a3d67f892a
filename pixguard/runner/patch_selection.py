"""Registers denoisers with patch selection over them, and rebuilds registered denoisers."""

from collections.abc import Sequence

import numpy as np
import torch

from pixguard.defences.denoisers.registry import changes_nothing
from pixguard.defences.patch_select import (
    PERCENTILE,
    SUFFIX,
    WINDOW,
    largest_changes,
    threshold,
)
from pixguard.defences.restoring import restore
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.records import ModelRecord, digest
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.denoisers import is_patch_select, load_denoiser
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

CALIBRATION_IMAGES = 256
"""Clean validation images, spread evenly over the split, that a threshold is taken from."""

CHUNK = 16


def with_patch_select(
    session: Session, writer: Writer, subject: Subject, chosen: Sequence[StoredModel]
) -> list[StoredModel]:
    """Return the chosen denoisers with patch selection over them, registered where they are new.

    The identity, which changes nothing to select from, is left out.

    Raises:
        UsageError: nothing is left, or the dataset has no validation images.
        InterruptedRunError: a stop was requested; what is registered stays.
    """
    bases = [model for model in chosen if not changes_nothing(model.record.architecture)]
    if not bases:
        raise UsageError(
            "there is no patch to select: the identity changes nothing",
            "`patch_select=True` with another `denoiser=...`",
        )
    return [
        base if is_patch_select(base.record) else _selecting(session, writer, subject, base)
        for base in bases
    ]


def _selecting(
    session: Session, writer: Writer, subject: Subject, base: StoredModel
) -> StoredModel:
    """Return patch selection over one denoiser; its threshold is taken once and then kept."""
    known = reader.models(writer.engine, kind="denoiser", dataset_id=subject.dataset_id)
    sha256 = base.record.weights_sha256
    for model in known:
        # Another device would find another last digit of the threshold, and so another model.
        if is_patch_select(model.record) and model.record.parameters["base_sha256"] == sha256:
            return model
    images, tau = _calibrate(session, subject, base)
    content = base.record.content_sha256
    record = ModelRecord(
        kind="denoiser",
        architecture=f"{base.record.architecture}{SUFFIX}",
        weights_sha256=digest(["patch-select", sha256, WINDOW, tau]),
        weights_file=base.record.weights_file,
        parameters={
            "base_model": base.id,
            "base_sha256": sha256,
            "base_parameters": dict(base.record.parameters),
            "window": WINDOW,
            "tau": tau,
        },
        hyperparameters={
            "only_class": base.record.hyperparameters.get("only_class"),
            "percentile": PERCENTILE,
            "calibration_images": images,
            **({} if content == sha256 else {"content_sha256": content}),
        },
        trainable_parameters=base.record.trainable_parameters,
        frozen_parameters=base.record.frozen_parameters,
        training_seconds=0.0,
        epochs=0,
    )
    model_id = writer.model(record, subject.dataset_id)
    return reader.find_model(writer.engine, str(model_id), kind="denoiser")


def _calibrate(session: Session, subject: Subject, base: StoredModel) -> tuple[int, float]:
    """Return how many clean validation images were restored, and the threshold."""
    dataset = subject.dataset
    every = dataset.indices("val")
    if not len(every):
        raise UsageError(
            f"patch selection takes its threshold from validation images, and "
            f"{dataset.info.name!r} has none",
            "leave `patch_select=True` out",
        )
    places = np.linspace(0, len(every) - 1, min(CALIBRATION_IMAGES, len(every)))
    indices = every[places.astype(np.int64)]
    denoiser = load_denoiser(session, base, dataset.info.channels)
    changes = []
    title = f"clean images through {base.record.architecture}"
    parts = (part for group in dataset.by_shape(indices) for part in cut(group, CHUNK))
    kept = "the threshold of the patch selection was not found yet"
    for part, _ in in_chunks(session, title, parts, len(indices), kept=kept):
        images = to_unit_range(dataset.images(part), session.device)
        restored = restore(denoiser, images, batch=CHUNK)
        changes.append(largest_changes(images, restored, WINDOW).flatten().cpu())
    return len(indices), threshold(torch.cat(changes))
