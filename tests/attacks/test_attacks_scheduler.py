"""The scheduler on classifiers whose answer is known by construction."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attacks.attacks_arena import arena, named
from pixguard.attacks.differential_evolution import DifferentialEvolutionSearch
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.scheduler import NOT_FINITE, Scheduler
from pixguard.attacks.engine.search import Candidates, all_pixels_changed, make_search
from pixguard.attacks.registry import (
    ATTACKS,
    DIFFERENTIAL_EVOLUTION,
    DifferentialEvolutionOptions,
)
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import judge
from pixguard.errors import PixguardError
from pixguard.inference.dense import DenseEvaluator
from pixguard.progress import Silent
from pixguard.records import digest
from support import StopAfter

SIDE = 12
NO_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
)
CPU = torch.device("cpu")


class OnePixelMatters(nn.Module):
    """Class 1 when the brightest pixel of a region reaches a level; a smooth slope leads there."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, images: Tensor) -> Tensor:
        images = (images + 1) / 2  # the classifier normalises to [-1, 1]
        peak = images[:, 0, 4:8, 4:8].amax((1, 2))
        return torch.stack([torch.full_like(peak, self.level), peak], 1) * 50


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([[1.0, self.value]]).repeat(len(images), 1)


def classifier(network: nn.Module) -> Classifier:
    return Classifier(network, "multi-class", 2, (0.5,), (0.5,)).eval()


def small_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(8 * 8 * 8, 2),
        )  # fmt: skip


def jobs(count: int, focus: int | list[int] = 0) -> list[Job]:
    stream = np.random.default_rng(3)
    images = stream.integers(0, 120, (count, SIDE, SIDE, 1), dtype=np.uint8)
    labels = focus if isinstance(focus, list) else [focus] * count
    return [Job(digest(i), images[i], (labels[i],), labels[i]) for i in range(count)]


def run(
    model: Classifier,
    work: list[Job],
    *,
    slots: int = 3,
    batch: int = 60,
    pixels: int = 1,
    population: int = 20,
    generations: int = 12,
) -> dict[str, Outcome]:
    settings = DifferentialEvolutionOptions(population=population, generations=generations)
    scheduler = Scheduler(
        model,
        DenseEvaluator(model, batch),
        make_search(DIFFERENTIAL_EVOLUTION, settings, pixels=pixels),
        misclassify,
        slots=slots,
        device=CPU,
    )
    return {outcome.job.key: outcome for outcome in scheduler.run(work, Silent())}


def rebuilt(outcome: Outcome) -> np.ndarray:
    image = outcome.job.image.copy()
    for (row, col), colour in zip(outcome.positions, outcome.colours, strict=True):
        image[row, col] = colour
    return image


def test_a_success_holds_when_it_is_rebuilt_from_its_bytes():
    model = classifier(OnePixelMatters(0.6))
    outcomes = run(model, jobs(10), generations=40)
    successes = [o for o in outcomes.values() if o.success]
    assert len(outcomes) == 10 and len(successes) >= 9
    for outcome in successes:
        (decision,) = judge(model, rebuilt(outcome)[None], device=CPU)
        assert decision == outcome.decision
        assert decision.label_set == (1,)
        ((row, col),) = outcome.positions
        assert 4 <= row < 8 and 4 <= col < 8
        assert outcome.true_confidence == pytest.approx(1 - decision.confidence, abs=1e-12)


def test_the_first_flip_ends_the_attempt_and_is_counted():
    """Class 1 from brightness 0.6 on: the first bright candidate of the population must be it."""
    model = classifier(OnePixelMatters(0.6))
    for outcome in run(model, jobs(6), generations=40).values():
        search = make_search(
            DIFFERENTIAL_EVOLUTION, DifferentialEvolutionOptions(population=20), pixels=1
        )
        search.allocate(arena(1, SIDE, 1))
        words = [int(outcome.job.key[:8], 16), int(outcome.job.key[8:16], 16)]
        search.start(torch.tensor([0]), torch.tensor([words]))
        first = search.ask()
        rows, cols = first.positions[0, :, 0].unbind(-1)
        inside = (rows >= 4) & (rows < 8) & (cols >= 4) & (cols < 8)
        flips = (inside & (first.colours[0, :, 0, 0] > 0.6 * 255)).nonzero().flatten().tolist()
        if flips:
            assert outcome.success and outcome.generations == 0
            assert outcome.queries == flips[0] + 1
        else:
            assert outcome.queries > 20


def test_rows_do_not_depend_on_slots_batches_or_order():
    model = classifier(small_network())
    work = jobs(9)
    labels = [d.label_set[0] for d in judge(model, np.stack([j.image for j in work]), device=CPU)]
    work = jobs(9, labels)
    reference = run(model, work, slots=1, batch=20)
    assert {o.success for o in reference.values()} == {True, False}
    for slots, batch, order in [(4, 80, 1), (9, 50, -1), (2, 33, 1)]:
        other = run(model, work[::order], slots=slots, batch=batch)
        assert other.keys() == reference.keys()
        for key, outcome in other.items():
            expected = reference[key]
            assert np.array_equal(outcome.positions, expected.positions)
            assert np.array_equal(outcome.colours, expected.colours)
            assert outcome.decision == expected.decision
            assert outcome.true_confidence == expected.true_confidence
            assert (outcome.queries, outcome.generations) == (
                expected.queries,
                expected.generations,
            )


def test_a_robust_classifier_costs_the_whole_budget():
    outcomes = run(classifier(Constant(0.0)), jobs(4))
    assert all(not o.success and o.error is None for o in outcomes.values())
    assert {o.queries for o in outcomes.values()} == {20 * 13}
    assert {o.generations for o in outcomes.values()} == {12}


def test_what_single_image_evaluation_denies_is_no_success():
    class Lying(DenseEvaluator):
        def logits(self, owners, positions, colours):
            return super().logits(owners, positions, colours).flip(1)

    model = classifier(Constant(0.0))
    scheduler = Scheduler(
        model,
        Lying(model, 40),
        make_search(
            DIFFERENTIAL_EVOLUTION,
            DifferentialEvolutionOptions(population=10, generations=2),
            pixels=1,
        ),
        misclassify,
        slots=2,
        device=CPU,
    )
    outcomes = list(scheduler.run(jobs(3), Silent()))
    assert len(outcomes) == 3
    assert not any(o.success for o in outcomes)


def test_an_answer_that_is_not_finite_is_an_error_of_that_attempt():
    outcomes = run(classifier(Constant(float("nan"))), jobs(3))
    assert [o.error for o in outcomes.values()] == ["the classifier's output is not finite"] * 3


def test_a_success_that_is_not_finite_when_it_is_judged_again_is_an_error():
    class Sure(DenseEvaluator):
        def logits(self, owners, positions, colours):
            return torch.tensor([[0.0, 1.0]]).repeat(len(owners), 1)

    model = classifier(Constant(float("nan")))
    search = named(DIFFERENTIAL_EVOLUTION, population=10, generations=2)
    scheduler = Scheduler(model, Sure(model, 40), search, misclassify, slots=2, device=CPU)
    outcomes = list(scheduler.run(jobs(3), Silent()))
    assert [(o.success, o.error) for o in outcomes] == [(False, NOT_FINITE)] * 3


def test_a_stop_request_drops_what_is_in_flight():
    model = classifier(Constant(0.0))
    scheduler = Scheduler(
        model,
        DenseEvaluator(model, 20),
        named(DIFFERENTIAL_EVOLUTION, population=20),
        misclassify,
        slots=1,
        device=CPU,
    )
    assert list(scheduler.run(jobs(3), StopAfter(5))) == []


def test_only_k_distinct_changed_pixels_count():
    image = torch.full((1, 4, 4, 1), 7, dtype=torch.uint8)
    positions = torch.tensor([[[0, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 0], [1, 1]]])[None]
    colours = torch.tensor([[[8], [9]], [[8], [9]], [[8], [7]]], dtype=torch.uint8)[None]
    changed = all_pixels_changed(image, Candidates(positions, colours))
    assert changed.tolist() == [[True, False, False]]


@pytest.mark.parametrize("no_memory", NO_MEMORY, ids=["gpu", "cpu", "Python"])
def test_a_batch_that_does_not_fit_is_halved_and_no_row_changes(no_memory):
    class Cramped(DenseEvaluator):
        def logits(self, owners, positions, colours):
            if self.batch > 15:
                raise no_memory
            return super().logits(owners, positions, colours)

    model, said = classifier(small_network()), list[str]()
    settings = DifferentialEvolutionOptions(population=20, generations=12)
    scheduler = Scheduler(
        model,
        evaluator := Cramped(model, 60),
        make_search(DIFFERENTIAL_EVOLUTION, settings, pixels=1),
        misclassify,
        slots=3,
        device=CPU,
        say=said.append,
    )
    outcomes = {o.job.key: o for o in scheduler.run(jobs(5), Silent())}
    assert evaluator.batch == 15
    assert said == [
        f"the device ran out of memory; going on with {n} candidates at a time" for n in (30, 15)
    ]
    for key, expected in run(model, jobs(5)).items():
        assert outcomes[key].queries == expected.queries
        assert (outcomes[key].positions == expected.positions).all()


class Sloping(nn.Module):
    """Gives gradients of so many images at a time."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.network = small_network()
        self.most, self.error = most, error

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad and len(images) > self.most:
            raise self.error
        return self.network(images)


def descend(network: nn.Module, said: list[str]) -> dict[str, Outcome]:
    model = classifier(network)
    scheduler = Scheduler(
        model,
        DenseEvaluator(model, 8),
        named("sigma-zero", pixels=2, queries=8),
        misclassify,
        slots=5,
        device=CPU,
        say=said.append,
    )
    return {o.job.key: o for o in scheduler.run(jobs(5), Silent())}


@pytest.mark.parametrize("no_memory", NO_MEMORY, ids=["gpu", "cpu", "Python"])
def test_gradients_that_do_not_fit_are_taken_of_fewer_images(no_memory):
    said = list[str]()
    found = descend(Sloping(2, no_memory), said)
    assert said == [
        f"the device ran out of memory; going on with the gradients of {n} images at a time"
        for n in (4, 2)
    ]
    for key, expected in descend(small_network(), []).items():
        assert found[key].queries == expected.queries
        assert (found[key].positions == expected.positions).all()
    with pytest.raises(PixguardError, match="memory for the gradient of one image") as told:
        descend(Sloping(0, no_memory), said)
    assert "device=cpu" in told.value.hint
    with pytest.raises(RuntimeError, match="something else"):
        descend(Sloping(0, RuntimeError("something else")), said)


def test_memory_that_does_not_do_for_one_candidate_is_an_error():
    class Full(DenseEvaluator):
        def logits(self, owners, positions, colours):
            raise torch.OutOfMemoryError("nothing fits")

    model = classifier(Constant(0.0))
    search = make_search(
        DIFFERENTIAL_EVOLUTION, DifferentialEvolutionOptions(population=4), pixels=1
    )
    scheduler = Scheduler(model, Full(model, 4), search, misclassify, slots=1, device=CPU)
    with pytest.raises(torch.OutOfMemoryError):
        list(scheduler.run(jobs(1), Silent()))


def test_what_was_asked_before_is_answered_from_memory():
    """Same outcomes with and without, and fewer candidates for the classifier."""

    class Counting(DenseEvaluator):
        seen = 0

        def logits(self, owners, positions, colours):
            self.seen += len(owners)
            return super().logits(owners, positions, colours)

    entry = ATTACKS[DIFFERENTIAL_EVOLUTION]
    model = classifier(Constant(0.0))
    settings = DifferentialEvolutionOptions(population=20, generations=40)
    asked, outcomes = {}, {}
    for remembers in (True, False):
        search = DifferentialEvolutionSearch(replace(entry, revisits=remembers), settings, 1, 1)
        evaluator = Counting(model, 20)
        scheduler = Scheduler(model, evaluator, search, misclassify, slots=2, device=CPU)
        outcomes[remembers] = {o.job.key: o for o in scheduler.run(jobs(4), Silent())}
        asked[remembers] = evaluator.seen
    remembering = outcomes[True]
    assert asked[False] == 4 * 20 * 41
    assert asked[True] == sum(o.distinct_queries for o in remembering.values())
    assert asked[True] < asked[False]
    for key, expected in outcomes[False].items():
        assert expected.distinct_queries is None
        assert (remembering[key].positions == expected.positions).all()
        assert remembering[key].queries == expected.queries
