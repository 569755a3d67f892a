"""What a worker of a cluster does: it makes the attempts that it is sent, and knows no database."""

import ctypes
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pixguard
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.packing import pack
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import Search, make_search
from pixguard.classifiers.behind import behind
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.resizing import at_native_size
from pixguard.config import AttackSettings
from pixguard.defences.denoisers import build_denoiser
from pixguard.errors import PixguardError, UsageError
from pixguard.files import temporary_folder
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import Work, place_of
from pixguard.inference.choices import Choice, Choices
from pixguard.models.device import pick_device
from pixguard.progress import SILENT
from pixguard.records import DatasetInfo
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.outcomes import Made
from pixguard.runner.searching import describe, evaluator_for, make_scheduler, memory_hint
from pixguard.runner.session import Session
from pixguard.runner.subject import Defence, Surrogate, Watch, open_stored
from pixguard.runner.surrogate import open_surrogate
from pixguard.runner.watching import open_guard
from pixguard.store.reader import StoredModel

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h; with what glibc goes up to by itself
NOTHING = Job("", np.empty((0, 0, 0), dtype=np.uint8), (), 0)
"""In the place of an attempt's job on the way back: who ordered it has it."""


def versions() -> tuple[str, str]:
    """Return what has to be alike for attempts to end alike: pixguard's version and torch's."""
    return pixguard.__version__, torch.__version__


@dataclass(frozen=True, slots=True)
class Kit:
    """What all attempts of a plan on images of one shape need beside the images.

    Attributes:
        key: a digest of the rest; files count by their content.
        versions: of the one who made it.
        stored: the classifier.
        own: the dataset that it was trained on.
        attacked: the dataset of the images.
        shape: of the images, (height, width) in pixels.
        defence: the denoiser before the classifier.
        resized_to: the side that images are resized to before it; None: they are not.
        surrogate: whose gradients stand in for the classifier's, where the attack wants that.
        watch: the detector beside the classifier.
        settings: of the attack.
        attempts: how many the whole plan has on this shape: batches are made for them.
        device: where to compute, as the user said it.
        files: the weights, by the names that records have for them.
        choices: which evaluators are the fastest, as :class:`Choices` has them.
    """

    key: str
    versions: tuple[str, str]
    stored: StoredModel
    own: DatasetInfo
    attacked: DatasetInfo
    shape: tuple[int, int]
    defence: Defence | None
    resized_to: int | None
    surrogate: Surrogate | None
    watch: Watch | None
    settings: AttackSettings
    attempts: int
    device: str
    files: Mapping[str, bytes]
    choices: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """Attempts to make.

    Attributes:
        jobs: new ones.
        token: by what :func:`stop` means them.
        held: the keys of those that are in flight here, as who orders this believes; where that is
            not so they are given up, and the answer does not name them.
        shortest_s: return with some in flight when the jobs no longer fill the batches, but not
            sooner; None: when all have ended.
    """

    jobs: Sequence[Job]
    token: str
    held: frozenset[str]
    shortest_s: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """How attempts ended, and the keys of those that this worker still has in flight.

    ``asked`` counts candidates; ``seconds`` are without the time that it took to get ready;
    ``slots`` are attempts at a time; ``bound_s`` is what one takes at most at this speed.
    """

    outcomes: Sequence[tuple[str, Outcome]]
    in_flight: frozenset[str]
    made: Made
    asked: int
    seconds: float
    slots: int
    bound_s: float
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Found:
    """Which evaluators are the fastest on a worker, by key, and what it has to say to that."""

    choices: Sequence[tuple[str, Choice]]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no attempt could be made. A value: of errors that dask cannot send nobody would hear."""

    error: PixguardError


@dataclass(slots=True)
class _Bench:
    """A kit that was unpacked."""

    key: str
    classifier: Classifier
    search: Search
    evaluator: Evaluator
    session: Session
    slots: int
    notes: list[str]
    choices: Choices
    token: str = ""
    scheduler: Scheduler | None = None
    in_flight: frozenset[str] = frozenset()


_BENCH: list[_Bench] = []
_STOPPED: set[str] = set()


class _Feed:
    """Gives out the jobs of a chunk, and ends the run where they no longer fill every slot.

    What is in flight then goes on with the next chunk: a batch with empty slots is wasted work.
    The last chunk runs to its end.
    """

    def __init__(self, order: Order) -> None:
        self._order, self._begun_s, self._is_empty = order, time.perf_counter(), False

    def __iter__(self) -> Iterator[Job]:
        yield from self._order.jobs
        self._is_empty = True

    @property
    def requested(self) -> bool:
        """See :class:`pixguard.progress.StopSignal`."""
        if self._order.token in _STOPPED:
            return True
        if self._order.shortest_s is None or not self._is_empty:
            return False
        return time.perf_counter() - self._begun_s >= self._order.shortest_s


def stop(token: str) -> None:
    """Let attempts that were sent with this token end as they are: the finished ones go back."""
    _STOPPED.add(token)


def place(device: str) -> str:
    """Return what makes two workers equally fast, for the device that a user named."""
    return place_of(pick_device(device))


def measure(kit: Kit, left: int) -> Found:
    """Return which evaluator is the fastest here for so many candidates, if that is not known."""
    with suppress(Exception):  # it is told where attempts are made
        bench = _unpacked(kit, left)
        plain = bench.choices.plain
        new = [one for one in bench.choices.items() if plain[one[0]] != kit.choices.get(one[0])]
        return Found(new, bench.notes if new else [])
    return Found((), ())


def make_search_of(kit: Kit) -> Search:
    """Return the search that a kit's attempts are made by."""
    settings, channels = kit.settings, kit.attacked.channels
    return make_search(settings.attack, settings.options, pixels=settings.pixels, channels=channels)


def make_attempts(kit: Kit, order: Order) -> Answer | Trouble:
    """Make attempts, and go on with those that the last order with this token left in flight.

    There is trouble where this worker has another pixguard or torch than who sent the kit, where
    the classifier cannot be opened here or raises, and where memory does not do.
    """
    try:
        return _make_attempts(kit, order)
    except PixguardError as error:
        return Trouble(error)
    except Exception as error:
        return Trouble(PixguardError(f"{type(error).__name__}: {error}"))


def _make_attempts(kit: Kit, order: Order) -> Answer:
    bench, jobs = _unpacked(kit), order.jobs
    if bench.scheduler is None or (bench.token, bench.in_flight) != (order.token, order.held):
        bench.in_flight = frozenset()
        bench.scheduler = make_scheduler(
            bench.session.device,
            bench.classifier,
            kit.attacked.task,
            kit.settings,
            bench.search,
            bench.evaluator,
            bench.slots if order.shortest_s is not None else max(1, min(len(jobs), bench.slots)),
            bench.notes.append,
        )
    bench.token = ""  # until this has ended well
    asked, started, outcomes = 0, time.perf_counter(), list[tuple[str, Outcome]]()
    feed = _Feed(order)

    def look(so_far: int) -> None:
        nonlocal asked
        asked = so_far

    with memory_hint(bench.evaluator):
        for outcome in bench.scheduler.run(feed, feed, look):
            outcomes.append((outcome.job.key, replace(outcome, job=NOTHING)))
    ended = {key for key, _ in outcomes}
    bench.token = order.token
    bench.in_flight = frozenset({*bench.in_flight, *(job.key for job in jobs)} - ended)
    made = Made(bench.evaluator.name, bench.evaluator.precision)
    seconds = time.perf_counter() - started
    notes, bench.notes[:] = list(bench.notes), []
    bound_s = bench.search.most_queries(*kit.shape) * seconds / asked if asked else 0.0
    return Answer(outcomes, bench.in_flight, made, asked, seconds, bench.slots, bound_s, notes)


def _unpacked(kit: Kit, left: int = 0) -> _Bench:
    """Return the classifier and what evaluates its candidates: the last kit's stays unpacked.

    That is measured where it is not known, and so many candidates are left.
    """
    if kit.versions != versions():
        theirs, ours = ("pixguard {} with torch {}".format(*v) for v in (versions(), kit.versions))
        raise UsageError(
            f"a worker has {theirs}, and this is {ours}: the results would not be one plan's",
            "install the same versions there: pip install -c constraints.txt pixguard",
        )
    _keep_memory()
    if not _BENCH or _BENCH[0].key != kit.key:
        _BENCH.clear()  # before the next one takes memory
        with temporary_folder(Path(tempfile.gettempdir(), "worker"), private=True) as folder:
            device = pick_device(kit.device)
            session = Session("", folder, device, SILENT, SILENT, "")
            for name, content in kit.files.items():
                session.weights.mkdir(exist_ok=True)
                (session.weights / name).write_bytes(content)
            classifier = _classifier(kit, session)
            surrogate = open_surrogate(session, kit.surrogate, kit.resized_to)
            guard = None
            if kit.watch is not None:
                of = (kit.attacked.channels, kit.settings.attack)
                guard = open_guard(session, kit.watch, *of)
        search, choices = make_search_of(kit), Choices(known=kit.choices)
        search.surrogate, search.guard = surrogate, guard
        work = Work(kit.attempts * search.most_queries(*kit.shape), left, choices)
        notes, on = list[str](), (classifier, kit.shape, session.device)
        evaluator = evaluator_for(*on, kit.settings, search, work, notes.append)
        slots = pack(evaluator, search, kit.attempts, kit.attempts)
        notes.append(describe(evaluator))
        _BENCH.append(
            _Bench(kit.key, classifier, search, evaluator, session, slots, notes, choices)
        )
    return _BENCH[0]


def _keep_memory() -> None:
    """Let the C library keep what is freed, as it does in any other process.

    Dask's nannies have it give everything back: each tensor then costs its page faults anew, which
    took half as much time again.
    """
    with suppress(OSError, AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 64 << 20)


def _classifier(kit: Kit, session: Session) -> Classifier:
    """Return the classifier of a kit as :class:`pixguard.runner.subject.Subject` has it."""
    classifier = open_stored(session, kit.stored, kit.own)
    if kit.resized_to is not None:
        classifier = at_native_size(classifier, kit.resized_to)
    if kit.defence is None:
        return classifier
    if kit.defence.stored is None:
        denoiser = build_denoiser(kit.defence.name, kit.attacked.channels)
    else:
        denoiser = load_denoiser(session, kit.defence.stored, kit.attacked.channels)
    return behind(classifier, denoiser.to(session.device).eval())
