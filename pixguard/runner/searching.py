"""Carries out a plan's attempts on one device, in this process."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch

from pixguard.attacks.engine.gradients import TRIED, search_remark
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.margin_gradients import NOT_EVEN_ONE
from pixguard.attacks.engine.objectives import Objective, choose_objective
from pixguard.attacks.engine.packing import pack, search_precision
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import Search
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.config import AttackSettings
from pixguard.errors import is_out_of_memory, no_memory
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import Work, choose_evaluator
from pixguard.inference.choices import Choices
from pixguard.models.inputs import to_unit_range
from pixguard.records import PlannedAttempt, PredictionRecord, Task
from pixguard.runner.in_flight import InFlight
from pixguard.runner.outcomes import Budget, Lost, Made
from pixguard.runner.plan import Plan, by_shape
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject

MEASURED_STEPS = 2
"""Steps of a search that are made to measure how fast they are."""


def open_evaluator(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    search: Search,
    plan: Plan,
    say: Callable[[str], None] | None = None,
    *,
    measures: bool = False,
) -> tuple[Evaluator, int]:
    """Return the evaluator for a plan of one shape, and how many attempts to run at a time.

    What was measured before is heeded; ``measures``: and what was not is measured.
    """
    index = plan.attempts[0].image_index if plan.attempts else 0
    shape, say = subject.dataset.shape(index), say or session.display.say
    each = search.most_queries(*shape)
    left = each * len(plan.todo) if measures else 0
    work = Work(each * len(plan.attempts), left, Choices(session.fastest))
    on = (subject.classifier, shape, session.device)
    evaluator = evaluator_for(*on, settings, search, work, say)
    return evaluator, pack(evaluator, search, len(plan.attempts), len(plan.todo))


def evaluator_for(
    classifier: Classifier,
    shape: tuple[int, int],
    device: torch.device,
    settings: AttackSettings,
    search: Search,
    work: Work,
    say: Callable[[str], None],
) -> Evaluator:
    """Return the evaluator for images of a shape, (height, width) in pixels."""
    return choose_evaluator(
        classifier,
        *shape,
        device,
        pixels=search.pixels,
        evaluator=settings.evaluator,
        precision=search_precision(settings.precision, search),
        batch=settings.batch,
        work=work,
        say=say,
    )


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

    jobs = itertools.islice(
        make_jobs(session, subject, plan.todo, settings, plan.predictions), slots
    )
    on, task = (session.device, subject.classifier), subject.dataset.info.task
    scheduler = make_scheduler(*on, task, settings, search, evaluator, slots, lambda _: None)
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


def make_jobs(
    session: Session,
    subject: Subject,
    planned: Sequence[PlannedAttempt],
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
) -> Iterator[Job]:
    """Yield the jobs of planned attempts; each image is read when its turn comes."""
    for attempt in planned:
        image = subject.dataset.images([attempt.image_index])[0]
        clean = predictions[attempt.image_index].predicted
        focus = attempt.target if attempt.target is not None else (clean or (0,))[0]
        if settings.success == "argmax":
            tensor = to_unit_range(image[None], session.device)
            focus = int(canonical_logits(subject.classifier, tensor).argmax(1))
        yield Job(attempt.key, image, clean, focus)


def remark_on(
    session: Session, subject: Subject, plan: Plan, settings: AttackSettings, search: Search
) -> str | None:
    """Return what would mislead a search, if anything would."""
    if not plan.todo:
        return None
    part = by_shape(plan, subject.dataset)[0].todo
    few = part[:: max(1, len(part) // TRIED)][:TRIED]
    jobs = list(make_jobs(session, subject, few, settings, plan.predictions))
    objective = _objective(subject.dataset.info.task, settings)
    return search_remark(
        subject.classifier, objective, jobs, session.device, uses_gradients=search.uses_gradients
    )


def _objective(task: Task, settings: AttackSettings) -> Objective:
    return choose_objective(
        task,
        targeted=settings.target is not None,
        argmax=settings.success == "argmax",
    )


def make_scheduler(
    device: torch.device,
    classifier: Classifier,
    task: Task,
    settings: AttackSettings,
    search: Search,
    evaluator: Evaluator,
    slots: int,
    say: Callable[[str], None],
) -> Scheduler:
    """Return the scheduler that makes attempts of that many at a time."""
    return Scheduler(
        classifier,
        evaluator,
        search,
        _objective(task, settings),
        slots=slots,
        device=device,
        say=say,
    )


class Crew(Protocol):
    """Where attempts are made.

    Attributes:
        used: the names of the evaluators that were taken, each with its precision.
    """

    used: dict[str, str]

    def attempts(
        self, part: Plan, file: Path, budget: Budget, tell: Callable[[int], None]
    ) -> Iterator[tuple[Outcome | Lost, Made]]:
        """Yield how the attempts of a plan end that are to do, and how each was evaluated.

        In whatever order; after a stop request those that are finished, and no others.

        Args:
            part: a plan whose images are of one shape.
            file: for the attempts that a stop leaves in flight.
            budget: told of what was asked for before this run.
            tell: called now and then with the number of candidates that were asked for.
        """


class Here:
    """One device, in this process: a :class:`Crew`."""

    used: dict[str, str]

    def __init__(
        self,
        session: Session,
        subject: Subject,
        settings: AttackSettings,
        search: Search,
        say: Callable[[str], None],
    ) -> None:
        self._session, self._subject, self._settings = session, subject, settings
        self._search, self._say = search, say
        self.used = {}

    def attempts(
        self, part: Plan, file: Path, budget: Budget, tell: Callable[[int], None]
    ) -> Iterator[tuple[Outcome, Made]]:
        """See :class:`Crew`."""
        session, subject, settings, say = self._session, self._subject, self._settings, self._say
        evaluator, slots = open_evaluator(
            session, subject, settings, self._search, part, say, measures=True
        )
        if evaluator.name not in self.used:
            say(describe(evaluator))
        self.used[evaluator.name] = evaluator.precision
        on, task = (session.device, subject.classifier), subject.dataset.info.task
        scheduler = make_scheduler(*on, task, settings, self._search, evaluator, slots, say)
        in_flight = InFlight(file, evaluator, session.device, say)
        saved = in_flight.read()
        budget.begin(saved)
        jobs = make_jobs(session, subject, part.todo, settings, part.predictions)

        def look(asked: int) -> None:
            tell(asked)
            in_flight.save_if_due(scheduler)

        with memory_hint(evaluator):
            for outcome in scheduler.run(jobs, session.stop, look, saved):
                yield outcome, Made(evaluator.name, evaluator.precision)
        in_flight.close(scheduler)


def describe(evaluator: Evaluator) -> str:
    """Return how candidates are evaluated, in a few words."""
    variant = f" ({evaluator.variant})" if evaluator.variant else ""
    return (
        f"{evaluator.name} evaluation in {evaluator.precision}{variant}, "
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
