"""Attacks a classifier's correctly classified test images: plans, skips what is done, runs."""

import time
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Engine

from pixguard.attacks import DIFFERENTIAL_EVOLUTION, SEARCHES
from pixguard.attacks.base import Search
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.records import AttackRecord, PredictionRecord
from pixguard.runner.inline import carry_out, measure_rate
from pixguard.runner.judging import judge_test_images, judged
from pixguard.runner.plan import Plan, plan_attempts, select_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.engine import open_engine


def full_record(search: Search, settings: AttackSettings, task: str) -> AttackRecord:
    """Return the attack's record; what counts as success is one of its parameters."""
    goal = "targeted" if settings.target else "non-targeted"
    parameters = {**search.record.parameters, "goal": goal}
    if task == "multi-label":
        parameters["success"] = "label" if settings.target else settings.success
    return replace(search.record, parameters=parameters)


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
        counts = carry_out(session, writer, subject, plan, settings, search, predictions)
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
    rate = measure_rate(session, subject, settings)
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
