"""What becomes of outcomes: rows of the database, counts, and how much may still be asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixguard.attacks.engine.jobs import Outcome
from pixguard.attacks.engine.search import Search
from pixguard.attacks.engine.snapshot import Snapshot
from pixguard.config import AttackSettings
from pixguard.records import (
    UNDECIDED,
    AttemptRecord,
    FailureRecord,
    PixelRecord,
    PlannedAttempt,
    PredictionRecord,
)
from pixguard.runner.images import whole_image
from pixguard.runner.plan import Beginning, Plan
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Made:
    """How an attempt was evaluated."""

    evaluator: str
    precision: str


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt that cannot be made: as the table `failure` tells it."""

    key: str
    error_type: str
    message: str


class Budget:
    """How many candidates are left at most: an attempt that succeeds gives back what it spared."""

    def __init__(self, search: Search, subject: Subject, todo: Sequence[PlannedAttempt]) -> None:
        shape = subject.dataset.shape
        self._most = {a.key: search.most_queries(*shape(a.image_index)) for a in todo}
        self._step = search.candidates_per_step
        self._left = sum(self._most.values())

    def begin(self, saved: Snapshot) -> None:
        """Take what attempts have asked for before this run."""
        self._left -= sum(saved.queries(key) for key in self._most)

    def end(self, outcome: Outcome | Lost) -> None:
        """Take the end of an attempt; the step in which it ended was asked whole."""
        if isinstance(outcome, Lost):
            self._left -= self._most[outcome.key]
            return
        most = self._most[outcome.job.key]
        self._left -= most - min(most, -(-outcome.queries // self._step) * self._step)

    def left(self, asked: int) -> int:
        """Return how many may still be asked for, of which ``asked`` were."""
        return max(0, self._left - asked)


class Results:
    """Stores outcomes as they come, and counts them."""

    def __init__(
        self,
        writer: Writer,
        subject: Subject,
        plan: Plan,
        settings: AttackSettings,
        attack_id: int,
        through_id: int | None,
    ) -> None:
        self.counts = {"made": 0, "succeeded": 0, "failed": 0, "queries": 0}
        self.beginning = Beginning(plan)
        self._writer, self._plan, self._settings = writer, plan, settings
        self._attempts = {attempt.key: attempt for attempt in plan.todo}
        self._attack_id, self._model_id = attack_id, subject.model.id
        self._through_id = through_id
        self._image_ids = reader.image_ids(writer.engine, subject.dataset_id)

    @property
    def ended(self) -> int:
        """How many attempts have ended, well or not."""
        return self.counts["made"] + self.counts["failed"] + self.counts.get("open", 0)

    def take(self, outcome: Outcome | Lost, made: Made) -> None:
        """Store one outcome, and how it was come by."""
        if isinstance(outcome, Lost):
            self._fail(outcome)
            return
        attempt = self._attempts[outcome.job.key]
        self.counts["queries"] += outcome.queries
        if outcome.distinct_queries is not None:
            distinct = self.counts.get("distinct_queries", 0) + outcome.distinct_queries
            self.counts["distinct_queries"] = distinct
        if outcome.error is not None:
            self._fail(Lost(attempt.key, "NonFiniteLogits", outcome.error))
            return
        if outcome.undecided is not None:
            self.counts["open"] = self.counts.get("open", 0) + 1
            self.beginning.end(attempt.key, None)
            self._writer.failure(FailureRecord(attempt.key, UNDECIDED, outcome.undecided))
            return
        self.counts["made"] += 1
        self.counts["succeeded"] += outcome.success
        self.beginning.end(attempt.key, outcome.success)
        record = _record(outcome, attempt, self._settings, self._plan.predictions, made)
        self._writer.attempt(
            record,
            attack_id=self._attack_id,
            model_id=self._model_id,
            image_id=self._image_ids[attempt.image_index],
            through_model_id=self._through_id,
        )

    def _fail(self, lost: Lost) -> None:
        self.counts["failed"] += 1
        self.beginning.end(lost.key, None)
        self._writer.failure(FailureRecord(lost.key, lost.error_type, lost.message))


def _record(
    outcome: Outcome,
    attempt: PlannedAttempt,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
    made: Made,
) -> AttemptRecord:
    clean = predictions[attempt.image_index]
    image = outcome.job.image
    is_dense = not len(outcome.positions)
    pixels = tuple(
        PixelRecord(int(r), int(c), _colour(image[r, c]), _colour(after))
        for (r, c), after in zip(
            outcome.positions, () if is_dense else outcome.colours, strict=True
        )
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
        evaluator=made.evaluator,
        precision=made.precision,
        distinct_queries=outcome.distinct_queries,
        pixels=pixels,
        whole=whole_image(image, outcome.colours.reshape(image.shape)) if is_dense else None,
    )


def _colour(values: NDArray[np.uint8]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)
