"""Carries a plan out on one device, in this process."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from pixguard.attacks.base import Search
from pixguard.attacks.jobs import Job, Outcome
from pixguard.attacks.objectives import (
    Objective,
    change_argmax,
    change_label_set,
    flip_label,
    misclassify,
    reach_target,
)
from pixguard.attacks.scheduler import Scheduler
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.classifiers.inputs import to_unit_range
from pixguard.config import AttackSettings
from pixguard.errors import PixguardError
from pixguard.inference.dense import DenseEvaluator, automatic_batch
from pixguard.records import AttemptRecord, FailureRecord, PixelRecord, PredictionRecord
from pixguard.runner.plan import Plan, PlannedAttempt
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.writer import Writer


def choose_objective(task: str, settings: AttackSettings) -> Objective:
    """Return the objective for a task, a goal and a definition of success."""
    if task == "multi-class":
        return reach_target if settings.target else misclassify
    if settings.target:
        return flip_label
    return change_argmax if settings.success == "argmax" else change_label_set


def slots_and_batch(
    session: Session, subject: Subject, settings: AttackSettings, search: Search, todo: int
) -> tuple[int, int]:
    """Return how many attempts to run at a time, and how many candidates to evaluate at a time."""
    size = subject.dataset.info.size
    batch = settings.batch or automatic_batch(session.device, size)
    slots = max(1, min(todo, batch // search.candidates_per_step))
    return slots, min(batch, slots * search.candidates_per_step)


def measure_rate(
    session: Session, subject: Subject, settings: AttackSettings, search: Search, todo: int
) -> float:
    """Return the candidates per second of one warm evaluation, of all slots."""
    slots, batch = slots_and_batch(session, subject, settings, search, todo)
    evaluator = DenseEvaluator(subject.classifier, batch)
    size = subject.dataset.info.size
    evaluator.allocate(1, size, size)
    image = to_unit_range(subject.dataset.images([0]), session.device)
    count, channels = slots * search.candidates_per_step, subject.dataset.info.channels
    owners = torch.zeros(count, dtype=torch.int64, device=session.device)
    positions = torch.zeros(count, 1, 2, dtype=torch.int64, device=session.device)
    colours = torch.zeros(count, 1, channels, dtype=torch.uint8, device=session.device)
    evaluator.load(0, image[0])
    for _ in range(2):  # the first one pays for warming up
        started = time.perf_counter()
        evaluator.logits(owners, positions, colours).cpu()
    return count / (time.perf_counter() - started)


def _jobs(
    session: Session,
    subject: Subject,
    planned: Sequence[PlannedAttempt],
    settings: AttackSettings,
    predictions: dict[int, PredictionRecord],
) -> Iterator[Job]:
    """Read each image when its turn comes."""
    for attempt in planned:
        image = subject.dataset.images([attempt.image_index])[0]
        clean = predictions[attempt.image_index].predicted
        focus = attempt.target if attempt.target is not None else (clean or (0,))[0]
        if settings.success == "argmax":
            tensor = to_unit_range(image[None], session.device)
            focus = int(canonical_logits(subject.classifier, tensor).argmax(1))
        yield Job(attempt.key, image, clean, focus)


def carry_out(
    session: Session,
    writer: Writer,
    subject: Subject,
    plan: Plan,
    settings: AttackSettings,
    search: Search,
    predictions: dict[int, PredictionRecord],
) -> dict[str, int]:
    """Carry out what is left of a plan; return counts of attempts made, successes, failures."""
    todo, attack_id = plan.todo, writer.attack(plan.record)
    by_key = {attempt.key: attempt for attempt in todo}
    ids = reader.image_ids(writer.engine, subject.dataset_id)
    slots, batch = slots_and_batch(session, subject, settings, search, len(todo))
    scheduler = Scheduler(
        subject.classifier,
        evaluator := DenseEvaluator(subject.classifier, batch),
        search,
        choose_objective(subject.dataset.info.task, settings),
        slots=slots,
        device=session.device,
    )
    counts = {"made": 0, "succeeded": 0, "failed": 0, "queries": 0}
    title = f"attacking, {settings.pixels} pixel{'s' if settings.pixels > 1 else ''}"
    started = time.monotonic()
    done = len(plan.done)
    with (
        memory_hint(batch),
        session.display.track(title, len(plan.attempts), "attempts") as progress,
    ):

        def tell(evaluated: int) -> None:
            """Show progress and commit what is due, after every generation."""
            ended = counts["made"] + counts["failed"]
            rate = evaluated / (time.monotonic() - started)
            share = f"{100 * counts['succeeded'] / ended:.1f} % success, " if ended else ""
            progress.update(done + ended, f"{share}{rate:,.0f} candidates/s")
            writer.flush_if_due()

        progress.update(done)
        jobs = _jobs(session, subject, todo, settings, predictions)
        for outcome in scheduler.run(jobs, session.stop, tell):
            attempt = by_key[outcome.job.key]
            counts["queries"] += outcome.queries
            if outcome.error is not None:
                counts["failed"] += 1
                writer.failure(FailureRecord(attempt.key, "NonFiniteLogits", outcome.error))
                continue
            counts["made"] += 1
            counts["succeeded"] += outcome.success
            writer.attempt(
                _record(outcome, attempt, settings, predictions, evaluator),
                attack_id=attack_id,
                model_id=subject.model.id,
                image_id=ids[attempt.image_index],
            )
    return counts


@contextmanager
def memory_hint(batch: int) -> Iterator[None]:
    """Turn a device's out-of-memory error into one that says what to type."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PixguardError(
            f"the device has not enough memory for {batch} candidates at a time",
            f"the same command with --resume --batch {max(1, batch // 2)}",
        ) from error


def _record(
    outcome: Outcome,
    attempt: PlannedAttempt,
    settings: AttackSettings,
    predictions: dict[int, PredictionRecord],
    evaluator: DenseEvaluator,
) -> AttemptRecord:
    clean = predictions[attempt.image_index]
    image = outcome.job.image
    pixels = tuple(
        PixelRecord(int(r), int(c), _colour(image[r, c]), _colour(after))
        for (r, c), after in zip(outcome.positions, outcome.colours, strict=True)
    )
    return AttemptRecord(
        attempt_key=attempt.key,
        image_index=attempt.image_index,
        target=attempt.target,
        repeat=attempt.repeat,
        seed=settings.seed,
        success=outcome.success,
        predicted_before=clean.predicted,
        predicted_after=outcome.decision.label_set,
        confidence_before=clean.confidence,
        confidence_after=outcome.decision.confidence,
        true_confidence_after=outcome.true_confidence,
        queries=outcome.queries,
        generations=outcome.generations,
        elapsed_ms=outcome.elapsed_ms,
        evaluator=evaluator.name,
        precision=evaluator.precision,
        distinct_queries=outcome.distinct_queries,
        pixels=pixels,
    )


def _colour(values: NDArray[np.uint8]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)
