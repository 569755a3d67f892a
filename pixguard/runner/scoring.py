"""Scores every restoration against its clean image."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pixguard.defences.restoring import restore
from pixguard.errors import UsageError
from pixguard.metrics import METRICS
from pixguard.records import ScoreRecord
from pixguard.runner.chunks import in_chunks, mixed
from pixguard.runner.denoisers import applied_denoisers, load_denoiser
from pixguard.runner.images import CHUNK, adversarial_images, chunks_alike
from pixguard.runner.restoring import require_attempts
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import outcomes
from pixguard.store.outcomes import StoredRestoration
from pixguard.store.writer import Writer
from pixguard.words import shell_word


def score_record(metric: str, value: float) -> ScoreRecord:
    """Return a value as it is stored: NaN and infinity by their kind, without a number."""
    if math.isfinite(value):
        return ScoreRecord(metric, value, "finite")
    return ScoreRecord(metric, None, "nan" if math.isnan(value) else "inf")


def metric_values(name: str, restored: Tensor, clean: Tensor) -> list[float]:
    """Return a metric of each image: NaN where they are too small for it."""
    if min(clean.shape[-2:]) < METRICS[name].least_side:
        return [math.nan] * len(clean)
    values: list[float] = METRICS.load(name).function(restored, clean).tolist()
    return values


def score(session: Session, subject: Subject, names: Sequence[str]) -> dict[str, Any]:
    """Score the restorations that have no score yet with each metric.

    Restored images are recomputed from the attempt's pixels and the denoiser's weights.

    Returns:
        What ``pixguard score --json`` prints.

    Raises:
        UsageError: there is no such metric, or nothing was attacked or restored yet.
        InterruptedRunError: a stop was requested; the finished scores are committed.
    """
    metrics = {name: METRICS.load(name) for name in names}
    with session.writer({"metrics": list(names)}, seed=0) as writer:
        ids = {n: writer.metric(n, m.version, m.parameters) for n, m in metrics.items()}
        subject, scored = subject.registered(writer), []
        applied = applied_denoisers(writer.engine, subject)
        require_attempts(writer.engine, subject)
        if not applied and outcomes.successes(
            writer.engine, subject.model.id, dataset_id=subject.dataset_id
        ):
            raise UsageError(
                f"classifier {subject.model.id} has no restored image to score",
                f"pixguard denoise apply --dataset {shell_word(subject.dataset.info.name)}"
                f"{subject.option}",
            )
        for stored in applied:
            todo = outcomes.restorations_without_scores(
                writer.engine,
                list(ids.values()),
                dataset_id=subject.dataset_id,
                classifier_id=subject.model.id,
                denoiser_id=stored.id,
            )
            denoiser = load_denoiser(session, stored, subject.dataset.info.channels)
            for chunk, _ in in_chunks(
                session,
                f"scoring {stored.record.architecture}",
                chunks_alike(subject.dataset, mixed(todo)),
                len(todo),
                kept="the finished scores are committed",
                writer=writer,
            ):
                clean, attacked = adversarial_images(session, subject.dataset, chunk)
                restored = restore(denoiser, attacked, batch=CHUNK)
                _score_chunk(writer, ids, chunk, restored, clean)
            scored.append(
                {"id": stored.id, "name": stored.record.architecture, "scored": len(todo)}
            )
    return {
        "run": writer.run_id,
        "dataset": subject.dataset.info.name,
        "classifier": subject.model.id,
        "metrics": list(names),
        "denoisers": scored,
    }


def _score_chunk(
    writer: Writer,
    metric_ids: dict[str, int],
    chunk: Sequence[StoredRestoration],
    restored: Tensor,
    clean: Tensor,
) -> None:
    for name, metric_id in metric_ids.items():
        for restoration, value in zip(chunk, metric_values(name, restored, clean), strict=True):
            writer.score(restoration.id, metric_id, score_record(name, value))
