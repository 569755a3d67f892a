"""Carries a plan out on one device, in this process."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pixguard.attacks.engine.gradients import TRIED, search_remark
from pixguard.attacks.engine.jobs import Job
from pixguard.attacks.engine.margin_gradients import NOT_EVEN_ONE
from pixguard.attacks.engine.objectives import Objective, choose_objective
from pixguard.attacks.engine.packing import pack, search_precision
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import Search
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.config import AttackSettings
from pixguard.errors import is_out_of_memory, no_memory
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import choose_evaluator
from pixguard.models.inputs import to_unit_range
from pixguard.records import (
    PlannedAttempt,
    PlanRecord,
    PredictionRecord,
)
from pixguard.runner.defence import store_defence
from pixguard.runner.in_flight import InFlight
from pixguard.runner.outcomes import Budget, Results
from pixguard.runner.plan import Plan, by_shape
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store.writer import Writer

MEASURED_STEPS = 2
"""Steps of a search that are made to measure how fast they are."""


def open_evaluator(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    search: Search,
    plan: Plan,
    say: Callable[[str], None] | None = None,
) -> tuple[Evaluator, int]:
    """Return the evaluator for a plan of one shape, and how many attempts to run at a time."""
    index = plan.attempts[0].image_index if plan.attempts else 0
    evaluator = choose_evaluator(
        subject.classifier,
        *subject.dataset.shape(index),
        session.device,
        pixels=settings.pixels,
        evaluator=settings.evaluator,
        precision=search_precision(settings.precision, search),
        batch=settings.batch,
        say=say or session.display.say,
    )
    return evaluator, pack(evaluator, search, len(plan.attempts), len(plan.todo))


def measure_rate(
    session: Session, subject: Subject, settings: AttackSettings, search: Search, plan: Plan
) -> tuple[Evaluator, float]:
    """Return a plan's evaluator and its candidates per second, measured on its first steps.

    With everything that a step costs: gradients, breeding, judging. A search that revisits becomes
    faster later. Of images of many sizes, those of the first size are taken.
    """
    plan = by_shape(plan, subject.dataset)[0]
    evaluator, slots = open_evaluator(session, subject, settings, search, plan)
    stop, started = _Watch(), time.perf_counter()

    def look(asked: int) -> None:
        stop.look(asked, time.perf_counter() - started)

    jobs = itertools.islice(_jobs(session, subject, plan.todo, settings, plan.predictions), slots)
    scheduler = _scheduler(session, subject, settings, search, evaluator, slots, lambda _: None)
    with memory_hint(evaluator):
        for _ in scheduler.run(jobs, stop, look):
            pass
    return evaluator, stop.rate


class _Watch:
    """Stops a run after :data:`MEASURED_STEPS` steps, the first of which warms up."""

    def __init__(self) -> None:
        self._looks: list[tuple[int, float]] = []

    def look(self, asked: int, seconds: float) -> None:
        """Take how much was asked so far, and how long that took."""
        self._looks.append((asked, seconds))

    @property
    def requested(self) -> bool:
        """Whether enough has been seen."""
        return len(self._looks) > MEASURED_STEPS

    @property
    def rate(self) -> float:
        """Candidates per second, without the first step where there was a second one."""
        if not self._looks:
            return 0.0  # nothing is left to do
        (first, then), (last, now) = self._looks[0], self._looks[-1]
        return (last - first) / (now - then) if last > first else last / now


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


def _search_remark(
    session: Session, subject: Subject, plan: Plan, settings: AttackSettings, search: Search
) -> str | None:
    """Return what would mislead a search, if anything would."""
    if not plan.todo:
        return None
    part = by_shape(plan, subject.dataset)[0].todo
    few = part[:: max(1, len(part) // TRIED)][:TRIED]
    jobs = list(_jobs(session, subject, few, settings, plan.predictions))
    objective = _objective(subject, settings)
    return search_remark(
        subject.classifier, objective, jobs, session.device, uses_gradients=search.uses_gradients
    )


def _objective(subject: Subject, settings: AttackSettings) -> Objective:
    return choose_objective(
        subject.dataset.info.task,
        targeted=settings.target is not None,
        argmax=settings.success == "argmax",
    )


def _scheduler(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    search: Search,
    evaluator: Evaluator,
    slots: int,
    say: Callable[[str], None],
) -> Scheduler:
    return Scheduler(
        subject.classifier,
        evaluator,
        search,
        _objective(subject, settings),
        slots=slots,
        device=session.device,
        say=say,
    )


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
    through_id = None if subject.defence is None else store_defence(writer, subject, plan.clean)
    writer.flush()
    attack_id = writer.attack(plan.record)
    remark = _search_remark(session, subject, plan, settings, search)
    if remark:
        session.display.say(remark)
    plan_id = writer.plan(
        PlanRecord(
            seed=settings.seed,
            target=settings.target,
            attempts=plan.attempts,
            # A part of a plan is no other plan.
            settings={k: v for k, v in asdict(settings).items() if k != "shard"},
            command=session.again(settings.seed),
            remarks=(remark,) if remark else (),
        ),
        attack_id=attack_id,
        model_id=subject.model.id,
        dataset_id=subject.dataset_id,
        through_model_id=through_id,
    )
    results = Results(writer, subject, plan, settings, attack_id, through_id)
    say, used, asked_before = _once(session.display.say), dict[str, str](), 0
    title = f"attacking, {settings.pixels} pixel{'s' if settings.pixels > 1 else ''}"
    started, done = time.monotonic(), len(plan.done)
    budget = Budget(search, subject, plan.todo)
    with session.display.track(title, done + len(plan.todo), "attempts") as progress:
        asked = 0

        def tell(asked_of_shape: int) -> None:
            """Show progress and commit what is due, after every step."""
            nonlocal asked
            asked = asked_before + asked_of_shape
            rate = asked / (time.monotonic() - started)
            session.tell(plan=plan_id, candidates_per_second=rate)
            note = f"{results.beginning} succeeded, " if results.beginning.attempts else ""
            most_s = budget.left(asked) / rate if rate else None
            progress.update(done + results.ended, f"{note}{rate:,.0f} candidates/s", most_s)
            writer.flush_if_due()
            in_flight.save_if_due(scheduler)

        progress.update(done)
        for part in by_shape(plan, subject.dataset):
            if session.stop.requested:
                break
            evaluator, slots = open_evaluator(session, subject, settings, search, part, say)
            if evaluator.name not in used:
                say(describe(evaluator))
            used[evaluator.name], asked_before = evaluator.precision, asked
            scheduler = _scheduler(session, subject, settings, search, evaluator, slots, say)
            in_flight = InFlight(session.in_flight(plan_id), evaluator, session.device, say)
            saved = in_flight.read()
            budget.begin(saved)
            jobs = _jobs(session, subject, part.todo, settings, plan.predictions)
            with memory_hint(evaluator):
                for outcome in scheduler.run(jobs, session.stop, tell, saved):
                    results.take(outcome, evaluator)
                    budget.end(outcome)
            in_flight.close(scheduler)
    writer.close_plan(plan_id)
    return {
        "run": writer.run_id,
        **results.counts,
        **({"remark": remark} if remark else {}),
        "success": results.beginning.rate(),
        "classes": results.beginning.by_class(subject.dataset),
        "evaluator": ", ".join(used),
        "precision": ", ".join(sorted(set(used.values()))),
    }


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what says a message only when it is new: every size of image has the same to tell."""
    told = set[str]()

    def once(message: str) -> None:
        if message not in told:
            told.add(message)
            say(message)

    return once


def describe(evaluator: Evaluator) -> str:
    """Return how candidates are evaluated, in a few words."""
    return (
        f"{evaluator.name} evaluation in {evaluator.precision}, "
        f"{evaluator.batch} candidates at a time"
    )


@contextmanager
def memory_hint(evaluator: Evaluator) -> Iterator[None]:
    """Turn an out-of-memory error, where no smaller batch helped, into what to type."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        batch = evaluator.batch  # as it is by now
        hint = f"`resume=True`, with `batch={batch // 2}`" if batch > 1 else NOT_EVEN_ONE
        raise no_memory(error, f" for {batch} candidates at a time", hint) from error
