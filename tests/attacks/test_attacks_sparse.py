"""The sparse attacks beyond Sparse-RS and sigma-zero: each against its own definition."""

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from attacks.attacks_arena import arena, named
from pixguard.attacks import Corner
from pixguard.attacks.brusle import POPULATION, draw_weighted
from pixguard.attacks.cma_es import Distribution
from pixguard.attacks.engine.search import Arena, Search, make_search
from pixguard.attacks.spgd import MASK_STEP, PATIENCE, STEP, direction, sigmoid_slope
from pixguard.errors import UsageError

SIDE = 6


def curved(images: Tensor) -> Tensor:
    """A margin float64 (n,) that is no linear function of the image."""
    weights = torch.linspace(-1.0, 1.0, images[0].numel()).view(images.shape[1:]).double()
    return (images.double() * weights).sum((1, 2, 3)).tanh() + (images.double() ** 3).mean(
        (1, 2, 3)
    )


def curved_gradient(slots: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    leaf = images.clone().requires_grad_()
    margin = curved(leaf)
    return margin.detach(), torch.autograd.grad(margin.sum(), leaf)[0]


def gray(slots: int, channels: int) -> Arena:
    stream = torch.Generator().manual_seed(5)
    shape = (slots, SIDE, SIDE, channels)
    images = torch.randint(20, 230, shape, generator=stream, dtype=torch.uint8)
    return Arena(images, curved_gradient)


def begin(search: Search, place: Arena) -> None:
    slots = len(place.images)
    search.allocate(place)
    search.start(torch.arange(slots), torch.arange(2 * slots).view(slots, 2) + 3)


# Sparse-PGD


def test_slopes_and_directions_are_what_they_are_called():
    logits = torch.linspace(-20.0, 20.0, 801)
    sigmoid = logits.double().sigmoid()
    assert torch.allclose(sigmoid_slope(logits), sigmoid * (1 - sigmoid), rtol=2e-4, atol=0)
    vectors = torch.randn(4, 50, generator=torch.Generator().manual_seed(1)).double() * 1e-6
    expected = vectors / vectors.norm(dim=1, keepdim=True)
    assert torch.allclose(direction(vectors), expected, rtol=1e-5, atol=0)
    assert (direction(torch.zeros(1, 5)) == 0).all()


@pytest.mark.parametrize("gradient", ["unprojected", "projected"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_iteration_of_spgd_follows_autograd_through_its_mask(gradient: str, channels: int):
    """The forward mask is hard, the backward one soft, as published; written with detach here."""
    search = named("spgd", channels, 3, queries=9, gradient=gradient)
    place = gray(2, channels)
    begin(search, place)
    first = search.ask()
    clean = place.images.permute(0, 3, 1, 2).float() / 255
    for _ in range(5):
        magnitude = search._magnitude.clone().requires_grad_()
        logits = search._logits.clone().requires_grad_()
        soft = logits.sigmoid().view(2, 1, SIDE, SIDE)
        chosen = search._logits.topk(3).indices
        hard = torch.zeros(2, SIDE * SIDE).scatter_(1, chosen, 1.0).view(2, 1, SIDE, SIDE)
        shown = (magnitude * hard).detach()
        if gradient == "unprojected":
            through = magnitude * soft
        else:
            through = magnitude * hard + magnitude.detach() * soft
        change = shown + through - through.detach()
        curved(clean + change).sum().backward()
        moved = (clean + magnitude.detach() - STEP * magnitude.grad.sign()).clamp(0, 1) - clean
        unit = logits.grad / logits.grad.norm(dim=1, keepdim=True)
        expected = logits.detach() - MASK_STEP * SIDE * unit
        search.tell(torch.ones(2, 1, dtype=torch.float64))
        search._stayed[:] = 0
        candidates = search.ask()
        assert torch.allclose(search._magnitude, moved, atol=1e-6)
        assert torch.allclose(search._logits, expected, atol=2e-3)
        places = candidates.positions[:, 0, :, 0] * SIDE + candidates.positions[:, 0, :, 1]
        assert torch.equal(places.sort().values, expected.topk(3).indices.sort().values)
        row, col = candidates.positions[0, 0, 0]
        level = (clean[0, :, row, col] + moved[0, :, row, col]) * 255
        assert torch.equal(candidates.colours[0, 0, 0], level.round().to(torch.uint8))
    assert first is not candidates


def test_a_mask_that_stays_is_drawn_anew():
    search = named("spgd", 1, 2, queries=40)
    begin(search, arena(1, 30, 1))
    seen = []
    for _ in range(4 * (PATIENCE + 1)):
        seen.append(tuple(map(tuple, search.ask().positions[0, 0].tolist())))
        search.tell(torch.ones(1, 1, dtype=torch.float64))
    runs = [seen[i : i + PATIENCE + 1] for i in range(0, len(seen), PATIENCE + 1)]
    assert all(len(set(run)) == 1 for run in runs)
    assert len({run[0] for run in runs}) == len(runs)


# BruSLeAttack


def test_weighted_draws_are_in_the_proportion_of_what_is_left():
    words = torch.randint(0, 1 << 32, (60_000, 2), generator=torch.Generator().manual_seed(2))
    weights = torch.tensor([1.0, 0.0, 2.0, 5.0]).double()
    drawn = draw_weighted(words, weights.expand(60_000, 4))
    counts = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16).view(4, 4)
    share = weights / weights.sum()
    expected = share[:, None] * share / (1 - share[:, None])
    expected.fill_diagonal_(0.0)
    asked = expected > 0
    assert (counts[~asked] == 0).all()
    assert stats.chisquare(counts[asked], expected[asked] * 60_000).pvalue > 1e-4


@pytest.mark.parametrize(("channels", "pixels"), [(1, 1), (3, 2), (1, 20)])
def test_brusle_counts_as_its_authors_do(channels: int, pixels: int):
    """The counts of the published code, from what was asked for and what was answered."""
    search = named("brusle", channels, pixels, queries=80)
    place = gray(1, channels)
    begin(search, place)
    tried, needed = torch.zeros(SIDE * SIDE), torch.zeros(SIDE * SIDE)
    fitness = torch.rand(80, generator=torch.Generator().manual_seed(8)).double() + 1
    held, least, colour_of = set[int](), torch.inf, {}
    for query in range(80):
        candidates = search.ask()
        positions = candidates.positions[0, 0]
        places = (positions[:, 0] * SIDE + positions[:, 1]).tolist()
        for where, colour in zip(places, candidates.colours[0, 0].tolist(), strict=True):
            assert colour_of.setdefault(where, colour) == colour, "one synthetic image"
        search.tell(fitness[query].view(1, 1))
        assert len(set(places)) == pixels
        given_up = held - set(places) if query >= POPULATION else set()
        if query >= POPULATION:
            assert len(given_up) == 1  # a twentieth of 20 pixels, and at least one
            if fitness[query] >= least:
                needed[list(given_up)] += 1
            tried[list(given_up)] += 1
        tried[places] += 1
        if fitness[query] < least:
            held, least = set(places), float(fitness[query])
    assert torch.equal(search._tried[0].float(), tried)
    assert torch.equal(search._needed[0].float(), needed)


# CMA-ES


def test_the_distribution_takes_the_shape_of_a_badly_scaled_bowl():
    """What CMA-ES is for: 5 genes, curvatures from 1 to 10^6 along axes that are turned."""
    stream = torch.Generator().manual_seed(3)
    turned = torch.linalg.qr(torch.randn(5, 5, generator=stream).double())[0]
    curvature = turned @ torch.logspace(0, 6, 5).double().diag() @ turned.T

    def bowl(points: Tensor) -> Tensor:
        return ((points @ curvature) * points).sum(1)

    zeros = [torch.zeros(shape).double() for shape in ((), (4, 5), (2, 5, 5))]
    one = Distribution(*zeros, torch.tensor(0))
    one.begin(torch.ones(5).double())
    covariance, best, asked = zeros[2][0], torch.inf, 0
    while best > 1e-9 and asked < 4000:
        points = one.sample(torch.randn(8, 5, generator=stream).double())
        fitness = bowl(points)
        best, asked = min(best, float(fitness.min())), asked + 8
        one.learn(points, fitness)
    assert asked < 3000
    learned = torch.linalg.eigvals(curvature @ covariance).real  # all alike: the shape is known
    assert learned.max() < 100 * learned.min()


def test_a_flat_landscape_makes_cma_es_begin_elsewhere():
    search = named("cma-es", 1, 1, queries=70)
    begin(search, arena(1, 20, 1))
    means = []
    for _ in range(10):
        search.ask()
        search.tell(torch.ones(1, search.candidates_per_step).double())
        means.append(tuple(search._vectors[0, 0].tolist()))
    assert len(set(means)) == 10
    assert float(search._width[0]) == 0.25


# JSMA


@pytest.mark.parametrize("channels", [1, 3])
def test_jsma_is_greedy_along_the_gradient_taken_anew(channels: int):
    """In plain loops: try every extreme of every channel of every pixel, keep the best pixel."""
    search = named("jsma", channels, 3, starts=2)
    place = gray(2, channels)
    begin(search, place)
    clean = place.images.permute(0, 3, 1, 2).float() / 255
    slopes = curved_gradient(torch.arange(2), clean)[1]

    def gains(values: Tensor, slope: Tensor) -> Tensor:
        return torch.maximum(slope * values, slope * (values - 1)).sum(0)

    asked = []
    for _ in range(2 * 3):
        asked.append(search.ask())
        search.tell(torch.ones(2, 1, dtype=torch.float64))
    for slot in range(2):
        order = gains(clean[slot], slopes[slot]).flatten().argsort(descending=True)
        for begun in range(2):
            image, taken = clean[slot].clone(), list[int]()
            for made in range(3):
                slope = curved_gradient(torch.tensor([0]), image[None])[1][0]
                gain = gains(image, slope).flatten()
                gain[taken] = -torch.inf
                best = int(gain.argmax()) if made else int(order[begun])
                taken.append(best)
                row, col = divmod(best, SIDE)
                image[:, row, col] = (slope[:, row, col] < 0).float()
                candidates = asked[3 * begun + made]
                places = candidates.positions[slot, 0, :, 0] * SIDE
                places += candidates.positions[slot, 0, :, 1]
                assert places.tolist() == taken + taken[-1:] * (2 - made)
                colours = candidates.colours[slot, 0, : made + 1]
                rows, cols = torch.tensor(taken) // SIDE, torch.tensor(taken) % SIDE
                assert torch.equal(colours, (image[:, rows, cols].T * 255).to(torch.uint8))


# Corner in a surrogate's order


def test_a_transfer_asks_in_the_order_of_the_surrogate_alone():
    """The attacked classifier is asked for no gradient, and the order is the surrogate's own."""

    def forbidden(slots: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        raise AssertionError("the attacked classifier's gradient")

    images = gray(3, 1).images
    transfer = named("corner", 1, 1, queries=64, order="transfer", surrogate="other")
    inside = named("corner", 1, 1, queries=64)
    assert not transfer.uses_gradients and inside.uses_gradients
    begin(transfer, Arena(images, forbidden, transfer=curved_gradient))
    begin(inside, Arena(images, curved_gradient))
    for _ in range(2):
        for mine, own in zip(
            (transfer.ask().positions, transfer.ask().colours),
            (inside.ask().positions, inside.ask().colours),
            strict=True,
        ):
            assert torch.equal(mine, own)
        for search in (transfer, inside):
            search.tell(torch.ones(3, search.candidates_per_step).double())
    with pytest.raises(UsageError, match="no surrogate"):
        begin(transfer, Arena(images, forbidden))


def test_attacks_of_corner_that_do_not_transfer_are_what_they_were():
    """An option that came later must not make other attacks of those in old databases."""
    parameters = make_search("corner").record.parameters
    assert parameters == {"queries": 10_100, "order": "gradient"}


class Weighted(nn.Module):
    """Two classes by a weighted sum; without a gradient where it is ``blind``."""

    def __init__(self, weights: Tensor, blind: bool = False, labels: int = 2) -> None:
        super().__init__()
        self.weights, self.blind, self.labels = nn.Parameter(weights), blind, labels

    def forward(self, images: Tensor) -> Tensor:
        score = ((images - 0.5) * self.weights).sum((1, 2, 3)) - 0.4
        score = score.detach() if self.blind else score
        return torch.stack([-score, score, *[score - 9] * (self.labels - 2)], 1)


def test_the_surrogate_of_the_python_api_is_a_module_and_not_the_attacked_one():
    stream = torch.Generator().manual_seed(6)
    weights = torch.randn(SIDE, SIDE, generator=stream) / 30
    weights[2, 4] = 1.0
    near = weights + torch.randn(SIDE, SIDE, generator=stream) / 30
    images = torch.full((3, 1, SIDE, SIDE), 128, dtype=torch.uint8)
    images += torch.randint(0, 8, images.shape, generator=stream, dtype=torch.uint8)
    attacked, labels = Weighted(weights, blind=True), torch.zeros(3, dtype=torch.int64)
    surrogate = Weighted(near).train()
    found = Corner(attacked, order="transfer", surrogate=surrogate)(images, labels)
    assert found.success.all() and (found.queries == 1).all() and surrogate.training
    for same in (attacked, Weighted(weights)):
        with pytest.raises(ValueError, match="is the attacked classifier"):
            Corner(attacked, order="transfer", surrogate=same)(images, labels)
    with pytest.raises(ValueError, match="3 labels"):
        Corner(attacked, order="transfer", surrogate=Weighted(near, labels=3))(images, labels)
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        Corner(attacked, order="transfer", surrogate="small-cnn")(images, labels)
    for options in ({"order": "transfer"}, {"surrogate": surrogate}):
        with pytest.raises(ValueError, match="goes with the order transfer"):
            Corner(attacked, **options)


# Sparse-AutoAttack


def test_the_parts_of_sparse_aa_are_those_attacks_one_after_the_other():
    """The same requests and the same answers as of each part alone, begun when its turn comes."""
    place = gray(2, 1)
    whole = named("sparse-aa", 1, 2, queries=62)
    begin(whole, place)
    parts = [
        named("spgd", 1, 2, queries=20, gradient="projected"),
        named("spgd", 1, 2, queries=20),
        named("sparse-rs", 1, 2, queries=22),
    ]
    answers = torch.rand(62, 2, 1, generator=torch.Generator().manual_seed(4)).double() + 1
    asked = 0
    for index, part in enumerate(parts):
        part.allocate(place)
        part.start(torch.arange(2), torch.arange(4).view(2, 2) + 3 ^ torch.tensor([0, index]))
        for _ in range(part.most_queries(SIDE, SIDE)):
            mine, its = whole.ask(), part.ask()
            assert torch.equal(mine.positions, its.positions)
            assert torch.equal(mine.colours, its.colours)
            for search in (whole, part):
                search.tell(answers[asked])
            asked += 1
    assert asked == whole.most_queries(SIDE, SIDE) == 62
    assert [float(f) for f in whole._incumbents.fitness] == answers[:, :, 0].amin(0).tolist()
    assert named("sparse-aa", queries=2).parameters()["parts"][0]["name"] == "sparse-rs"
