"""Every attack through the same checks; more on its results in tests/attacks/test_attacks_api."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pixguard.attacks
from conformance import rows
from pixguard.attacks import ATTACKS
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import make_search
from pixguard.classifiers.classifier import Classifier
from pixguard.errors import UsageError
from pixguard.inference.dense import DenseEvaluator
from pixguard.progress import Silent
from pixguard.records import digest
from support import StopAfter

SIDE = 9
every_attack = pytest.mark.parametrize("name", ATTACKS.names)


class Spots(nn.Module):
    """Class 1 when the brightest pixel stands out from the mean; half of the images are near it."""

    def __init__(self, differentiable: bool = True, bar: float = 0.45) -> None:
        super().__init__()
        self.differentiable, self.bar = differentiable, bar

    def forward(self, images: Tensor) -> Tensor:
        images = images if self.differentiable else images.detach()
        score = images.amax((1, 2, 3)) - images.mean((1, 2, 3)) - self.bar
        return torch.stack([-score, score], 1) * 20


def pictures(channels: int, count: int = 6) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    shape = (count, channels, SIDE, SIDE)
    return torch.randint(0, 120, shape, generator=stream, dtype=torch.uint8)


def make(name: str, network: nn.Module, **options: Any) -> Any:
    kind = getattr(pixguard.attacks, ATTACKS[name].class_name)
    return kind(network, **{**rows.ATTACKS[name], **options})


def labels(images: Tensor) -> Tensor:
    return Spots()(images.float() / 255).argmax(1)


@every_attack
@pytest.mark.parametrize("channels", [1, 3])
def test_it_finds_what_one_bright_pixel_does_and_keeps_to_its_budget(
    name: str, channels: int
) -> None:
    images = pictures(channels)
    result = make(name, Spots())(images, labels(images))
    assert result.success.any()
    options = ATTACKS[name].options(**rows.ATTACKS[name])  # type: ignore[misc]
    search = make_search(name, options, channels=channels)
    assert (result.queries <= search.most_queries(SIDE, SIDE)).all()
    if ATTACKS[name].dense:
        change = (result.images.int() - images.int()).abs()
        assert 1 < int(change.max()) <= options.levels
        return
    changed = (result.images != images).any(1).sum((1, 2))
    assert (changed[result.success] == 1).all()


@every_attack
def test_the_same_seed_gives_the_same_result_in_any_order_and_company(name: str) -> None:
    images = pictures(1)
    once = make(name, Spots(), seed=4)(images, labels(images))
    order = torch.tensor([3, 0, 5])
    again = make(name, Spots(), seed=4)(images[order], labels(images)[order])
    for field in ("success", "queries", "pixels", "colours"):
        assert torch.equal(getattr(once, field)[order], getattr(again, field))


def timeless(outcome: Outcome) -> list[Any]:
    """All but the time that it took."""
    told = replace(outcome, elapsed_ms=0.0)
    arrays = (told.positions.tolist(), told.colours.tolist())
    return [*arrays, told.success, told.decision, told.queries, told.distinct_queries,
            told.generations, told.true_confidence]  # fmt: skip


@every_attack
@pytest.mark.parametrize("steps", [1, 6])
def test_an_attempt_goes_on_elsewhere_where_it_was(name: str, steps: int) -> None:
    """Whatever a search's state leaves out, it does not need: another search has never had it."""
    options = ATTACKS[name].options(**rows.ATTACKS[name])  # type: ignore[misc]
    pixels = 1 if ATTACKS[name].dense else min(2, ATTACKS[name].most_pixels or 2)
    if not make_search(name, options, pixels=pixels).resumes:
        pixels = 1  # over pairs an exhaustive search begins again
    if make_search(name, options, pixels=pixels).most_queries(SIDE, SIDE) == 1:
        pytest.skip("it ends with its first step")
    classifier = Classifier(Spots(bar=0.77), "multi-class", 2, (0.0,), (1.0,)).eval()
    images = pictures(1).permute(0, 2, 3, 1).numpy()
    work = [Job(digest(i), images[i], (0,), 0) for i in range(len(images))]

    def scheduler(slots: int) -> Scheduler:
        search = make_search(name, options, pixels=pixels)
        evaluator = DenseEvaluator(classifier, batch=16)
        return Scheduler(
            classifier, evaluator, search, misclassify, slots=slots, device=torch.device("cpu")
        )

    whole = {o.job.key: o for o in scheduler(2).run(work, Silent())}
    stopped, stop = scheduler(4), StopAfter(steps)
    ended = {o.job.key: o for o in stopped.run(work, stop)}
    saved = stopped.in_flight()
    assert len(saved), "nothing was under way"
    left = [job for job in work if job.key not in ended]
    resumed, kept = scheduler(5), list[int]()

    def look(asked: int) -> None:
        kept.append(len(resumed.in_flight(least_s=3600.0)))

    ended |= {o.job.key: o for o in resumed.run(left, Silent(), look, saved)}
    # What was saved once is saved again, however young this process is.
    assert kept[0] or len(kept) == 1
    assert set(ended) == set(whole)
    for key, outcome in ended.items():
        assert timeless(outcome) == timeless(whole[key])
    assert not len(resumed.in_flight())


@every_attack
def test_what_identifies_it_is_plain_data_and_complete(name: str) -> None:
    entry = ATTACKS[name]
    record = make_search(name, channels=1).record
    assert (record.name, record.version) == (entry.name, entry.version)
    assert json.loads(json.dumps(dict(record.parameters))) == record.parameters
    changed = make_search(name, entry.options(**rows.ATTACKS[name]), channels=1).record  # type: ignore[misc]
    assert changed.parameters_hash != record.parameters_hash, "its options must be part of it"


@every_attack
def test_gradients_are_needed_where_the_registry_says_so_and_nowhere_else(name: str) -> None:
    images = pictures(1)
    attack = make(name, Spots(differentiable=False))
    if not ATTACKS[name].needs_gradients:
        assert attack(images, labels(images)).attacked.all()
        return
    with pytest.raises((RuntimeError, UsageError)):
        attack(images, labels(images))


@every_attack
def test_more_pixels_than_it_can_change_are_refused(name: str) -> None:
    most = ATTACKS[name].most_pixels
    if ATTACKS[name].dense:
        assert make_search(name).pixels == 0
        with pytest.raises(UsageError, match="dense attack: it changes all pixels"):
            make_search(name, pixels=2)
        return
    if most is None:
        assert make_search(name, pixels=5).pixels == 5
        return
    with pytest.raises(UsageError, match=f"{most} pixel"):
        make_search(name, pixels=most + 1)
