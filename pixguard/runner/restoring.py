"""Lets denoisers restore attacked images and clean ones, and a classifier judge the results."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import torch
from sqlalchemy import Engine
from torch import Tensor

from pixguard.classifiers.evaluation import canonical_logits
from pixguard.datasets.base import ImageDataset
from pixguard.defences.restoring import restore
from pixguard.errors import UsageError
from pixguard.inference.images import with_pixels
from pixguard.models.inputs import to_unit_range
from pixguard.records import NATIVE, PixelRecord, RestorationRecord, decode_label_set
from pixguard.runner.chunks import in_chunks
from pixguard.runner.denoisers import choose_denoisers, label, load_denoiser
from pixguard.runner.patch_selecting import with_patch_select
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import outcomes, reader
from pixguard.store.outcomes import AttackedImage, StoredAttempt
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

CHUNK = 64
"""Images restored and judged between two looks at the stop signal."""


class Source(Protocol):
    """What tells a clean image and the pixels that were changed in it, if any."""

    @property
    def image_index(self) -> int:
        """The dataset index of the clean image."""

    @property
    def pixels(self) -> Sequence[PixelRecord]:
        """The changed pixels."""


AnySource = TypeVar("AnySource", bound=Source)


def require_attempts(engine: Engine, subject: Subject) -> None:
    """Raise if a classifier was never attacked so; attacks that all failed are a result.

    Raises:
        UsageError: with the command that attacks it.
    """
    if not reader.attempt_keys(engine, subject.model.id, subject.dataset_id):
        at = f" at {NATIVE} size" if subject.option else ""
        raise UsageError(
            f"classifier {subject.model.id} has not been attacked{at} yet",
            f"pixguard attack --dataset {subject.dataset.info.name}{subject.option}",
        )


def adversarial_images(
    session: Session, dataset: ImageDataset, attempts: Sequence[Source]
) -> tuple[Tensor, Tensor]:
    """Rebuild images of one shape from their changed pixels, of which all have as many, or none.

    Returns:
        Clean and attacked images, float32 (N, C, H, W) in [0, 1] each; the same where no pixel was
        changed.
    """
    clean = to_unit_range(dataset.images([a.image_index for a in attempts]), session.device)
    if not attempts[0].pixels:
        return clean, clean
    positions = torch.tensor([[(p.row, p.col) for p in a.pixels] for a in attempts])
    colours = torch.tensor([[p.after for p in a.pixels] for a in attempts], dtype=torch.uint8)
    owners = torch.arange(len(attempts), device=session.device)
    return clean, with_pixels(
        clean, owners, positions.to(session.device), colours.to(session.device)
    )


def chunks_alike(dataset: ImageDataset, attempts: Sequence[AnySource]) -> Iterator[list[AnySource]]:
    """Yield attempts in chunks of one number of pixels and one shape, each for one tensor."""
    groups: dict[tuple[int, tuple[int, int]], list[AnySource]] = {}
    for attempt in attempts:
        kind = (len(attempt.pixels), dataset.shape(attempt.image_index))
        groups.setdefault(kind, []).append(attempt)
    for _, group in sorted(groups.items()):
        for start in range(0, len(group), CHUNK):
            yield group[start : start + CHUNK]


def apply(
    session: Session,
    subject: Subject,
    selectors: Sequence[str],
    pixels: int | None,
    *,
    patch_select: bool = False,
) -> dict[str, Any]:
    """Restore with each denoiser, and let the classifier judge what comes out.

    Restored are the images of successful attempts, which tell how often the true label comes
    back, and once each the clean images of all attempts, which tell how often the denoiser itself
    breaks a right decision. What the database holds already is left out, so a run that was
    interrupted goes on. With ``patch_select`` each denoiser but the identity stands under a patch
    selection, which is a denoiser of its own name.

    Returns:
        What ``pixguard denoise apply --json`` prints.

    Raises:
        UsageError: the classifier was never attacked, or there is no such denoiser.
        InterruptedRunError: a stop was requested; the finished restorations are committed.
    """
    config = {"denoisers": list(selectors), "pixels": pixels, "patch_select": patch_select}
    with session.writer(config, seed=0) as writer:
        subject = subject.registered(writer)
        require_attempts(writer.engine, subject)
        of_subject = (writer.engine, subject.model.id, pixels)
        attacked = outcomes.successes(*of_subject, dataset_id=subject.dataset_id)
        clean = outcomes.attacked_images(*of_subject, dataset_id=subject.dataset_id)
        if not attacked:
            session.display.say("no attempt succeeded: only clean images are restored")
        results = {}
        chosen = choose_denoisers(writer, subject, selectors)
        if patch_select:
            chosen = with_patch_select(session, writer, subject, chosen)
        for stored in chosen:
            own = _Application(session, writer, subject, stored)
            found, restored, recovered = own.restore_all(attacked, "attacked", "recovered")
            _, judged, kept = own.restore_all(clean, "clean", "kept")
            results[label(stored)] = {
                "found": found,
                "restored": restored,
                "recovered": recovered,
                "clean_restored": judged,
                "clean_broken": judged - kept,
            }
    return {
        "dataset": subject.dataset.info.name,
        "classifier": subject.model.id,
        "attacked": len(attacked),
        "clean": len(clean),
        "denoisers": results,
    }


class _Application:
    """One denoiser before one classifier."""

    def __init__(
        self, session: Session, writer: Writer, subject: Subject, stored: StoredModel
    ) -> None:
        self._session, self._writer, self._subject = session, writer, subject
        self._stored = stored
        self._denoiser = load_denoiser(session, stored, subject.dataset.info.channels)
        self._present = outcomes.restoration_keys(
            writer.engine, subject.model.id, stored.id, subject.dataset_id
        )

    def restore_all(
        self, images: Sequence[StoredAttempt] | Sequence[AttackedImage], kind: str, right: str
    ) -> tuple[int, int, int]:
        """Return how many were found, how many restored now, and how many of those are right."""
        todo = [i for i in images if (i.attempt_id, i.image_id) not in self._present]
        done = correct = 0
        title = f"restoring {kind} images with {self._stored.record.architecture}"
        for chunk, note in in_chunks(
            self._session,
            title,
            chunks_alike(self._subject.dataset, todo),
            len(todo),
            kept="the finished restorations are committed",
            writer=self._writer,
        ):
            correct += self._restore(chunk)
            done += len(chunk)
            note(f"{100 * correct / done:.1f} % {right}")
        return len(images) - len(todo), done, correct

    def _restore(self, chunk: Sequence[StoredAttempt | AttackedImage]) -> int:
        """Restore, judge and store a chunk; return how many true label sets come out."""
        classifier, correct = self._subject.classifier, 0
        started = time.perf_counter()
        _, images = adversarial_images(self._session, self._subject.dataset, chunk)
        restored = restore(self._denoiser, images, batch=CHUNK)
        elapsed_ms = (time.perf_counter() - started) * 1000 / len(chunk)
        for source, image in zip(chunk, restored, strict=True):
            decision = classifier.decide(canonical_logits(classifier, image[None]))[0]
            right = decision.label_set == decode_label_set(source.label_code)
            correct += right
            self._writer.restoration(
                RestorationRecord(
                    image_index=source.image_index,
                    attempt_id=source.attempt_id,
                    predicted=decision.label_set,
                    confidence=decision.confidence,
                    recovered=right,
                    elapsed_ms=elapsed_ms,
                ),
                image_id=source.image_id,
                classifier_id=self._subject.model.id,
                denoiser_id=self._stored.id,
            )
        return correct
