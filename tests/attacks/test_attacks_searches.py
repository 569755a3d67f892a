"""What every search promises, and what each finds on classifiers whose answer is known."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from attacks.attacks_arena import arena, named
from pixguard.attacks import ATTACKS
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.sampling import corner_colours, corners_of, draw_corners, draw_places
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import (
    Arena,
    Candidates,
    Search,
    all_pixels_changed,
    make_search,
)
from pixguard.attacks.sigma_zero import SIGMA, count_gradient
from pixguard.attacks.sparse_rs import replace_pixels
from pixguard.classifiers.classifier import Classifier
from pixguard.errors import UsageError
from pixguard.inference.dense import DenseEvaluator
from pixguard.progress import Silent
from pixguard.records import digest

SIDE = 8
BUDGET = 70
CPU = torch.device("cpu")

BUDGETED: dict[str, dict[str, str]] = {
    "random": {},
    "gradient": {"attack": "corner", "order": "gradient"},
    "grid": {"attack": "corner", "order": "grid"},
    "sparse-rs": {},
    "sigma-zero": {},
    "spgd": {},
    "brusle": {},
    "cma-es": {},
    "jsma": {},
    "sparse-aa": {},
    "projected": {"attack": "spgd", "gradient": "projected"},
}
ALL = [*BUDGETED, "exhaustive"]


def make(name: str, channels: int = 1, pixels: int = 1, queries: int = BUDGET) -> Search:
    if name == "exhaustive":
        return named(name, channels, pixels)
    if name == "jsma":
        return named(name, channels, pixels, starts=min(queries, SIDE * SIDE) // pixels)
    options = {"attack": name, **BUDGETED[name]}
    return named(options.pop("attack"), channels, pixels, queries=queries, **options)


CASES = [
    (name, channels, pixels)
    for name in ALL
    for channels in (1, 3)
    for pixels in (1, 2, 3)
    if pixels == 1 or (name != "exhaustive" and (pixels == 2 or channels == 1))
]


class Linear(nn.Module):
    """Class 1 when the weighted sum of what differs from mid-grey reaches a level."""

    def __init__(self, weights: Tensor, level: float) -> None:
        super().__init__()
        self.weights = weights
        self.level = level

    def forward(self, images: Tensor) -> Tensor:
        score = (images / 2 * self.weights).sum((1, 2, 3))  # the classifier normalises to [-1, 1]
        return torch.stack([torch.full_like(score, self.level), score], 1)


class Bump(Linear):
    """A broad bump of weights, its channels of both signs; saturating, so no longer linear."""

    def __init__(self, channels: int, level: float) -> None:
        row, col = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        bump = torch.exp(-((row - 5.1) ** 2) / 4 - (col - 2.2) ** 2 / 5)  # no symmetry, no ties
        signs = torch.tensor([1.0, -1.0, 1.0][:channels])
        super().__init__(bump * signs[:, None, None] / channels, level)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).tanh()


class Needle(nn.Module):
    """Class 1 for exactly one value of exactly one pixel."""

    def __init__(self, row: int, col: int, value: int) -> None:
        super().__init__()
        self.row, self.col, self.value = row, col, value

    def forward(self, images: Tensor) -> Tensor:
        level = ((images[:, 0, self.row, self.col] + 1) / 2 * 255).round()
        hit = (level == self.value).float()
        return torch.stack([torch.full_like(hit, 0.5), hit], 1)


def classifier(network: nn.Module, channels: int = 1) -> Classifier:
    return Classifier(network, "multi-class", 2, (0.5,) * channels, (0.5,) * channels).eval()


def jobs(count: int, channels: int = 1, low: int = 120, high: int = 136) -> list[Job]:
    stream = np.random.default_rng(7)
    images = stream.integers(low, high, (count, SIDE, SIDE, channels), dtype=np.uint8)
    return [Job(digest(i), images[i], (0,), 0) for i in range(count)]


def run(model: Classifier, work: list[Job], search: Search, slots: int = 4) -> dict[str, Outcome]:
    batch = min(slots * search.candidates_per_step, 200)
    scheduler = Scheduler(
        model, DenseEvaluator(model, batch), search, misclassify, slots=slots, device=CPU
    )
    return {outcome.job.key: outcome for outcome in scheduler.run(work, Silent())}


def steps(search: Search, place: Arena, slots: int, count: int, channels: int):
    """Play a search against random answers; yield what it asks for and is told."""
    search.allocate(place)
    search.start(torch.arange(slots), torch.arange(2 * slots).view(slots, 2) + 11)
    generator = torch.Generator().manual_seed(3)
    asked = 0
    while asked < count:
        candidates = search.ask()
        size = candidates.positions.shape[1]
        fitness = torch.rand(slots, size, dtype=torch.float64, generator=generator) + 1
        if candidates.counts is not None:
            fitness[torch.arange(size) >= candidates.counts[:, None]] = torch.inf
        yield candidates, fitness
        search.tell(fitness)
        asked += size


@pytest.mark.parametrize(("name", "channels", "pixels"), CASES)
def test_it_asks_for_what_an_image_has_and_reports_what_it_asked_for(name, channels, pixels):
    search = make(name, channels, pixels)
    most = search.most_queries(SIDE, SIDE)
    best = [(torch.inf, None)] * 2
    place = arena(2, SIDE, channels)
    for candidates, fitness in steps(search, place, 2, most, channels):
        size = search.candidates_per_step
        assert candidates.positions.shape == (2, size, pixels, 2)
        assert candidates.positions.dtype == torch.int64
        assert candidates.colours.shape == (2, size, pixels, channels)
        assert candidates.colours.dtype == torch.uint8
        assert 0 <= candidates.positions.min() and candidates.positions.max() < SIDE
        changed = all_pixels_changed(place.images, candidates)
        if pixels > 1 and name in (
            "gradient",
            "grid",
            "jsma",
        ):  # singles are no candidates of k pixels
            fitness = fitness.masked_fill(~changed, torch.inf)
        for slot in range(2):
            index = int(fitness[slot].argmin())
            if fitness[slot, index] < best[slot][0]:
                chosen = candidates.positions[slot, index], candidates.colours[slot, index]
                best[slot] = float(fitness[slot, index]), tuple(t.clone() for t in chosen)
    for slot in range(2):
        reported = search.best(slot)
        assert all(torch.equal(a, b) for a, b in zip(reported, best[slot][1], strict=True))


@pytest.mark.parametrize(("name", "channels", "pixels"), CASES)
def test_a_robust_classifier_costs_exactly_what_was_announced(name, channels, pixels):
    """No pixel of these images is black or white, so that every corner changes something."""
    search = make(name, channels, pixels)
    model = classifier(Bump(channels, level=2.0), channels)
    outcomes = run(model, jobs(2, channels), search, slots=2)
    assert {o.queries for o in outcomes.values()} == {search.most_queries(SIDE, SIDE)}
    assert not any(o.success or o.error for o in outcomes.values())


@pytest.mark.parametrize(("name", "channels", "pixels"), CASES)
def test_an_outcome_depends_on_its_key_alone(name, channels, pixels):
    model = classifier(Bump(channels, level=0.37 if pixels == 1 else 0.62), channels)
    work = jobs(3, channels, 60, 200)
    reference = run(model, work, make(name, channels, pixels), slots=1)
    for slots, order in [(2, 1), (3, -1)]:
        other = run(model, work[::order], make(name, channels, pixels), slots=slots)
        for key, outcome in other.items():
            expected = reference[key]
            assert np.array_equal(outcome.positions, expected.positions)
            assert np.array_equal(outcome.colours, expected.colours)
            assert outcome.decision == expected.decision
            assert (outcome.success, outcome.queries) == (expected.success, expected.queries)


LEVELS = {(1, 1): 0.43, (3, 1): 0.40, (1, 2): 0.66, (3, 2): 0.62}
"""What the bump must reach for so many channels and pixels: near the most that is possible."""


@pytest.mark.parametrize(
    ("name", "channels", "pixels"), [c for c in CASES if c[0] != "random" and c[2] < 3]
)
def test_it_beats_random_search_on_a_smooth_problem(name, channels, pixels):
    budget = 400
    model = classifier(Bump(channels, LEVELS[channels, pixels]), channels)
    medians = []
    for search in (make(name, channels, pixels, budget), make("random", channels, pixels, budget)):
        outcomes = run(model, jobs(3, channels), search, slots=3).values()
        medians.append(np.median([o.queries if o.success else np.inf for o in outcomes]))
    assert medians[0] < medians[1]
    assert np.isfinite(medians[0])


def test_every_search_can_be_had_by_name():
    for name in ATTACKS.names:
        assert make_search(name, channels=3).record.name == name


@pytest.mark.parametrize("name", BUDGETED)
def test_an_image_without_room_is_refused(name):
    with pytest.raises(UsageError, match="too small"):
        make(name, pixels=4).most_queries(2, 2)


def test_places_and_corners_are_drawn_uniformly_from_what_is_free():
    words = torch.randint(0, 1 << 32, (40_000, 2), generator=torch.Generator().manual_seed(1))
    places = draw_places(words, torch.tensor([[1, 3]]).expand(40_000, 2), 6)
    pairs = torch.bincount(places[:, 0] * 6 + places[:, 1], minlength=36).view(6, 6)
    free = torch.tensor([0, 2, 4, 5])
    allowed = pairs[free][:, free]
    assert pairs.sum() == allowed.sum() and (allowed.diagonal() == 0).all()
    assert stats.chisquare(allowed[~torch.eye(4, dtype=bool)].numpy()).pvalue > 1e-4

    colours = torch.tensor([[255, 0, 255], [255, 0, 254]], dtype=torch.uint8)
    assert torch.equal(corner_colours(corners_of(colours)[:1], 3), colours[:1])
    drawn = draw_corners(words, colours)
    own = int(corners_of(colours)[0])
    counts = torch.bincount(drawn[:, 0], minlength=8)
    assert counts[own] == 0
    assert stats.chisquare(counts[torch.arange(8) != own].numpy()).pvalue > 1e-4
    assert stats.chisquare(torch.bincount(drawn[:, 1], minlength=8).numpy()).pvalue > 1e-4


# Random


def test_random_candidates_are_uniform():
    search = make("random", 1, 2, queries=40_000)
    places, colours = [], []
    for candidates, _ in steps(search, arena(1, 5, 1), 1, 40_000, 1):
        places.append(candidates.positions[0, ..., 0] * 5 + candidates.positions[0, ..., 1])
        colours.append(candidates.colours.flatten())
    places = torch.cat(places)
    pairs = torch.bincount(places[:, 0] * 25 + places[:, 1], minlength=625).view(25, 25)
    assert (pairs.diagonal() == 0).all()
    assert stats.chisquare(pairs[~torch.eye(25, dtype=bool)].numpy()).pvalue > 1e-4
    counts = torch.bincount(torch.cat(colours).long(), minlength=256)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4


# Exhaustive


def asked_for(search: Search, side: int, channels: int) -> list[tuple[int, ...]]:
    """Return (row, col, colour...) of all candidates, in order; slot 1 starts 3 steps late."""
    search.allocate(arena(2, side, channels))
    search.start(torch.tensor([0]), torch.zeros(1, 2, dtype=torch.int64))
    rows, total = [], search.most_queries(side, side)
    for step in range(-(-total // search.candidates_per_step) + 3):
        if step == 3:
            search.start(torch.tensor([1]), torch.zeros(1, 2, dtype=torch.int64))
        candidates = search.ask()
        if step >= 3:
            count = int(candidates.counts[1])
            row = torch.cat([candidates.positions[1, :, 0], candidates.colours[1, :, 0]], -1)
            rows += [tuple(r) for r in row[:count].tolist()]
        places = candidates.positions[:, :, 0].double()
        fitness = (places[..., 0] * side + places[..., 1] - 7).abs()
        fitness += (candidates.colours[:, :, 0, 0] == 0) * 0.5
        beyond = torch.arange(fitness.shape[1]) >= candidates.counts[:, None]
        search.tell(fitness.masked_fill(beyond, torch.inf))
    return rows


def test_exhaustive_covers_every_value_of_every_pixel_once_extremes_first():
    rows = asked_for(named("exhaustive", 1), 5, 1)
    assert len(rows) == len(set(rows)) == 25 * 256
    values = [value for _, _, value in rows[::25]]
    assert values[:5] == [0, 255, 128, 64, 192]
    assert [value for *_, value in rows] == np.repeat(values, 25).tolist()


def test_exhaustive_covers_every_corner_once_and_refines_the_best_pixels():
    rows = asked_for(named("exhaustive", 3), 5, 3)
    corners, refined = rows[: 25 * 8], rows[25 * 8 :]
    assert len(set(corners)) == 25 * 8
    assert {c for *_, red, green, blue in corners for c in (red, green, blue)} == {0, 255}
    assert len(refined) == 16 * 3 * 256
    # Pixels 0 to 15 are nearest to pixel 7; red at 255 is better, (255, 0, 0) comes first.
    best = [(abs(p - 7), p) for p in range(25)]
    order = [p for _, p in sorted(best)][:16]
    for rank, place in enumerate(order):
        part = refined[rank * 768 : (rank + 1) * 768]
        assert {(row, col) for row, col, *_ in part} == {(place // 5, place % 5)}
        corner = next(c[2:] for c in corners if c[:2] == part[0][:2] and c[2] == 255)
        for channel in range(3):
            sweep = [colour for _, _, *colour in part[channel * 256 :][:256]]
            assert sorted(colour[channel] for colour in sweep) == list(range(256))
            others = {tuple(np.delete(colour, channel)) for colour in sweep}
            assert others == {tuple(np.delete(corner, channel))}


def test_exhaustive_finds_a_needle_and_only_a_needle():
    work = jobs(2)
    found = run(
        classifier(Needle(6, 1, 77)), work, named("exhaustive", space="all-values"), slots=2
    )
    for outcome in found.values():
        assert outcome.success
        assert outcome.positions.tolist() == [[6, 1]] and outcome.colours.tolist() == [[77]]


def test_exhaustive_computes_only_a_step_of_a_large_space():
    search = named("exhaustive", 1)
    assert search.most_queries(224, 224) == 12_845_056
    search.allocate(arena(1, 224, 1))
    search.start(torch.tensor([0]), torch.zeros(1, 2, dtype=torch.int64))
    held = sum(v.numel() for v in vars(search).values() if isinstance(v, Tensor))
    assert held < 1000
    search._step[:] = 12_845_056 // search.candidates_per_step - 1
    assert search.ask().positions[0, -1, 0].tolist() == [223, 223]


@pytest.mark.parametrize(
    ("space", "channels", "pixels", "message"),
    [(None, 1, 3, "2 pixels at most"), ("all-values", 3, 1, "16.7 million")],
)
def test_exhaustive_refuses_what_it_cannot_cover(space, channels, pixels, message):
    with pytest.raises(UsageError, match=message):
        named("exhaustive", channels, pixels, space=space)


def test_exhaustive_says_which_space_it_covered():
    assert named("exhaustive", 1).record.parameters["space"] == "all-values"
    assert named("exhaustive", 3).record.parameters["space"] == "corners"


# Corner


def random_weights(channels: int) -> Tensor:
    return torch.randn(channels, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def best_scores(work: list[Job], weights: Tensor) -> list[float]:
    """Return the most that one pixel can add to the weighted sum, for each image."""
    scores = []
    for job in work:
        value = torch.from_numpy(job.image).permute(2, 0, 1).double() / 255
        gain = torch.maximum(weights.double() * (1 - value), -weights.double() * value).sum(0)
        clean = ((value - 0.5) * weights.double()).sum()
        scores.append(float(clean + gain.max()))
    return scores


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_finds_the_optimum_of_a_linear_classifier_at_once(channels):
    weights = random_weights(channels)
    for job in jobs(4, channels, 0, 256):
        (level,) = best_scores([job], weights)
        model = classifier(Linear(weights, level - 1e-4), channels)
        (outcome,) = run(model, [job], make("gradient", channels)).values()
        assert outcome.success and outcome.queries == 1
        impossible = classifier(Linear(weights, level + 1e-4), channels)
        (outcome,) = run(impossible, [job], make("gradient", channels)).values()
        assert not outcome.success


def test_the_grid_leads_to_a_flip_that_is_not_on_it():
    """The only flip is one pixel of the 64, off the grid, on the slope that the grid shows."""
    network = Bump(1, level=0.0)
    work = jobs(5)
    search = make("grid", queries=64)
    search.allocate(arena(1, SIDE, 1))
    grid = set(search._grid.tolist())
    assert 8 <= len(grid) <= 32 and 5 * SIDE + 2 not in grid
    for job in work:
        search = make("grid", queries=64)
        network.weights[0, 5, 2] = 1.3
        (level,) = best_scores([job], network.weights)
        network.level = float(np.tanh(level - 1e-3))
        (outcome,) = run(classifier(network), [job], search).values()
        assert outcome.success and outcome.positions.tolist() == [[5, 2]]
        assert outcome.queries <= 64


@pytest.mark.parametrize("order", ["gradient", "grid"])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_pixel_corners_are_asked_for_once_and_only_where_they_change(order, channels):
    place = arena(2, SIDE, channels)  # black
    place.images[0, 2, 3] = 255
    place.images[0, 1, 1, 0] = 9
    search = make(order, channels, queries=5000)
    seen = [[], []]
    for candidates, _ in steps(search, place, 2, search.most_queries(SIDE, SIDE), 1):
        for slot in range(2):
            count = int(candidates.counts[slot])
            row = torch.cat([candidates.positions[slot, :, 0], candidates.colours[slot, :, 0]], -1)
            seen[slot] += [tuple(r) for r in row[:count].tolist()]
    corners = SIDE * SIDE * 2**channels
    for slot, unchanged in [(0, SIDE * SIDE - 1), (1, SIDE * SIDE)]:
        assert len(seen[slot]) == len(set(seen[slot])) == corners - unchanged


def test_pairs_come_in_the_order_of_the_sum_of_their_margins():
    """A separable margin: the first pair must be the best of all pairs at distinct pixels."""
    weights = random_weights(1)
    search = make("gradient", pixels=2, queries=1000)
    place = arena(1, SIDE, 1)
    place.images[:] = 128
    search.allocate(place)
    search.start(torch.tensor([0]), torch.tensor([[5, 6]]))
    sums = []
    for _ in range(1000 // search.candidates_per_step):
        candidates = search.ask()
        rows, cols = candidates.positions[0].unbind(-1)
        gains = weights[0, rows, cols] * (candidates.colours[0, ..., 0].double() / 255 - 0.5)
        same = (candidates.positions[0, :, 0] == candidates.positions[0, :, 1]).all(-1)
        fitness = 10 - torch.where(same, gains[:, 0], gains.sum(-1))
        sums += [(bool(s), float(f)) for s, f in zip(same, fitness, strict=True)]
        search.tell(fitness[None])
    singles = [s for s, _ in sums].count(True)
    assert singles == 2 * SIDE * SIDE
    assert all(s for s, _ in sums[:singles])
    count = int(search._combined_count[0])
    start = int(search._combined_from[0])
    pairs = [f for _, f in sums[start : start + count]]
    assert pairs == sorted(pairs)
    top = (weights[0].abs() / 2).flatten().topk(2).values.sum()
    assert pairs[0] == pytest.approx(10 - float(top), abs=0.02)
    assert count > (1000 - singles) // 4


def test_a_single_that_flips_is_given_company_at_once():
    model = classifier(Bump(1, level=0.3))
    for outcome in run(model, jobs(4), make("gradient", 1, 2, 1000)).values():
        assert outcome.success and outcome.queries <= 33
        assert len({tuple(p) for p in outcome.positions.tolist()}) == 2


# Sparse-RS


@pytest.mark.parametrize("pixels", [1, 2, 20])
@pytest.mark.parametrize("channels", [1, 3])
def test_sparse_rs_changes_k_pixels_and_its_loss_never_rises(pixels, channels):
    place = arena(3, SIDE, channels)
    place.images[1] = 255
    place.images[2] = 99
    search = make("sparse-rs", channels, pixels, queries=60)
    held: list[tuple[float, Candidates]] = []
    for query, (candidates, fitness) in enumerate(steps(search, place, 3, 60, channels)):
        assert all_pixels_changed(place.images, candidates).all()
        places = candidates.positions[..., 0] * SIDE + candidates.positions[..., 1]
        if held:
            limit = max(int(0.3 * pixels), 1)
            for slot, (_, incumbent) in enumerate(held):
                kept = set(places[slot, 0].tolist()) & set(incumbent)
                assert pixels - limit <= len(kept) < pixels
            if query > 50:
                assert len(kept) == pixels - 1
        else:
            held = [(np.inf, [])] * 3
        for slot in range(3):
            if fitness[slot, 0] <= held[slot][0]:
                held[slot] = float(fitness[slot, 0]), places[slot, 0].tolist()
    for slot in range(3):
        assert float(search._incumbents.fitness[slot]) == held[slot][0]


def test_sparse_rs_replaces_uniformly():
    """Of three pixels one is replaced by any of the six others."""
    images = torch.full((1, 3, 3, 1), 7, dtype=torch.uint8)
    words = torch.randint(0, 1 << 32, (1, 30_000, 9), generator=torch.Generator().manual_seed(1))
    places, colours = replace_pixels(
        images,
        torch.tensor([[[0, 4, 8]]]),
        torch.tensor([[[[1], [2], [3]]]], dtype=torch.uint8),
        words,
        torch.tensor([1]),
        1,
    )
    old = torch.tensor([0, 4, 8])
    replaced = places[0] != old
    assert (replaced.sum(1) == 1).all()
    new = places[0][replaced]
    counts = torch.zeros(3, 9)
    counts.index_put_((replaced.long().argmax(1), new), torch.ones(30_000), accumulate=True)
    assert (counts[:, old] == 0).all()
    assert stats.chisquare(counts[:, [1, 2, 3, 5, 6, 7]].flatten().numpy()).pvalue > 1e-4
    assert set(colours[0][replaced].flatten().tolist()) == {0, 255}
    kept = torch.tensor([1, 2, 3]).expand(30_000, 3)[~replaced]
    assert torch.equal(colours[0, ..., 0][~replaced].long(), kept)


# Sigma-zero


def test_the_gradient_of_the_count_is_that_of_its_definition():
    change = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(4)) * 0.05
    leaf = change.double().requires_grad_()
    square = leaf.square().sum(1)
    (square / (square + SIGMA)).mean((1, 2)).sum().backward()
    assert torch.allclose(count_gradient(change).double(), leaf.grad, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(("channels", "pixels"), [(1, 1), (1, 2), (3, 1)])
def test_sigma_zero_flips_a_linear_classifier_within_a_few_queries(channels, pixels):
    """Only one pixel is strong enough."""
    weights = random_weights(channels) / 10
    weights[:, 3, 4] = torch.tensor([9.0, -6.0, 4.0][:channels])
    for job in jobs(5, channels):
        (level,) = best_scores([job], weights)
        model = classifier(Linear(weights, level - 0.3), channels)
        (outcome,) = run(model, [job], make("sigma-zero", channels, pixels, 100)).values()
        assert outcome.success
        assert [3, 4] in outcome.positions.tolist()


def test_sigma_zero_costs_no_gradient_for_idle_slots():
    asked: list[list[int]] = []

    def gradient(slots: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(slots.tolist())
        assert 0 <= images.min() and images.max() <= 1
        return torch.ones(len(slots), dtype=torch.float64), torch.randn_like(images)

    search = make("sigma-zero", queries=4)
    search.allocate(Arena(torch.zeros(4, SIDE, SIDE, 1, dtype=torch.uint8), gradient))
    fitness = torch.full((4, 1), torch.inf, dtype=torch.float64)
    search.ask()
    assert asked == []
    search.start(torch.tensor([1, 3]), torch.zeros(2, 2, dtype=torch.int64))
    fitness[[1, 3]] = 1.0
    for _ in range(2):
        search.ask()
        search.ask()  # asking again is free
        search.tell(fitness)
    fitness[3] = torch.inf  # its attempt has ended
    search.ask()
    search.tell(fitness)
    for _ in range(3):
        search.ask()
        search.tell(fitness)
    assert asked == [[1, 3], [1, 3], [1, 3], [1]]
