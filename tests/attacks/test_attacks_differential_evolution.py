import itertools

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from attacks.attacks_arena import arena
from pixguard.attacks.differential_evolution import distinct_others
from pixguard.attacks.engine.philox import philox
from pixguard.attacks.engine.search import Search, make_search
from pixguard.attacks.registry import DIFFERENTIAL_EVOLUTION, DifferentialEvolutionOptions
from pixguard.errors import UsageError


def search(pixels=1, channels=1, slots=1, side=28, **settings) -> Search:
    options = DifferentialEvolutionOptions(**settings)
    made = make_search(DIFFERENTIAL_EVOLUTION, options, pixels=pixels, channels=channels)
    made.allocate(arena(slots, side, channels))
    made.start(torch.arange(slots), torch.arange(2 * slots).view(slots, 2) + 11)
    return made


def test_parents_are_distinct_and_every_triple_is_equally_likely():
    population = 5
    own = torch.arange(population)
    counter = torch.arange(4000)[:, None]
    zero = torch.tensor(0)
    words = philox((torch.tensor(3), torch.tensor(9)), (counter, own[None], zero, zero))
    drawn = torch.stack(distinct_others(words, own, population), -1)
    for individual in range(population):
        others = set(range(population)) - {individual}
        triples = list(itertools.permutations(sorted(others), 3))
        codes = [triples.index(tuple(t)) for t in drawn[:, individual].tolist()]
        assert stats.chisquare(np.bincount(codes, minlength=len(triples))).pvalue > 1e-4


@pytest.mark.parametrize(("pixels", "channels"), [(1, 1), (2, 1), (1, 3), (3, 3)])
def test_candidates_are_pixels_of_the_image(pixels, channels):
    made = search(pixels, channels, slots=3, side=9)
    for _ in range(4):
        candidates = made.ask()
        assert candidates.positions.shape == (3, 100, pixels, 2)
        assert candidates.colours.shape == (3, 100, pixels, channels)
        assert candidates.colours.dtype == torch.uint8
        assert 0 <= candidates.positions.min() and candidates.positions.max() <= 8
        made.tell(torch.rand(3, 100, dtype=torch.float64))


def test_initial_positions_are_uniform_and_colours_follow_su():
    made = search(slots=200, side=8)
    candidates = made.ask()
    places = (candidates.positions[..., 0] * 8 + candidates.positions[..., 1]).flatten()
    assert stats.chisquare(torch.bincount(places, minlength=64).numpy()).pvalue > 1e-4
    colours = candidates.colours.flatten().double()
    normal = stats.norm(128, 127)
    assert (colours == 0).double().mean() == pytest.approx(normal.cdf(0.5), abs=0.01)
    assert (colours == 255).double().mean() == pytest.approx(1 - normal.cdf(254.5), abs=0.01)
    assert colours.median() == pytest.approx(128, abs=3)


def test_one_generation_follows_the_definition():
    """child = x_r1 + 0.5 (x_r2 - x_r3), clipped; a child replaces its parent when it is better."""
    made = search(pixels=2, channels=1, population=6)
    parents = made._children.clone()
    parent_fitness = torch.tensor([[5.0, 1.0, 4.0, 2.0, 6.0, 3.0]], dtype=torch.float64)
    made.tell(parent_fitness)
    zero = torch.zeros(1, 1, dtype=torch.int64)
    words = philox(
        (made._keys[:, :1], made._keys[:, 1:]), (zero + 1, torch.arange(6)[None], zero, zero)
    )
    triples = torch.stack(distinct_others(words, torch.arange(6), 6), -1)[0].tolist()
    for child, (r1, r2, r3) in enumerate(triples):
        expected = parents[0, r1] + 0.5 * (parents[0, r2] - parents[0, r3])
        expected = torch.minimum(expected.clamp(min=0), made._upper)
        assert torch.equal(made._children[0, child], expected)
    children = made._children.clone()
    child_fitness = torch.tensor([[4.0, 1.0, 9.0, 1.5, 6.5, 2.0]], dtype=torch.float64)
    made.tell(child_fitness)
    better = torch.tensor([True, False, False, True, False, True])
    assert torch.equal(made._population[0], torch.where(better[:, None], children[0], parents[0]))
    assert made._fitness[0].tolist() == [4.0, 1.0, 4.0, 1.5, 6.0, 2.0]


def test_a_slot_depends_on_its_key_alone():
    alone = search(slots=1)
    crowd = make_search(DIFFERENTIAL_EVOLUTION, DifferentialEvolutionOptions(), pixels=1)
    crowd.allocate(arena(4, 28, 1))
    crowd.start(torch.arange(3), torch.tensor([[7, 7], [8, 8], [9, 9]]))
    crowd.tell(torch.rand(4, 100, dtype=torch.float64))
    crowd.start(torch.tensor([2]), torch.tensor([[11, 12]]))  # the key of `alone`, later
    for step in range(5):
        mine, theirs = alone.ask(), crowd.ask()
        assert torch.equal(mine.positions[0], theirs.positions[2])
        assert torch.equal(mine.colours[0], theirs.colours[2])
        generator = torch.Generator().manual_seed(step)
        fitness = torch.rand(4, 100, dtype=torch.float64, generator=generator)
        alone.tell(fitness[2:3])
        crowd.tell(fitness)


def test_it_converges_like_scipy_rand1_without_crossover():
    """SciPy's rand1bin with full recombination is the same algorithm; streams and bounds differ."""
    target = np.array([20.3, 7.9, 140.0])
    scale = np.array([28.0, 28.0, 255.0])

    def loss(genes: np.ndarray) -> np.ndarray:
        return (((genes - target) / scale) ** 2).sum(-1)

    made = search(slots=30, init="uniform", population=40, generations=30)
    for _ in range(31):
        made.tell(torch.from_numpy(loss(made._children.numpy())))
    ours = np.log10(made._fitness.amin(1).numpy())
    theirs = []
    for seed in range(30):
        start = np.random.default_rng(seed).uniform(0, scale, (40, 3))
        result = optimize.differential_evolution(
            lambda genes: float(loss(genes)),
            [(0, s) for s in scale],
            strategy="rand1bin",
            recombination=1.0,
            mutation=0.5,
            maxiter=30,
            init=start,
            tol=0,
            polish=False,
            updating="deferred",
            rng=seed,
        )
        theirs.append(np.log10(result.fun))
    assert stats.ttest_ind(ours, theirs).pvalue > 1e-3
    assert abs(ours.mean() - np.mean(theirs)) < 0.5


def test_a_population_too_small_to_breed_is_refused():
    with pytest.raises(UsageError, match="at least 4, got 3"):
        search(population=3)
