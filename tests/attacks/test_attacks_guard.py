"""Attacks under a detector's alarm: what it flags is no success, and the search is led along."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conformance import rows
from pixguard.attacks.engine.guard import BATCH, WORST, Guard
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import make_search
from pixguard.attacks.registry import ATTACKS
from pixguard.classifiers.classifier import Classifier
from pixguard.inference.dense import DenseEvaluator
from pixguard.progress import Silent
from pixguard.records import digest

CPU = torch.device("cpu")
SIDE = 8


class Bright(nn.Module):
    """Class 1 from a brightness on, of the brightest pixel."""

    def forward(self, images: Tensor) -> Tensor:
        peak = images.amax((1, 2, 3))
        return torch.stack([torch.full_like(peak, 0.6), peak], 1) * 50


class TooBright(nn.Module):
    """An alarm above a brightness; it knows how many images it was asked about."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level, self.batches = level, list[int]()

    def forward(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        return images.amax((1, 2, 3)).double() - self.level


def attacked(name: str, detector: nn.Module | None, **options: Any) -> list[Outcome]:
    """Attack two dark images."""
    model = Classifier(Bright(), "multi-class", 2, (0.0,), (1.0,)).eval()
    entry = ATTACKS[name]
    chosen = entry.options(**(rows.ATTACKS[name] | options)) if entry.options else None
    search = make_search(name, chosen)
    if detector is not None:
        search.guard = Guard(detector, only_fooling=entry.complete)
    scheduler = Scheduler(
        model, DenseEvaluator(model, 60), search, misclassify, slots=2, device=CPU
    )
    stream = np.random.default_rng(3)
    images = stream.integers(0, 60, (2, SIDE, SIDE, 1), dtype=np.uint8)
    jobs = [Job(digest([name, i]), image, (0,), 0) for i, image in enumerate(images)]
    return list(scheduler.run(jobs, Silent()))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("differential-evolution", {"population": 40, "generations": 40}),
        ("exhaustive", {"space": "all-values"}),
        ("sparse-rs", {"queries": 100}),
        ("cma-es", {"queries": 800}),
        ("brusle", {"queries": 60}),
        ("random", {}),
        ("square", {"eps": 150.0, "queries": 40}),
    ],
)
def test_successes_lie_between_the_classifier_and_the_alarm(
    name: str, options: dict[str, Any]
) -> None:
    """Grey levels of 153 to 159 fool unseen, 160 and more are flagged, 152 and less do not fool."""
    assert all(outcome.success for outcome in attacked(name, None, **options))
    detector = TooBright(159.5 / 255)
    found = attacked(name, detector, **options)
    if name not in ("sparse-rs", "brusle", "square"):  # these ask for extreme values alone
        assert any(outcome.success for outcome in found)
    for outcome in found:
        highest = max(int(outcome.colours.max()), int(outcome.job.image.max()))
        assert outcome.success == (153 <= highest <= 159)
    assert set(detector.batches) <= {1, BATCH}
    assert not any(outcome.success for outcome in attacked(name, TooBright(0.5), **options))


def test_extreme_colours_alone_cannot_pass_below_the_alarm() -> None:
    assert all(outcome.success for outcome in attacked("corner", None))
    assert not any(outcome.success for outcome in attacked("corner", TooBright(0.9)))


def test_a_search_is_led_along_what_raises_no_alarm() -> None:
    """Of an evolution that fails the best is the one that is nearest below the alarm."""
    options = {"population": 40, "generations": 60}
    for outcome in attacked("differential-evolution", TooBright(130.5 / 255), **options):
        assert not outcome.success and outcome.colours.max() in range(125, 131)


def test_what_raises_an_alarm_stands_behind_all_else() -> None:
    scores = torch.tensor([-1.0, 3.0, -2.0, 2.0, float("nan"), 5.0], dtype=torch.float64)
    asked = list[int]()

    class Known(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            asked.extend(images[:, 0, 0, 0].int().tolist())
            return scores[images[:, 0, 0, 0].int()]

    def images(numbers: Tensor) -> Tensor:
        return numbers.float()[:, None, None, None].expand(-1, 1, 2, 2)

    fitness = torch.tensor([0.4, -7.0, 0.2, -1.0, -3.0, torch.inf], dtype=torch.float64)
    success = torch.tensor([False, True, False, True, True, False])
    found, hits = Guard(Known()).judge(images, fitness, success)
    assert not hits.any()
    assert found.argsort().tolist()[:4] == [2, 0, 3, 1] and found[5] == torch.inf
    assert found.isfinite()[:5].all() and (found[[1, 3, 4]] >= WORST).all()
    assert 5 not in asked, "the classifier has given no answer"
    asked.clear()
    quiet = Guard(Known(), only_fooling=True)
    same, hits = quiet.judge(images, fitness, torch.tensor([True, True] + [False] * 4))
    assert hits.tolist() == [True] + [False] * 5 and {*asked} == {0, 1}
    assert same[[0, 2, 3]].equal(fitness[[0, 2, 3]])
