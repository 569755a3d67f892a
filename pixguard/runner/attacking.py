"""Attacks a classifier's correctly classified test images and records every attempt."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sqlalchemy import Engine

from pixguard.attacks import DIFFERENTIAL_EVOLUTION, SEARCHES
from pixguard.attacks.base import Search
from pixguard.attacks.objectives import (
    Objective,
    change_argmax,
    change_label_set,
    flip_label,
    misclassify,
    reach_target,
)
from pixguard.attacks.scheduler import Job, Outcome, Scheduler
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.inference.dense import DenseEvaluator, automatic_batch
from pixguard.inference.images import to_unit_range
from pixguard.records import (
    AttackRecord,
    AttemptRecord,
    FailureRecord,
    PixelRecord,
    PredictionRecord,
)
from pixguard.runner.plan import PlannedAttempt, plan_attempts, select_images
from pixguard.runner.training import Worksession, judge_test_images
from pixguard.runner.workspace import Subject
from pixguard.store import reader
from pixguard.store.engine import open_engine
from pixguard.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Plan:
    """An attack plan against what the database holds."""

    record: AttackRecord
    attempts: Sequence[PlannedAttempt]
    done: frozenset[str]

    @property
    def todo(self) -> list[PlannedAttempt]:
        """The attempts that are still to be made."""
        return [a for a in self.attempts if a.key not in self.done]


def full_record(search: Search, settings: AttackSettings, task: str) -> AttackRecord:
    """Return the attack's record; what counts as success is one of its parameters."""
    goal = "targeted" if settings.target else "non-targeted"
    parameters = {**search.record.parameters, "goal": goal}
    if task == "multi-label":
        parameters["success"] = "label" if settings.target else settings.success
    return replace(search.record, parameters=parameters)


def choose_objective(task: str, settings: AttackSettings) -> Objective:
    """Return the objective for a task, a goal and a definition of success."""
    if task == "multi-class":
        return reach_target if settings.target else misclassify
    if settings.target:
        return flip_label
    return change_argmax if settings.success == "argmax" else change_label_set


def attack(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    *,
    resume: bool,
    fresh_seed: bool,
) -> dict[str, Any]:
    """Make every attempt of a plan that the database does not hold yet.

    Returns:
        What ``pixguard attack --json`` prints.

    Raises:
        UsageError: attempts of this plan exist, and neither ``resume`` nor ``fresh_seed`` is set.
        InterruptedRunError: a stop was requested; the finished attempts are committed.
    """
    search = SEARCHES[DIFFERENTIAL_EVOLUTION](settings)
    record = full_record(search, settings, subject.dataset.info.task)
    with session.writer(asdict(settings), settings.seed) as writer:
        predictions = judge_test_images(session, writer, subject)
        if fresh_seed:
            used = reader.attempt_seeds(writer.engine, subject.model.id)
            settings = replace(settings, seed=max(used, default=settings.seed - 1) + 1)
            session.display.say(f"fresh seed: {settings.seed}")
        plan = make_plan(writer.engine, subject, record, settings, predictions)
        done, total = len(plan.done), len(plan.attempts)
        if done and plan.todo and not resume:
            raise UsageError(
                f"{done} of the {total} attempts of this plan are in {session.database}",
                "--resume to go on with what is missing, or --fresh-seed for another sample",
            )
        if done:
            session.display.say(f"found {done} of {total} attempts; {total - done} left to do")
        started = time.monotonic()
        counts = _run(session, writer, subject, plan, settings, search, predictions)
        writer.flush()
        session.honour_stop(f"{done + counts['made']} of {total} attempts are committed")
    return {
        **_summary(subject, plan, settings),
        **counts,
        "seconds": round(time.monotonic() - started, 1),
    }


def dry_run(session: Session, subject: Subject, settings: AttackSettings) -> dict[str, Any]:
    """Say what an attack would do and at most how long it would take; write nothing."""
    search = SEARCHES[DIFFERENTIAL_EVOLUTION](settings)
    record = full_record(search, settings, subject.dataset.info.task)
    engine = open_engine(session.database)
    try:
        predictions = judged(session, engine, subject)
        plan = make_plan(engine, subject, record, settings, predictions)
    finally:
        engine.dispose()
    queries = search.candidates_per_step * search.max_steps
    rate = _measure_rate(session, subject, settings)
    return {
        **_summary(subject, plan, settings),
        "left": len(plan.todo),
        "queries_at_most": queries * len(plan.todo),
        "candidates_per_second": round(rate),
        "seconds_at_most": round(queries * len(plan.todo) / rate),
    }


def make_plan(
    engine: Engine,
    subject: Subject,
    record: AttackRecord,
    settings: AttackSettings,
    predictions: dict[int, PredictionRecord],
) -> Plan:
    """Return the plan and what of it is done.

    Raises:
        UsageError: no test image is classified correctly.
    """
    info, model = subject.dataset.info, subject.model
    indices = select_images(subject.dataset, predictions, settings)
    if not indices:
        raise UsageError(
            f"classifier {model.id} classifies no test image of {info.name!r} correctly: there is "
            "nothing to attack",
            f"pixguard train --dataset {info.name} --fresh-seed, with more epochs",
        )
    hashes = {r.index: r.sha256 for r in subject.dataset.records(indices)}
    attempts = plan_attempts(
        subject.dataset, indices, hashes, record, model.record.weights_sha256, settings
    )
    present = reader.attempt_keys(engine, model.id)
    return Plan(record, attempts, frozenset(a.key for a in attempts if a.key in present))


def _summary(subject: Subject, plan: Plan, settings: AttackSettings) -> dict[str, Any]:
    return {
        "dataset": subject.dataset.info.name,
        "classifier": subject.model.id,
        "attack": plan.record.name,
        "pixels": plan.record.pixels,
        "seed": settings.seed,
        "planned": len(plan.attempts),
        "found": len(plan.done),
    }


def _measure_rate(session: Session, subject: Subject, settings: AttackSettings) -> float:
    """Return the evaluator's candidates per second on one warm batch."""
    info = subject.dataset.info
    batch = settings.batch or automatic_batch(session.device, info.size)
    evaluator = DenseEvaluator(subject.classifier, batch)
    image = to_unit_range(subject.dataset.images([0]), session.device)
    owners = torch.zeros(batch, dtype=torch.int64, device=session.device)
    positions = torch.zeros(batch, 1, 2, dtype=torch.int64, device=session.device)
    colours = torch.zeros(batch, 1, info.channels, dtype=torch.uint8, device=session.device)
    for _ in range(2):  # the first batch pays for warming up
        started = time.perf_counter()
        evaluator.logits(image, owners, positions, colours).cpu()
    return batch / (time.perf_counter() - started)


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
        if settings.success == "argmax" and subject.dataset.info.task == "multi-label":
            logits = canonical_logits(
                subject.classifier, to_unit_range(image[None], session.device)
            )
            focus = int(logits.argmax(1)) if attempt.target is None else focus
        yield Job(attempt.key, image, clean, focus)


def _run(
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
    size = subject.dataset.info.size
    batch = settings.batch or automatic_batch(session.device, size)
    scheduler = Scheduler(
        subject.classifier,
        evaluator := DenseEvaluator(subject.classifier, batch),
        search,
        choose_objective(subject.dataset.info.task, settings),
        slots=max(1, min(len(todo), batch // search.candidates_per_step)),
        device=session.device,
    )
    counts = {"made": 0, "succeeded": 0, "failed": 0, "queries": 0}
    title = f"attacking, {settings.pixels} pixel{'s' if settings.pixels > 1 else ''}"
    started = time.monotonic()
    done = len(plan.done)
    with session.display.track(title, len(plan.attempts), "attempts") as progress:
        progress.update(done)
        jobs = _jobs(session, subject, todo, settings, predictions)
        for outcome in scheduler.run(jobs, session.stop):
            attempt = by_key[outcome.job.key]
            counts["queries"] += outcome.queries
            if outcome.error is not None:
                counts["failed"] += 1
                writer.failure(FailureRecord(attempt.key, "NonFiniteLogits", outcome.error))
            else:
                counts["made"] += 1
                counts["succeeded"] += outcome.success
                writer.attempt(
                    _record(outcome, attempt, settings, predictions, evaluator),
                    attack_id=attack_id,
                    model_id=subject.model.id,
                    image_id=ids[attempt.image_index],
                )
            ended = counts["made"] + counts["failed"]
            rate = counts["queries"] / (time.monotonic() - started)
            progress.update(
                done + ended,
                f"{100 * counts['succeeded'] / ended:.1f} % success, {rate:,.0f} candidates/s",
            )
    return counts


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
        pixels=pixels,
    )


def _colour(values: NDArray[np.uint8]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)
