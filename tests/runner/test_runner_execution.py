"""How many attempts run at a time, in batches of which size."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch

from pixguard.attacks.engine.search import make_search
from pixguard.attacks.registry import AttackEntry
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.config import AttackSettings
from pixguard.datasets.base import ImageDataset
from pixguard.inference.dense import DenseEvaluator
from pixguard.progress import Silent
from pixguard.records import AttackRecord, ClassInfo, DatasetInfo, ModelRecord, PredictionRecord
from pixguard.runner.plan import Plan, PlannedAttempt
from pixguard.runner.searching import MEASURED_STEPS, measure_rate, open_evaluator
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store.reader import StoredModel

RECORD = AttackRecord("some", 1, 1, {})
SESSION = Session("x.db", Path("x-files"), torch.device("cpu"), Silent(), Silent(), "pixguard")


@dataclass
class Asking:
    """What is asked of a search before it runs."""

    candidates_per_step: int
    revisits: bool
    most_slots: int | None = None
    pixels: int = 1

    @property
    def entry(self) -> AttackEntry:
        return AttackEntry("asking", "nowhere:Asking", revisits=self.revisits)

    def most_queries(self, height: int, width: int) -> int:
        return self.candidates_per_step


def subject() -> Subject:
    info = DatasetInfo(
        "set", "folder", 12, "v", "paper", 0, "m", "multi-class", 1,
        (ClassInfo(0, "a"), ClassInfo(1, "b")),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 12, 12, 1), dtype=np.uint8)
    dataset = ImageDataset(info, np.zeros(9, np.int64), np.full(9, 2, np.uint8), images.__getitem__)
    classifier = Classifier(SmallCNN(1, 2), "multi-class", 2, (0.5,), (0.2,)).eval()
    model = ModelRecord("classifier", "small-cnn", "w", "w", {}, {}, 1, 0, 1.0, 1)
    return Subject(dataset, 1, StoredModel(1, model, 1, "set", 0), classifier)


def plan(
    attempts: int, done: int, decisions: Mapping[int, PredictionRecord] = MappingProxyType({})
) -> Plan:
    planned = [PlannedAttempt(f"{i:064x}", i % 9, None, 0) for i in range(attempts)]
    return Plan(RECORD, planned, frozenset(a.key for a in planned[:done]), decisions)


@pytest.mark.parametrize(
    ("step", "revisits", "attempts", "done", "expected"),
    [
        (100, False, 50, 0, (150, 3)),
        (100, True, 90, 0, (232, 58)),
        (1, False, 500, 0, (240, 240)),
        (1, False, 500, 400, (240, 100)),
        (100, True, 5, 0, (167, 5)),
        (100, False, 2, 0, (200, 2)),
        (100, True, 2, 1, (200, 1)),
        (1000, False, 9, 0, (200, 1)),
        (100, True, 9, 9, (225, 1)),
        (100, True, 0, 0, (100, 1)),
    ],
)
def test_a_step_fills_equal_batches_and_none_is_larger_than_the_plan_can_fill(
    step: int, revisits: bool, attempts: int, done: int, expected: tuple[int, int]
) -> None:
    settings = AttackSettings(batch=240, evaluator="dense")
    evaluator, slots = open_evaluator(
        SESSION, subject(), settings, Asking(step, revisits), plan(attempts, done)
    )
    assert (evaluator.batch, slots) == expected


def test_no_more_images_are_kept_than_the_evaluator_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DenseEvaluator, "most_slots", 4)
    settings = AttackSettings(batch=240, evaluator="dense")
    evaluator, slots = open_evaluator(SESSION, subject(), settings, Asking(100, True), plan(50, 0))
    assert (evaluator.batch, slots) == (200, 4)


def test_a_search_that_says_how_many_it_wants_at_a_time_gets_no_more() -> None:
    settings = AttackSettings(batch=240, evaluator="dense")
    evaluator, slots = open_evaluator(
        SESSION, subject(), settings, Asking(1, False, most_slots=32), plan(500, 0)
    )
    assert (evaluator.batch, slots) == (32, 32)


def test_a_resumed_plan_is_evaluated_in_batches_of_the_same_shape() -> None:
    """Kernels may differ in the last bits between shapes: the rows must not."""
    settings = AttackSettings(batch=240, evaluator="dense")
    shapes = {
        open_evaluator(SESSION, subject(), settings, Asking(100, True), plan(2, done))[0].batch
        for done in (0, 1, 2)
    }
    assert shapes == {200}


@pytest.mark.parametrize(("attack", "pixels"), [("differential-evolution", 3), ("corner", 1)])
def test_the_rate_is_that_of_the_first_steps_of_the_search_itself(attack: str, pixels: int) -> None:
    """Gradients and breeding cost time too: the real search runs, for a few steps."""
    one, steps = subject(), []
    with torch.no_grad():  # no attempt ends early: the decision is far from every border
        one.classifier.get_parameter("network.head.bias").copy_(torch.tensor([99.0, -99.0]))
    settings = AttackSettings(attack=attack, batch=60, pixels=pixels, evaluator="dense")
    search = make_search(attack, pixels=pixels)
    ask = search.ask
    search.ask = lambda: (steps.append(ask()), steps[-1])[1]  # type: ignore[method-assign]
    decisions = {index: PredictionRecord(index, (0,), 0.6) for index in range(9)}
    evaluator, rate = measure_rate(SESSION, one, settings, search, plan(9, 2, decisions))
    assert (evaluator.name, evaluator.precision) == ("dense", "float32")
    assert rate > 0
    assert len(steps) == MEASURED_STEPS + 1


def test_a_plan_that_is_done_has_no_rate() -> None:
    settings = AttackSettings(evaluator="dense")
    search = make_search(settings.attack)
    assert measure_rate(SESSION, subject(), settings, search, plan(3, 3))[1] == 0
