"""Attacks a classifier's correctly classified test images: plans, skips what is done, runs."""

import itertools
import time
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Engine

from pixguard.attacks import SEARCHES
from pixguard.attacks.base import Search
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.records import AttackRecord, DatasetInfo, PredictionRecord
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
    search = SEARCHES[settings.attack](settings, subject.dataset.info.channels)
    record = full_record(search, settings, subject.dataset.info.task)
    with session.writer(asdict(settings), settings.seed) as writer:
        if fresh_seed:
            settings = with_fresh_seed(session, writer.engine, subject, settings)
        again = session.again(settings.seed)
        predictions = judge_test_images(session, writer, subject, again)
        plan = make_plan(writer.engine, subject, record, settings, predictions)
        done, total = len(plan.done), len(plan.attempts)
        if done and not resume:
            raise UsageError(
                f"{done} of the {total} attempts of this plan are in {session.database}",
                "--resume to go on with what is missing, or --fresh-seed for another sample",
            )
        if done:
            session.display.say(f"found {done} of {total} attempts; {total - done} left to do")
        started = time.monotonic()
        counts = carry_out(session, writer, subject, plan, settings, search, predictions)
        writer.flush()
        session.honour_stop(f"{done + counts['made']} of {total} attempts are committed", again)
    return {
        **_summary(subject, plan, settings),
        **counts,
        "seconds": round(time.monotonic() - started, 1),
    }


def with_fresh_seed(
    session: Session, engine: Engine, subject: Subject, settings: AttackSettings
) -> AttackSettings:
    """Return the settings with the first seed, from theirs on, without attempts; say which."""
    used = reader.attempt_seeds(engine, subject.model.id)
    seed = next(s for s in itertools.count(settings.seed) if s not in used)
    session.display.say(f"fresh seed: {seed}")
    return replace(settings, seed=seed)


def dry_run(
    session: Session, subject: Subject, settings: AttackSettings, *, fresh_seed: bool
) -> dict[str, Any]:
    """Say what an attack would do, and how long it takes if no attempt succeeds; write nothing."""
    search = SEARCHES[settings.attack](settings, subject.dataset.info.channels)
    record = full_record(search, settings, subject.dataset.info.task)
    engine = open_engine(session.database)
    try:
        if fresh_seed:
            settings = with_fresh_seed(session, engine, subject, settings)
        predictions = judged(session, engine, subject)
        plan = make_plan(engine, subject, record, settings, predictions)
    finally:
        engine.dispose()
    info = subject.dataset.info
    queries = search.most_queries(info.size, info.size, info.channels)
    rate = measure_rate(session, subject, settings, search, len(plan.todo))
    return {
        **_summary(subject, plan, settings),
        "left": len(plan.todo),
        "queries_at_most": queries * len(plan.todo),
        "candidates_per_second": round(rate),
        "seconds_if_all_fail": round(queries * len(plan.todo) / rate),
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
    check_definition(settings, info)
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


def check_definition(settings: AttackSettings, info: DatasetInfo) -> None:
    """Refuse a definition of success that the attack could not use.

    Raises:
        UsageError: ``argmax`` for a multi-class dataset, a targeted attack, or a single label.
    """
    if settings.success == "argmax" and (
        info.task == "multi-class" or settings.target or info.label_count < 2
    ):
        raise UsageError(
            "--success argmax is for non-targeted attacks on several labels at once",
            "leave --success out",
        )


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
