"""Attacks a classifier's correctly classified test images: plans, skips what is done, runs."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from pixguard.attacks.engine.search import Search, make_search
from pixguard.config import AttackSettings, WorkerSettings
from pixguard.errors import UsageError
from pixguard.records import AttackRecord, DatasetInfo, PredictionRecord, RestorationRecord
from pixguard.runner.defence import clean_cost, defend, gradient_through, select_behind
from pixguard.runner.execution import carry_out, once
from pixguard.runner.judging import judge_test_images, judged
from pixguard.runner.plan import (
    Plan,
    is_right_about,
    plan_attempts,
    resolve_targets,
    select_images,
)
from pixguard.runner.searching import Crew, measure_rate
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.surrogate import open_surrogate, with_surrogate
from pixguard.shards import Shard
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.words import shell_word

HERE = WorkerSettings()
"""This process makes the attempts."""


def full_record(
    search: Search,
    settings: AttackSettings,
    task: str,
    threat: Mapping[str, str] = MappingProxyType({}),
) -> AttackRecord:
    """Return the attack's record; what counts as success is one of its parameters.

    So is the ``threat``, see :attr:`Subject.threat`.
    """
    goal = "targeted" if settings.target else "non-targeted"
    parameters = {**search.record.parameters, "goal": goal, **threat}
    if task == "multi-label":
        parameters["success"] = "label" if settings.target else settings.success
    return replace(search.record, parameters=parameters)


def attack(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    *,
    through: str | None = None,
    workers: WorkerSettings = HERE,
    resume: bool,
    fresh_seed: bool,
) -> dict[str, Any]:
    """Make every attempt of a plan that the database does not hold yet.

    ``through`` names a denoiser: then the classifier behind it is attacked. ``workers`` make the
    attempts; they get weights and images from here, and the rows are the same.

    Returns:
        What ``pixguard attack --json`` prints.

    Raises:
        UsageError: attempts of this plan exist, and neither ``resume`` nor ``fresh_seed`` is set;
            or the attack or the denoiser does not fit the dataset.
        InterruptedRunError: a stop was requested; the finished attempts are committed.
    """
    subject, settings = with_surrogate(session, subject, settings)
    search, record = open_search(subject, settings)
    search.surrogate = open_surrogate(session, subject.surrogate, subject.resized_to)
    check_through(settings, through)
    if settings.per_class is None and settings.most_per_class is not None:
        most = settings.most_per_class
        session.display.say(f"at most {most} images a class, as in the paper (per class 0: all)")
    target = subject if through is None else defend(session, subject, through)
    if through is not None and search.uses_gradients:
        session.display.say(f"gradients through it: {gradient_through(target)}")
    config = {**asdict(settings), "through": through, **subject.threat}
    with session.writer(config, settings.seed) as writer:
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


def open_search(subject: Subject, settings: AttackSettings) -> tuple[Search, AttackRecord]:
    """Return the search and its full record.

    Raises:
        UsageError: the search does not work on such images, or that many pixels; the definition of
            success is not for such an attack; the dataset has no such target.
    """
    info = subject.dataset.info
    check_definition(settings, info)
    resolve_targets(info, settings.target, ())
    search = make_search(
        settings.attack, settings.options, pixels=settings.pixels, channels=info.channels
    )
    return search, full_record(search, settings, info.task, subject.threat)


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
    fresh_seed: bool,
) -> dict[str, Any]:
    """Say what an attack would do, and how long it takes if no attempt succeeds; write nothing."""
    subject, settings = with_surrogate(session, subject, settings)
    search, record = open_search(subject, settings)
    search.surrogate = open_surrogate(session, subject.surrogate, subject.resized_to)
    check_through(settings, through)
    target = subject if through is None else defend(session, subject, through)
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


def make_plan(
    session: Session,
    engine: Engine,
    subject: Subject,
    record: AttackRecord,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
) -> Plan:
    """Return the plan and what of it is done.

    Args:
        session: where a defended classifier judges clean images, as many as the plan needs.
        engine: the open database.
        subject: what is attacked.
        record: the attack.
        settings: of the plan.
        predictions: the decisions of the classifier, without a defence, on the test images.

    Raises:
        UsageError: no test image is classified correctly.
        InterruptedRunError: a stop was requested.
    """
    info, model, defence = subject.dataset.info, subject.model, subject.defence
    clean: Sequence[RestorationRecord] = ()
    if defence is None:
        indices = select_images(subject.dataset, predictions, settings)
    else:
        indices, clean = select_behind(session, subject, settings, predictions)
        predictions = {
            r.image_index: PredictionRecord(r.image_index, r.predicted, r.confidence) for r in clean
        }
    if not indices:
        behind = "" if defence is None else f", behind {defence},"
        raise UsageError(
            f"classifier {model.id}{behind} classifies no test image of {info.name!r} correctly: "
            "there is nothing to attack",
            "`target=each` with `which=label`: images on which that label is right"
            if info.task == "multi-label" and settings.which != "label"
            else f"pixguard train --dataset {shell_word(info.name)} --fresh-seed, with more epochs"
            if model.record.is_plain
            else "add it again with its classes in the order of `pixguard data info`, and with the "
            "`mean=...` and `std=...` that it was trained with",
        )
    hashes = {r.index: r.sha256 for r in subject.dataset.records(indices)}

    def right_about(index: int, target: int | None) -> bool:
        truth = subject.dataset.label_set(index)
        return settings.which != "label" or is_right_about(
            target, truth, predictions[index].predicted
        )

    attempts = plan_attempts(
        subject.dataset,
        indices,
        hashes,
        record,
        model.record.weights_sha256,
        settings,
        through=None if defence is None else defence.identity,
        right_about=right_about,
    )
    present = reader.attempt_outcomes(engine, model.id, subject.dataset_id)
    done = {a.key: present[a.key] for a in attempts if a.key in present}
    shard = None if settings.shard is None else Shard.parse(settings.shard)
    return Plan(record, attempts, done, predictions, clean, shard)


def check_definition(settings: AttackSettings, info: DatasetInfo) -> None:
    """Refuse a definition of success that the attack could not use.

    Raises:
        UsageError: ``argmax`` for a multi-class dataset, a targeted attack, or a single label;
            images that are right about a label for anything but an attack on one of several.
    """
    if settings.success == "argmax" and (
        info.task == "multi-class" or settings.target or info.label_count < 2
    ):
        raise UsageError(
            "success by argmax is for non-targeted attacks on several labels at once",
            "take the default, label-set",
        )
    if settings.which == "label" and (info.task == "multi-class" or not settings.target):
        raise UsageError(
            "images that are right about a label are for attacks on one of several labels",
            "`target=each`, or a label's name; or leave `which=label` out",
        )


def check_through(settings: AttackSettings, through: str | None) -> None:
    """Refuse images that a defended classifier is right about one label of.

    Raises:
        UsageError: what a denoiser recovers is a whole label set.
    """
    if through is not None and settings.which == "label":
        told = "behind a denoiser an image is right where its whole label set is"
        raise UsageError(told, "`which=any`, or leave `through=...` out")


def _summary(
    subject: Subject,
    plan: Plan,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
) -> dict[str, Any]:
    through = {}
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
