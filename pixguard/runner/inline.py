"""Carries a plan out on one device, in this process."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import choose_evaluator
from pixguard.records import AttemptRecord, FailureRecord, PixelRecord, PredictionRecord
from pixguard.runner.defended import defence_id
from pixguard.runner.plan import Plan, PlannedAttempt
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.writer import Writer

REVISITING_SHARE = 8
"""How many batches of candidates a search that revisits asks for in a step: it asks for few that
are new once it has converged, and attempts at different stages fill the batch together."""

MEASURED_IMAGES = 8
"""Images whose candidates are evaluated to measure how fast that is."""


def choose_objective(task: str, settings: AttackSettings) -> Objective:
    """Return the objective for a task, a goal and a definition of success."""
    if task == "multi-class":
        return reach_target if settings.target else misclassify
    if settings.target:
        return flip_label
    return change_argmax if settings.success == "argmax" else change_label_set


def open_evaluator(
    session: Session, subject: Subject, settings: AttackSettings, search: Search, todo: int
) -> tuple[Evaluator, int]:
    """Return the evaluator for a plan, and how many of its attempts to run at a time."""
    size = subject.dataset.info.size
    evaluator = choose_evaluator(
        subject.classifier,
        size,
        size,
        session.device,
        evaluator=settings.evaluator,
        precision=settings.precision,
        batch=settings.batch,
        say=session.display.say,
    )
    step = search.candidates_per_step
    # Batches have one fixed shape: a larger one than can ever be filled is wasted work.
    evaluator.batch = max(1, min(evaluator.batch, todo * step))
    wanted = evaluator.batch * (REVISITING_SHARE if search.revisits else 1)
    return evaluator, max(1, min(todo, math.ceil(wanted / step)))


def measure_rate(
    session: Session, subject: Subject, settings: AttackSettings, search: Search, plan: Plan
) -> tuple[Evaluator, float]:
    """Return a plan's evaluator and its candidates per second: one warm, full batch."""
    evaluator, slots = open_evaluator(session, subject, settings, search, len(plan.todo))
    indices = [a.image_index for a in plan.todo[: min(slots, MEASURED_IMAGES)]] or [0]
    images = to_unit_range(subject.dataset.images(indices), session.device)
    _, channels, height, width = images.shape
    count, random = evaluator.batch, np.random.default_rng(0)
    places = random.integers(0, (height, width), (count, settings.pixels, 2))
    values = random.integers(0, 256, (count, settings.pixels, channels), dtype=np.uint8)
    owners = torch.arange(count, device=session.device) % len(images)
    positions = torch.from_numpy(places).to(session.device)
    colours = torch.from_numpy(values).to(session.device)
    with memory_hint(evaluator):
        evaluator.allocate(len(images), height, width)
        for slot, image in enumerate(images):
            evaluator.load(slot, image)
        for _ in range(2):  # the first one pays for warming up
            started = time.perf_counter()
            evaluator.logits(owners, positions, colours).cpu()
    return evaluator, count / (time.perf_counter() - started)


def _jobs(
    session: Session,
    subject: Subject,
    planned: Sequence[PlannedAttempt],
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
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
) -> dict[str, Any]:
    """Carry out what is left of a plan.

    Returns:
        Counts of attempts made, successes, failures and queries, and how they were evaluated.
    """
    todo, attack_id = plan.todo, writer.attack(plan.record)
    by_key = {attempt.key: attempt for attempt in todo}
    ids = reader.image_ids(writer.engine, subject.dataset_id)
    through_id = defence_id(writer, subject)
    evaluator, slots = open_evaluator(session, subject, settings, search, len(todo))
    session.display.say(describe(evaluator))
    scheduler = Scheduler(
        subject.classifier,
        evaluator,
        search,
        choose_objective(subject.dataset.info.task, settings),
        slots=slots,
        device=session.device,
        say=session.display.say,
    )
    counts = {"made": 0, "succeeded": 0, "failed": 0, "queries": 0}
    if search.revisits:
        counts["distinct_queries"] = 0
    title = f"attacking, {settings.pixels} pixel{'s' if settings.pixels > 1 else ''}"
    started = time.monotonic()
    done = len(plan.done)
    with (
        memory_hint(evaluator),
        session.display.track(title, len(plan.attempts), "attempts") as progress,
    ):

        def tell(asked: int) -> None:
            """Show progress and commit what is due, after every step."""
            ended = counts["made"] + counts["failed"]
            rate = asked / (time.monotonic() - started)
            share = f"{100 * counts['succeeded'] / ended:.1f} % success, " if ended else ""
            progress.update(done + ended, f"{share}{rate:,.0f} candidates/s")
            writer.flush_if_due()

        progress.update(done)
        jobs = _jobs(session, subject, todo, settings, plan.predictions)
        for outcome in scheduler.run(jobs, session.stop, tell):
            attempt = by_key[outcome.job.key]
            counts["queries"] += outcome.queries
            if outcome.distinct_queries is not None:
                counts["distinct_queries"] += outcome.distinct_queries
            if outcome.error is not None:
                counts["failed"] += 1
                writer.failure(FailureRecord(attempt.key, "NonFiniteLogits", outcome.error))
                continue
            counts["made"] += 1
            counts["succeeded"] += outcome.success
            writer.attempt(
                _record(outcome, attempt, settings, plan.predictions, evaluator),
                attack_id=attack_id,
                model_id=subject.model.id,
                image_id=ids[attempt.image_index],
                through_model_id=through_id,
            )
    return {**counts, "evaluator": evaluator.name, "precision": evaluator.precision}


def describe(evaluator: Evaluator) -> str:
    """Return how candidates are evaluated, in a few words."""
    return (
        f"{evaluator.name} evaluation in {evaluator.precision}, "
        f"{evaluator.batch} candidates at a time"
    )


@contextmanager
def memory_hint(evaluator: Evaluator) -> Iterator[None]:
    """Turn a device's out-of-memory error, where no smaller batch helped, into what to type."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PixguardError(
            f"the device has not enough memory for {evaluator.batch} candidates at a time",
            f"the same command with --resume --batch {evaluator.batch // 2}"
            if evaluator.batch > 1
            else "the same command with --resume, on a device with more memory or --device cpu",
        ) from error


def _record(
    outcome: Outcome,
    attempt: PlannedAttempt,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
    evaluator: Evaluator,
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
