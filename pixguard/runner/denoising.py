"""Trains denoisers, and lets them restore every successfully attacked image."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sqlalchemy import Engine
from torch import Tensor, nn

from pixguard.classifiers.evaluation import canonical_logits
from pixguard.classifiers.inputs import to_unit_range
from pixguard.config import DenoiserSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.overview import content
from pixguard.defences.denoisers import NAMES, TRAINED, build_denoiser
from pixguard.defences.denoisers.variants import variant_parameters
from pixguard.defences.restoring import restore
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.inference.images import with_pixels
from pixguard.records import (
    NO_FINDING_ORDINAL,
    RestorationRecord,
    Split,
    decode_label_set,
)
from pixguard.runner.clean_restoring import clean_sample, restore_clean
from pixguard.runner.denoisers import choose_denoisers, label, load_denoiser
from pixguard.runner.patch_selecting import with_patch_select
from pixguard.runner.registering import (
    begin_training,
    keeping_a_finished_training,
    register,
)
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import outcomes, reader
from pixguard.store.gallery import GalleryAttempt
from pixguard.store.outcomes import StoredAttempt, StoredRestoration
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

CHUNK = 64
"""Images restored and judged between two looks at the stop signal."""

Attacked = TypeVar("Attacked", StoredAttempt, StoredRestoration, GalleryAttempt)
"""What tells a clean image and the pixels that were changed in it."""


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
    training = begin_training(session, dataset.info, asdict(settings), resume)
    if training.done is not None:
        session.display.say(f"already trained: denoiser {training.done.id}; nothing to do")
        return {"model": training.done.id, "already_trained": True}
    denoiser = build_denoiser(settings.name, dataset.info.channels, **parameters)
    fit = train_denoiser(
        denoiser,
        dataset.images(indices_train),
        dataset.images(indices_val),
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
        "size": dataset.info.size,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
        "trainable_parameters": stored.record.trainable_parameters,
        "frozen_parameters": stored.record.frozen_parameters,
        "train_loss": fit.epochs[-1].train_loss,
        "val_loss": fit.epochs[-1].val_loss,
    }


def require_attempts(engine: Engine, subject: Subject) -> None:
    """Raise if a classifier was never attacked; attacks that all failed are a result.

    Raises:
        UsageError: with the command that attacks it.
    """
    if not reader.attempt_keys(engine, subject.model.id):
        raise UsageError(
            f"classifier {subject.model.id} has not been attacked yet",
            f"pixguard attack --dataset {subject.dataset.info.name}",
        )


def adversarial_images(
    session: Session, dataset: ImageDataset, attempts: Sequence[Attacked]
) -> tuple[Tensor, Tensor]:
    """Rebuild attacked images from their pixels; return clean and attacked float32 (N, C, H, W)."""
    clean = to_unit_range(dataset.images([a.image_index for a in attempts]), session.device)
    positions = torch.tensor([[(p.row, p.col) for p in a.pixels] for a in attempts])
    colours = torch.tensor([[p.after for p in a.pixels] for a in attempts], dtype=torch.uint8)
    owners = torch.arange(len(attempts), device=session.device)
    return clean, with_pixels(
        clean, owners, positions.to(session.device), colours.to(session.device)
    )


def chunks_by_pixels(attempts: Sequence[Attacked]) -> Iterator[list[Attacked]]:
    """Yield attempts in chunks of one number of pixels, so that they fit one tensor."""
    for count in sorted({len(a.pixels) for a in attempts}):
        group = [a for a in attempts if len(a.pixels) == count]
        for start in range(0, len(group), CHUNK):
            yield group[start : start + CHUNK]


def apply(
    session: Session,
    subject: Subject,
    selectors: Sequence[str],
    pixels: int | None,
    *,
    patch_select: bool = False,
    clean: int = 0,
) -> dict[str, Any]:
    """Restore every successfully attacked image with each denoiser, and judge what comes out.

    What the database holds already is left out, so a run that was interrupted goes on. With
    ``patch_select`` each denoiser but the identity stands under a patch selection, which is a
    denoiser of its own name. ``clean`` is how many clean images each denoiser restores besides.

    Returns:
        What ``pixguard denoise apply --json`` prints.

    Raises:
        UsageError: the classifier was never attacked, or there is no such denoiser.
        InterruptedRunError: a stop was requested; the finished restorations are committed.
    """
    name = subject.dataset.info.name
    config = {
        "denoisers": list(selectors),
        "pixels": pixels,
        "patch_select": patch_select,
        "clean": clean,
    }
    with session.writer(config, seed=0) as writer:
        attempts = outcomes.successes(writer.engine, subject.model.id, pixels=pixels)
        if not attempts:
            require_attempts(writer.engine, subject)
            session.display.say("no attempt succeeded: there is nothing to restore")
        results: dict[str, dict[str, Any]] = {}
        sample = clean_sample(writer, subject, clean)
        chosen = choose_denoisers(writer, subject, selectors)
        if patch_select:
            chosen = with_patch_select(session, writer, subject, chosen)
        for stored in chosen:
            denoiser = load_denoiser(session, stored, subject.dataset.info.channels)
            own = _apply_one(session, writer, subject, stored, denoiser, attempts)
            if sample:
                counts = restore_clean(session, writer, subject, stored, denoiser, sample)
                own |= {f"clean_{name}": count for name, count in counts.items()}
            results[label(stored)] = own
    return {
        "dataset": name,
        "classifier": subject.model.id,
        "attacked": len(attempts),
        "denoisers": results,
    }


def _apply_one(
    session: Session,
    writer: Writer,
    subject: Subject,
    stored: StoredModel,
    denoiser: nn.Module,
    attempts: Sequence[StoredAttempt],
) -> dict[str, Any]:
    present = outcomes.restoration_keys(writer.engine, subject.model.id, stored.id)
    todo = [a for a in attempts if (a.id, a.image_id) not in present]
    done = recovered = 0
    title = f"restoring with {stored.record.architecture}"
    with session.display.track(title, len(todo), "images") as progress:
        for chunk in chunks_by_pixels(todo):
            started = time.perf_counter()
            _, attacked = adversarial_images(session, subject.dataset, chunk)
            restored = restore(denoiser, attacked, batch=CHUNK)
            elapsed_ms = (time.perf_counter() - started) * 1000 / len(chunk)
            for attempt, image in zip(chunk, restored, strict=True):
                logits = canonical_logits(subject.classifier, image[None])
                decision = subject.classifier.decide(logits)[0]
                right = decision.label_set == decode_label_set(attempt.label_code)
                recovered += right
                writer.restoration(
                    RestorationRecord(
                        image_index=attempt.image_index,
                        attempt_id=attempt.id,
                        predicted=decision.label_set,
                        confidence=decision.confidence,
                        recovered=right,
                        elapsed_ms=elapsed_ms,
                    ),
                    image_id=attempt.image_id,
                    classifier_id=subject.model.id,
                    denoiser_id=stored.id,
                )
            done += len(chunk)
            progress.update(done, f"{100 * recovered / done:.1f} % recovered")
            writer.flush()
            session.honour_stop("the finished restorations are committed")
    return {"found": len(attempts) - len(todo), "restored": done, "recovered": recovered}
