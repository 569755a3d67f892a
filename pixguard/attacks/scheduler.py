"""Runs a search on many images at once: full batches, and truth from the stored bytes.

Every slot holds one attempt; the candidates of all slots are evaluated together, and a slot whose
attempt is over takes the next image at once. What the search believes is only a belief: a success
counts after the classifier, given that one image alone in float32, has agreed.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.base import Candidates, Search
from pixguard.attacks.objectives import Objective
from pixguard.attacks.philox import key_words
from pixguard.classifiers.classifier import Classifier, Decision
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.classifiers.inputs import to_unit_range
from pixguard.inference.base import Evaluator
from pixguard.inference.images import with_pixels
from pixguard.progress import StopSignal
from pixguard.records import LabelSet


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make.

    Attributes:
        key: the attempt's key, 64 hexadecimal digits; its random stream derives from it alone.
        image: uint8 (H, W, C).
        clean: the label set that the classifier gives the clean image.
        focus: the class ordinal that the objective is about.
    """

    key: str
    image: NDArray[np.uint8]
    clean: LabelSet
    focus: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; ``error`` is set when the classifier gave no finite answer.

    ``positions`` and ``colours`` are those of the first verified success, or of the best
    candidate: int64 (k, 2) and uint8 (k, C). ``queries`` counts candidates up to and including it.
    """

    job: Job
    success: bool
    positions: NDArray[np.int64]
    colours: NDArray[np.uint8]
    decision: Decision
    true_confidence: float
    queries: int
    generations: int
    elapsed_ms: float
    error: str | None = None


class Scheduler:
    """Keeps the slots of a search filled and its batches full."""

    def __init__(
        self,
        classifier: Classifier,
        evaluator: Evaluator,
        search: Search,
        objective: Objective,
        *,
        slots: int,
        device: torch.device,
    ) -> None:
        self._classifier = classifier
        self._evaluator = evaluator
        self._search = search
        self._objective = objective
        self._device = device
        self._jobs: list[Job | None] = [None] * slots
        self._steps = [0] * slots
        self._elapsed_ms = [0.0] * slots
        self._allocated = False

    def run(
        self,
        jobs: Iterable[Job],
        stop: StopSignal,
        after_step: Callable[[int], None] = lambda evaluated: None,
    ) -> Iterator[Outcome]:
        """Yield the outcomes of jobs as they end; images must be of one shape.

        After a stop request the attempts in flight are dropped: they are redone on resume, with
        the same result. ``after_step`` is told, after every generation, how many candidates were
        evaluated so far.
        """
        waiting, evaluated = iter(jobs), 0
        while not stop.requested and self._refill(waiting):
            busy = sum(job is not None for job in self._jobs)
            yield from self._step()
            evaluated += busy * self._search.candidates_per_step
            after_step(evaluated)

    def _refill(self, waiting: Iterator[Job]) -> bool:
        """Fill empty slots with waiting jobs; return whether any slot is busy."""
        started: list[int] = []
        for slot, job in enumerate(self._jobs):
            if job is None and (following := next(waiting, None)) is not None:
                self._load(slot, following)
                started.append(slot)
        if started:
            words = [key_words(self._job(slot).key) for slot in started]
            self._search.start(
                torch.tensor(started, device=self._device),
                torch.tensor(words, dtype=torch.int64, device=self._device),
            )
        return any(job is not None for job in self._jobs)

    def _load(self, slot: int, job: Job) -> None:
        if not self._allocated:
            self._allocate(job.image)
            self._allocated = True
        self._jobs[slot], self._steps[slot], self._elapsed_ms[slot] = job, 0, 0.0
        self._bytes[slot] = torch.from_numpy(np.ascontiguousarray(job.image))
        self._images[slot] = to_unit_range(job.image[None], self._device)[0]
        clean = torch.zeros(self._classifier.label_count, dtype=torch.bool)
        clean[list(job.clean)] = True
        self._clean[slot] = clean
        self._focus[slot] = job.focus

    def _allocate(self, image: NDArray[np.uint8]) -> None:
        slots, (height, width, channels) = len(self._jobs), image.shape
        self._bytes = torch.zeros(
            slots, height, width, channels, dtype=torch.uint8, device=self._device
        )
        self._images = torch.zeros(slots, channels, height, width, device=self._device)
        self._clean = torch.zeros(
            slots, self._classifier.label_count, dtype=torch.bool, device=self._device
        )
        self._focus = torch.zeros(slots, dtype=torch.int64, device=self._device)
        self._search.allocate(slots, height, width, channels, self._device)

    def _job(self, slot: int) -> Job:
        job = self._jobs[slot]
        assert job is not None
        return job

    def _step(self) -> list[Outcome]:
        """Evaluate one generation of every busy slot; return the attempts that it ended."""
        started = time.perf_counter()
        busy = [slot for slot, job in enumerate(self._jobs) if job is not None]
        candidates = self._search.ask()
        fitness, success = self._evaluate(candidates, torch.tensor(busy, device=self._device))
        self._search.tell(fitness)
        broken = (~fitness.isfinite()).cpu()
        hits = success.cpu()
        outcomes = []
        for slot in busy:
            self._elapsed_ms[slot] += (time.perf_counter() - started) * 1000 / len(busy)
            outcome = self._conclude(slot, candidates, hits[slot], broken[slot])
            self._steps[slot] += 1
            if outcome is not None:
                outcomes.append(outcome)
                self._jobs[slot] = None
        return outcomes

    def _evaluate(self, candidates: Candidates, busy: Tensor) -> tuple[Tensor, Tensor]:
        """Return fitness float64 (S, P), infinite in idle slots, and success bool (S, P)."""
        slots, count = candidates.positions.shape[:2]
        owners = busy.repeat_interleave(count)
        logits = self._evaluator.logits(
            self._images,
            owners,
            candidates.positions[busy].flatten(0, 1),
            candidates.colours[busy].flatten(0, 1),
        )
        values, hits = self._objective(
            self._classifier, logits, self._clean[owners], self._focus[owners]
        )
        fitness = torch.full((slots, count), torch.inf, dtype=torch.float64, device=self._device)
        success = torch.zeros(slots, count, dtype=torch.bool, device=self._device)
        fitness[busy], success[busy] = values.view(-1, count), hits.view(-1, count)
        return fitness, success & all_pixels_changed(self._bytes, candidates)

    def _conclude(
        self, slot: int, candidates: Candidates, hits: Tensor, broken: Tensor
    ) -> Outcome | None:
        """Return the outcome of a slot whose attempt has ended, else None.

        Args:
            slot: which slot.
            candidates: those of this step.
            hits: bool (P,), which of them seem to succeed.
            broken: bool (P,), which of them the classifier gave no finite answer for.
        """
        per_step = self._search.candidates_per_step
        before = self._steps[slot] * per_step
        for index in (hits | broken).nonzero().flatten().tolist():
            positions, colours = candidates.positions[slot, index], candidates.colours[slot, index]
            queries = before + index + 1
            if broken[index]:
                error = "the classifier's output is not finite"
                return self._outcome(slot, False, positions, colours, queries, error)
            outcome = self._outcome(slot, True, positions, colours, queries)
            if outcome.success:
                return outcome
        if self._steps[slot] + 1 < self._search.max_steps:
            return None
        positions, colours = self._search.best(slot)
        return self._outcome(slot, False, positions, colours, before + per_step)

    def _outcome(
        self,
        slot: int,
        claimed: bool,
        positions: Tensor,
        colours: Tensor,
        queries: int,
        error: str | None = None,
    ) -> Outcome:
        """Judge one candidate alone, in float32, from its bytes; a denied claim is no success."""
        job = self._job(slot)
        only = torch.zeros(1, dtype=torch.int64, device=self._device)
        image = with_pixels(self._images[slot][None], only, positions[None], colours[None])
        logits = canonical_logits(self._classifier, image)
        clean, focus = self._clean[slot][None], self._focus[slot][None]
        agreed = bool(self._objective(self._classifier, logits, clean, focus)[1])
        return Outcome(
            job=job,
            success=claimed and agreed,
            positions=positions.cpu().numpy(),
            colours=colours.cpu().numpy(),
            decision=self._classifier.decide(logits)[0],
            true_confidence=float(self._classifier.confidence(logits, clean)),
            queries=queries,
            generations=self._steps[slot],
            elapsed_ms=self._elapsed_ms[slot],
            error=error,
        )


def all_pixels_changed(images: Tensor, candidates: Candidates) -> Tensor:
    """Tell which candidates change exactly k pixels: all positions apart, no colour as it was.

    Args:
        images: uint8 (S, H, W, C), the clean images.
        candidates: of S slots.

    Returns:
        bool (S, P).
    """
    rows, cols = candidates.positions.unbind(-1)
    slot = torch.arange(len(images), device=images.device)[:, None, None]
    changed = (images[slot, rows, cols] != candidates.colours).any(-1).all(-1)
    places = (rows * images.shape[2] + cols).sort(dim=-1).values
    return changed & (places.diff(dim=-1) != 0).all(-1)
