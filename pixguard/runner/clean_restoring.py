"""What a denoiser costs: clean images that the classifier gets right, denoised and judged again."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from pixguard.classifiers.evaluation import canonical_logits
from pixguard.classifiers.inputs import to_unit_range
from pixguard.defences.restoring import restore
from pixguard.records import RestorationRecord
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import outcomes, reader
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

CHUNK = 64
"""Images restored and judged between two looks at the stop signal."""


def clean_sample(writer: Writer, subject: Subject, count: int) -> list[int]:
    """Return test images that the classifier gets right, the same for every denoiser.

    They are the first ``count`` in an order by chance that depends on the dataset alone, so that a
    greater count adds to a smaller one.
    """
    dataset = subject.dataset
    known = reader.predictions(writer.engine, subject.model.id)
    tested = dataset.indices("test")
    order = np.random.default_rng(0).permutation(tested).tolist()
    right = (i for i in order if i in known and known[i].predicted == dataset.label_set(i))
    return [index for _, index in zip(range(count), right, strict=False)]


def restore_clean(
    session: Session,
    writer: Writer,
    subject: Subject,
    stored: StoredModel,
    denoiser: nn.Module,
    indices: Sequence[int],
) -> dict[str, Any]:
    """Restore clean images with a denoiser and judge them; those stored already are left out.

    Raises:
        InterruptedRunError: a stop was requested; the finished restorations are committed.
    """
    ids = reader.image_ids(writer.engine, subject.dataset_id)
    present = outcomes.restoration_keys(writer.engine, subject.model.id, stored.id)
    todo = [index for index in indices if (None, ids[index]) not in present]
    right = 0
    title = f"clean images through {stored.record.architecture}"
    with session.display.track(title, len(todo), "images") as progress:
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            started = time.perf_counter()
            clean = to_unit_range(subject.dataset.images(chunk), session.device)
            restored = restore(denoiser, clean, batch=CHUNK)
            elapsed_ms = (time.perf_counter() - started) * 1000 / len(chunk)
            for index, image in zip(chunk, restored, strict=True):
                decision = subject.classifier.decide(
                    canonical_logits(subject.classifier, image[None])
                )[0]
                recovered = decision.label_set == subject.dataset.label_set(index)
                right += recovered
                record = RestorationRecord(
                    image_index=index,
                    attempt_id=None,
                    predicted=decision.label_set,
                    confidence=decision.confidence,
                    recovered=recovered,
                    elapsed_ms=elapsed_ms,
                )
                writer.restoration(
                    record,
                    image_id=ids[index],
                    classifier_id=subject.model.id,
                    denoiser_id=stored.id,
                )
            done = start + len(chunk)
            progress.update(done, f"{100 * (1 - right / done):.1f} % broken")
            writer.flush()
            session.honour_stop("the finished restorations are committed")
    return {"found": len(indices) - len(todo), "restored": len(todo), "broken": len(todo) - right}
