"""Attacks a classifier's correctly classified test images: plans, skips what is done, runs."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Engine

from pixguard.config import AttackSettings, WorkerSettings
from pixguard.errors import UsageError
from pixguard.records import PredictionRecord
from pixguard.runner.defence import clean_cost, gradient_through
from pixguard.runner.execution import carry_out, once
from pixguard.runner.judging import judge_test_images, judged
from pixguard.runner.plan import Plan
from pixguard.runner.planning import make_plan, prepare
from pixguard.runner.searching import Crew, measure_rate
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.engine import reading

HERE = WorkerSettings()
"""This process makes the attempts."""


def attack(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    *,
    through: str | None = None,
    undetected_by: str | None = None,
    workers: WorkerSettings = HERE,
    resume: bool,
    fresh_seed: bool,
) -> dict[str, Any]:
    """Make every attempt of a plan that the database does not hold yet.

    ``through`` names a denoiser: then the classifier behind it is attacked. ``undetected_by`` names
    a detector, which a success must not alarm. ``workers`` make the attempts; they get weights and
    images from here, and the rows are the same.

    Returns:
        What ``pixguard attack --json`` prints.

    Raises:
        UsageError: attempts of this plan exist, and neither ``resume`` nor ``fresh_seed`` is set;
            or the attack or the defence does not fit the dataset, or one the other.
        InterruptedRunError: a stop was requested; the finished attempts are committed.
    """
    names = {"through": through, "undetected_by": undetected_by}
    subject, settings, target, search, record = prepare(session, subject, settings, **names)
    if settings.per_class is None and settings.most_per_class is not None:
        most = settings.most_per_class
        session.display.say(f"at most {most} images a class, as in the paper (per class 0: all)")
    if through is not None and search.uses_gradients:
        session.display.say(f"gradients through it: {gradient_through(target)}")
    with session.writer({**asdict(settings), **names, **subject.threat}, settings.seed) as writer:
        subject, target = subject.registered(writer), target.registered(writer)
        if fresh_seed:
            settings = with_fresh_seed(session, writer.engine, subject, settings)
        again = session.again(settings.seed)
        predictions = judge_test_images(session, writer, subject, again)
        plan = make_plan(session, writer.engine, target, record, settings, predictions)
        done, total = len(plan.done), len(plan.attempts)
        if done and not resume:
            if done == total:
                told = f"all {total} attempts of this plan are in {session.place} already"
                go_on = "`resume=True` to see what they came to"
            else:
                told = f"{done} of the {total} attempts of this plan are in {session.place}"
                go_on = "`resume=True` to go on with what is missing"
            raise UsageError(told, f"{go_on}, or `fresh_seed=True` to draw another")
        if done:
            session.display.say(f"found {done} of {total} attempts; {total - done} left to do")
        if plan.shard is not None:
            session.display.say(f"{len(plan.todo)} of these are for shard {settings.shard}")
        started = time.monotonic()
        with hired(session, writer.engine, target, plan, settings, workers) as crew:
            counts = carry_out(session, writer, target, plan, settings, search, crew)
        writer.flush()
        if counts.get("open"):
            session.display.say(
                f"{counts['open']} images are open: no colour was found that flips them, and not "
                "all are ruled out. A larger `most_bounds=...` is another attack, with a plan of "
                "its own"
            )
        found = counts["success"]
        session.honour_stop(
            f"{done + counts['made']} of {total} attempts are committed; of the first "
            f"{found['attempts']} of the plan {found['successes']} succeeded",
            again,
        )
    return {
        **_summary(target, plan, settings, predictions),
        **counts,
        "seconds": round(time.monotonic() - started, 1),
    }


@contextmanager
def hired(
    session: Session,
    engine: Engine,
    subject: Subject,
    plan: Plan,
    settings: AttackSettings,
    wanted: WorkerSettings,
) -> Iterator[Crew | None]:
    """Yield the workers that are wanted, while they are; None where none are, or none are needed.

    Each of several devices has one, if nothing else is said.

    Raises:
        UsageError: dask is not installed.
        PixguardError: there is no such scheduler.
    """
    devices = session.devices or (session.device,)
    count = wanted.workers or (len(devices) if len(devices) > 1 else 0)
    if (not count and wanted.scheduler is None) or not plan.todo:
        yield None
        return
    try:
        from pixguard.runner import cluster
        from pixguard.runner.dispatch import Dispatch
    except ModuleNotFoundError as error:
        raise UsageError(f"workers need dask: {error}", "pip install 'pixguard[cluster]'") from None
    own = reader.dataset(engine, subject.model.dataset_id).info
    say = once(session.display.say)
    if wanted.scheduler is not None:
        with cluster.found(wanted.scheduler) as workers:
            yield Dispatch(session, subject, settings, own, workers, "auto", say)
    else:
        with cluster.started(min(count, len(plan.todo)), devices, say) as workers:
            yield Dispatch(session, subject, settings, own, workers, session.device.type, say)


def with_fresh_seed(
    session: Session, engine: Engine, subject: Subject, settings: AttackSettings
) -> AttackSettings:
    """Return the settings with the first seed, from theirs on, without attempts; say which."""
    used = reader.attempt_seeds(engine, subject.model.id)
    seed = next(s for s in itertools.count(settings.seed) if s not in used)
    session.display.say(f"fresh seed: {seed}")
    return replace(settings, seed=seed)


def dry_run(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    *,
    through: str | None = None,
    undetected_by: str | None = None,
    fresh_seed: bool,
) -> dict[str, Any]:
    """Say what an attack would do, and how long it takes if no attempt succeeds; write nothing."""
    subject, settings, target, search, record = prepare(
        session, subject, settings, through, undetected_by
    )
    with reading(session.database) as engine:
        if fresh_seed:
            settings = with_fresh_seed(session, engine, subject, settings)
        predictions = judged(session, engine, subject)
        plan = make_plan(session, engine, target, record, settings, predictions)
    dataset = subject.dataset
    queries = sum(search.most_queries(*dataset.shape(a.image_index)) for a in plan.todo)
    evaluator, rate = measure_rate(session, target, settings, search, plan)
    return {
        **_summary(target, plan, settings, predictions),
        "left": len(plan.todo),
        "evaluator": evaluator.name,
        "precision": evaluator.precision,
        "queries_at_most": queries,
        "candidates_per_second": round(rate),
        "seconds_if_none_succeeds": round(queries / rate) if plan.todo else 0,
    }


def _summary(
    subject: Subject,
    plan: Plan,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
) -> dict[str, Any]:
    through: dict[str, Any] = {}
    if subject.watch is not None:
        flagged = sum(record.flagged for record in plan.scored)
        through = {"undetected_by": str(subject.watch)}
        through |= {"clean_scored": len(plan.scored), "clean_flagged": flagged}
    if subject.defence is not None:
        cost = clean_cost(subject, predictions, plan.clean)
        through = {"through": str(subject.defence), "gradient": gradient_through(subject), **cost}
    return {
        "dataset": subject.dataset.info.name,
        "classifier": subject.model.id,
        **subject.threat,
        **through,
        "attack": plan.record.name,
        "pixels": plan.record.pixels,
        "seed": settings.seed,
        "planned": len(plan.attempts),
        "found": len(plan.done),
    }
