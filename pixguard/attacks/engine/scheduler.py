"""Runs a search on many images at once: full batches, and truth from the stored bytes.

Every slot holds one attempt; the candidates of all slots are evaluated together, and a slot whose
attempt is over takes the next image at once. What the search believes is only a belief: a success
counts after the classifier, and a detector that guards it, given that one image alone in float32,
have agreed.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.engine.attention import Attention
from pixguard.attacks.engine.jobs import Attempt, Job, Outcome
from pixguard.attacks.engine.losses import Losses
from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.margin_gradients import NO_ROOM, MarginGradients
from pixguard.attacks.engine.memory import Memory, candidate_keys
from pixguard.attacks.engine.objectives import Objective
from pixguard.attacks.engine.pair_bounds import PairMargins
from pixguard.attacks.engine.philox import key_words
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.engine.snapshot import EMPTY, Snapshot
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.inference.base import Evaluator
from pixguard.inference.images import with_pixels
from pixguard.models.inputs import to_unit_range
from pixguard.models.memory import with_room
from pixguard.progress import StopSignal

NOT_FINITE = "the classifier's output is not finite"


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
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        """``say`` is told when the batch has to be lowered."""
        self._classifier = classifier
        self._evaluator = evaluator
        self._search = search
        self._objective = objective
        self._device = device
        self._say = say
        self._attempts: list[Attempt | None] = [None] * slots
        self._allocated = False

    def run(
        self,
        jobs: Iterable[Job],
        stop: StopSignal,
        after_step: Callable[[int], None] = lambda queries: None,
        saved: Snapshot = EMPTY,
    ) -> Iterator[Outcome]:
        """Yield the outcomes of jobs as they end; images must be of one shape.

        After a stop request the attempts in flight stay unfinished: :meth:`in_flight` has them.
        Redone from the start or gone on with, they end in the same way.

        Args:
            jobs: in the order in which they take slots.
            stop: looked at before every step.
            after_step: told, after every step, how many candidates were asked for in this run.
            saved: jobs among these go on where they were. It must come from the same search,
                classifier, evaluator and batch.
        """
        waiting, self._asked, self._saved = iter(jobs), 0, saved
        while not stop.requested and self._refill(waiting):
            yield from self._step()
            after_step(self._asked)

    def in_flight(self, least_s: float = 0.0) -> Snapshot:
        """Return the attempts that have been under way for so many seconds; between steps only."""
        since = time.perf_counter() - least_s
        busy = {s: a for s, a in enumerate(self._attempts) if a is not None and a.begun_s <= since}
        if not busy or not self._search.resumes:
            return EMPTY
        slots = torch.tensor(list(busy), device=self._device)
        costs = [(a.steps, a.queries, a.distinct, a.elapsed_ms) for a in busy.values()]
        return Snapshot(
            keys={attempt.job.key: row for row, attempt in enumerate(busy.values())},
            costs=torch.tensor(costs, dtype=torch.float64),
            search={name: rows[slots].cpu() for name, rows in self._search.state().items()},
            memory={name: rows.cpu() for name, rows in self._memory.state(slots).items()},
        )

    def _refill(self, waiting: Iterator[Job]) -> bool:
        """Fill empty slots with waiting jobs; return whether any slot is busy."""
        begun, started = time.perf_counter(), list[int]()
        words: list[tuple[int, int]] = []
        for slot, attempt in enumerate(self._attempts):
            if attempt is None and (job := next(waiting, None)) is not None:
                self._load(slot, job)
                if job.key in self._saved.keys:
                    self._restore(slot, self._saved.keys[job.key])
                    continue
                started.append(slot)
                words.append(key_words(job.key))
        if started:
            self._search.start(
                torch.tensor(started, device=self._device),
                torch.tensor(words, dtype=torch.int64, device=self._device),
            )
        for slot in started:
            share_ms = (time.perf_counter() - begun) * 1000 / len(started)
            self._attempt(slot).elapsed_ms += share_ms
        return any(attempt is not None for attempt in self._attempts)

    def _load(self, slot: int, job: Job) -> None:
        if not self._allocated:
            self._allocate(job.image)
            self._allocated = True
        self._attempts[slot] = Attempt(job, time.perf_counter())
        self._memory.forget(slot)
        self._bytes[slot] = torch.from_numpy(np.ascontiguousarray(job.image))
        self._images[slot] = to_unit_range(job.image[None], self._device)[0]
        self._evaluator.load(slot, self._images[slot])
        clean = torch.zeros(self._classifier.label_count, dtype=torch.bool)
        clean[list(job.clean)] = True
        self._clean[slot] = clean
        self._focus[slot] = job.focus

    def _restore(self, slot: int, row: int) -> None:
        """Let the attempt that a slot holds go on where it was when it was saved."""
        attempt = self._attempt(slot)
        attempt.begun_s = float("-inf")  # each state is a whole: it is saved again
        steps, queries, distinct, attempt.elapsed_ms = self._saved.costs[row].tolist()
        attempt.steps, attempt.queries, attempt.distinct = int(steps), int(queries), int(distinct)
        for name, rows in self._search.state().items():
            rows[slot] = self._saved.search[name][row].to(self._device)
        memory = {name: rows[row].to(self._device) for name, rows in self._saved.memory.items()}
        self._memory.restore(slot, memory)

    def _allocate(self, image: NDArray[np.uint8]) -> None:
        slots, (height, width, channels) = len(self._attempts), image.shape
        most = self._search.most_queries(height, width)
        self._steps = -(-most // self._search.candidates_per_step)
        self._bytes = torch.zeros(
            slots, height, width, channels, dtype=torch.uint8, device=self._device
        )
        self._images = torch.zeros(slots, channels, height, width, device=self._device)
        self._clean = torch.zeros(
            slots, self._classifier.label_count, dtype=torch.bool, device=self._device
        )
        self._focus = torch.zeros(slots, dtype=torch.int64, device=self._device)
        self._memory = Memory(slots, self._device)
        pixels = self._search.record.pixels
        with_room(lambda: self._evaluator.allocate(slots, height, width, pixels), self._halve)
        about = (self._objective, self._clean, self._focus)
        gradients = MarginGradients(self._classifier, *about, self._say)
        surrogate = self._search.surrogate
        transfer = None if surrogate is None else MarginGradients(surrogate, *about, self._say)
        bounds = MarginBounds(self._classifier, self._objective, self._say)
        pairs = PairMargins(self._classifier, self._objective, self._say)

        def of(slot: int) -> tuple[NDArray[np.uint8], Tensor, int]:
            return self._bytes[slot].cpu().numpy(), self._clean[slot], int(self._focus[slot])

        proofs = (lambda s: bounds(*of(s)), lambda s: pairs(*of(s)))
        sights = Losses(self._classifier, *about), Attention(self._classifier, *about)
        self._search.allocate(Arena(self._bytes, gradients, *proofs, transfer, *sights))
        if not self._saved.fits(self._search.state()):
            self._saved = EMPTY

    def _attempt(self, slot: int) -> Attempt:
        attempt = self._attempts[slot]
        assert attempt is not None
        return attempt

    def _step(self) -> list[Outcome]:
        """Evaluate the next candidates of every busy slot; return the attempts that it ended."""
        started = time.perf_counter()
        busy = [slot for slot, attempt in enumerate(self._attempts) if attempt is not None]
        candidates = self._search.ask()
        asked = self._asked_for(candidates, busy)
        fitness, success, new = self._answer(candidates, asked)
        self._search.tell(fitness)
        broken = (~fitness.isfinite() & asked).cpu()
        # A claim that was denied is remembered as one: it is not judged again.
        hits, new, counts = (success & new).cpu(), new.cpu(), asked.sum(1).tolist()
        work = new.sum(1).tolist()
        ends = (hits | broken).any(1).tolist()
        elapsed_ms = (time.perf_counter() - started) * 1000
        outcomes = []
        for slot in busy:
            attempt = self._attempt(slot)
            # A step's time goes to the attempts in the proportion of what was evaluated for them.
            attempt.elapsed_ms += elapsed_ms * (work[slot] + 1) / (sum(work) + len(busy))
            outcome = None
            if ends[slot]:
                outcome = self._conclude(slot, candidates, hits[slot], broken[slot], new[slot])
            attempt.queries += counts[slot]
            attempt.distinct += work[slot]
            self._asked += counts[slot]
            if outcome is None and self._is_over(slot):
                outcome = self._outcome(slot, True, *self._search.best(slot))
                if not outcome.success:
                    outcome = replace(outcome, undecided=self._search.undecided(slot))
            attempt.steps += 1
            if outcome is not None:
                outcomes.append(outcome)
                self._attempts[slot] = None
        return outcomes

    def _is_over(self, slot: int) -> bool:
        """Tell whether the step that is under way is the last of a slot's attempt."""
        done = self._search.is_done(slot)
        return self._attempt(slot).steps + 1 == self._steps if done is None else done

    def _asked_for(self, candidates: Candidates, busy: list[int]) -> Tensor:
        """Return bool (S, P): which candidates are to be answered."""
        slots, count = candidates.positions.shape[:2]
        asked = torch.zeros(slots, count, dtype=torch.bool, device=self._device)
        asked[busy] = True
        if candidates.counts is not None:
            asked &= torch.arange(count, device=self._device) < candidates.counts[:, None]
        return asked

    def _answer(self, candidates: Candidates, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return fitness float64, infinite where nothing is asked, success and novelty bool (S, P).

        A candidate that an attempt has asked for before is answered from memory.
        """
        if not self._search.entry.revisits:
            fitness, success = self._evaluate(candidates, asked)
            return fitness, success, asked
        keys = candidate_keys(candidates, self._bytes.shape[2])
        new = self._memory.new(keys.where(asked, -1)) & asked
        self._memory.learn(keys, new, *self._evaluate(candidates, new))
        fitness, success = self._memory.recall(keys)
        return fitness.where(asked, torch.inf), success & asked, new

    def _evaluate(self, candidates: Candidates, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return fitness float64 (S, P), infinite where unwanted, and success bool (S, P)."""
        fitness = torch.full(wanted.shape, torch.inf, dtype=torch.float64, device=self._device)
        success = torch.zeros_like(wanted)
        owners, places = wanted.nonzero(as_tuple=True)
        if len(owners):
            positions = candidates.positions[owners, places]
            colours = candidates.colours[owners, places]
            logits = with_room(
                lambda: self._evaluator.logits(owners, positions, colours), self._halve
            )
            clean, focus = self._clean[owners], self._focus[owners]
            values, hits = self._objective.judge(self._classifier, logits, clean, focus)
            if self._search.fitness == "margin":
                values = self._objective.margin(self._classifier, logits, clean, focus)
            if self._search.guard is not None:

                def images(some: Tensor) -> Tensor:
                    chosen = owners[some], positions[some], colours[some]
                    return with_pixels(self._images, *chosen)

                values, hits = self._search.guard.judge(images, values, hits)
            fitness[owners, places], success[owners, places] = values, hits
        return fitness, success & self._search.allows(self._bytes, candidates)

    def _halve(self) -> bool:
        """Halve the evaluator's batch; return whether it could be."""
        if self._evaluator.batch == 1:
            return False
        self._evaluator.batch //= 2
        self._say(f"{NO_ROOM} {self._evaluator.batch} candidates at a time")
        return True

    def _conclude(
        self, slot: int, candidates: Candidates, hits: Tensor, broken: Tensor, new: Tensor
    ) -> Outcome | None:
        """Return the outcome of a slot whose attempt a candidate of this step has ended, else None.

        Args:
            slot: which slot.
            candidates: those of this step.
            hits: bool (P,), which of them seem to succeed.
            broken: bool (P,), which of them the classifier gave no finite answer for.
            new: bool (P,), which of them were evaluated for the first time.
        """
        for index in (hits | broken).nonzero().flatten().tolist():
            positions, colours = candidates.positions[slot, index], candidates.colours[slot, index]
            looked_at = (index + 1, int(new[: index + 1].sum()))
            if broken[index]:
                return self._outcome(slot, False, positions, colours, looked_at, NOT_FINITE)
            outcome = self._outcome(slot, True, positions, colours, looked_at)
            if outcome.success or outcome.error:
                return outcome
        return None

    def _outcome(
        self,
        slot: int,
        claimed: bool,
        positions: Tensor,
        colours: Tensor,
        looked_at: tuple[int, int] = (0, 0),
        error: str | None = None,
    ) -> Outcome:
        """Judge one candidate alone, in float32, from its bytes: what it finds is the truth.

        ``claimed`` False: it cannot be a success, whatever the classifier says.
        ``looked_at`` counts the candidates of this step up to this one, and the distinct ones.
        """
        attempt, started = self._attempt(slot), time.perf_counter()
        only = torch.zeros(1, dtype=torch.int64, device=self._device)
        image = with_pixels(self._images[slot][None], only, positions[None], colours[None])
        logits = canonical_logits(self._classifier, image)
        clean, focus = self._clean[slot][None], self._focus[slot][None]
        agreed = bool(self._objective.judge(self._classifier, logits, clean, focus)[1])
        one = Candidates(positions[None, None], colours[None, None])
        claimed = claimed and bool(self._search.allows(self._bytes[slot][None], one))
        if claimed and agreed and self._search.guard is not None:
            claimed = self._search.guard.score(image) <= 0
        decision = self._classifier.decide(logits)[0]
        if not logits.isfinite().all():  # of a classifier that is not the same every time
            error = NOT_FINITE
        attempt.elapsed_ms += (time.perf_counter() - started) * 1000
        queries, bounds = attempt.queries + looked_at[0], self._search.bounds_made(slot)
        distinct = attempt.distinct + looked_at[1] if self._search.entry.revisits else None
        if bounds is not None:
            queries, distinct = queries + bounds, queries
        return Outcome(
            job=attempt.job,
            success=claimed and agreed and error is None,
            positions=positions.cpu().numpy().copy(),
            colours=colours.cpu().numpy().copy(),
            decision=decision,
            true_confidence=float(self._classifier.confidence(logits, clean)),
            queries=queries,
            distinct_queries=distinct,
            generations=attempt.steps,
            elapsed_ms=attempt.elapsed_ms,
            error=error,
        )
