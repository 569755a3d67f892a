"""All pairs of black and white pixels: bounds rule out what brute force says is safe, and no more.

The oracle builds whole images and asks the network.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attacks.attacks_arena import named
from attacks.test_attacks_proving import SIDE, decided, images, network
from pixguard.attacks import Exhaustive
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.pair_bounds import PairMargins
from pixguard.classifiers.classifier import Classifier
from pixguard.errors import UsageError
from pixguard.inference.affine import UnboundedError
from pixguard.inference.interaction import Interactions

CHANGES = torch.arange(2 * SIDE * SIDE)


def with_changes(given: Tensor, *changes: Tensor) -> Tensor:
    """Return copies of an image, each with one of every row of changes in it."""
    copies = given.expand(len(changes[0]), -1, -1, -1).clone()
    for change in changes:
        place = change // 2
        copies[torch.arange(len(change)), :, place // SIDE, place % SIDE] = (
            change % 2 * 255
        ).byte()[:, None]
    return copies


def all_pairs() -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(len(CHANGES), len(CHANGES), 1)
    apart = first // 2 != second // 2
    return first[apart], second[apart]


def flips(model: Classifier, given: Tensor) -> Tensor:
    """Return which of all pairs flip; both pixels must change."""
    first, second = all_pairs()
    own = given.flatten()
    changed = (own[first // 2] != first % 2 * 255) & (own[second // 2] != second % 2 * 255)
    return changed & (decided(model, with_changes(given, first, second)) != decided(model, given))


@pytest.mark.parametrize("lead", [0.0005, 0.002, 0.004, 0.006])
@pytest.mark.parametrize("seed", range(3))
def test_the_verdict_is_that_of_brute_force(seed: int, lead: float) -> None:
    given = images(1, 1, seed)
    model = network(given, seed, lead)
    labels = decided(model, given)
    truth = flips(model, given)
    for by in ("bounds", "candidates"):
        found = Exhaustive(model, pixels=2, by=by)(given, labels)
        assert found.success.tolist() == [bool(truth.any())], by
        if found.success[0]:
            assert set(found.colours[0].flatten().tolist()) <= {0, 255}
            assert decided(model, found.images) != labels
        elif by == "candidates":
            assert int(found.queries[0]) == len(truth) == 128 * 126 // 2


class Shallow(nn.Module):
    """One layer of rectifiers: two pixels meet only where their neighbourhoods do."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv, self.head = nn.Conv2d(1, 6, 3, padding=1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_ruled_out_does_not_flip_and_where_pixels_do_not_meet_all_is(seed: int) -> None:
    given = images(1, 1, seed)
    model = Classifier(Shallow(seed), "multi-class", 3, (0.5,), (0.5,)).eval()
    with torch.no_grad():
        # Just more than the strongest single change, so that some pairs flip and many do not.
        label = decided(model, given)
        lead = model(with_changes(given, CHANGES) / 255)
        others = torch.arange(3) != label
        gap = (lead[:, label] - lead[:, others]).amin()
        model.network.head.bias[label] += 0.005 - gap
    clean = torch.nn.functional.one_hot(label[0], 3).bool()
    image = given[0].permute(1, 2, 0).numpy()
    bounder = PairMargins(model, misclassify, print)(image, clean, int(label))
    assert bounder is not None
    bounder.rule_out()
    found = bounder.left()
    first, second = all_pairs()
    hits = flips(model, given)
    kept = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert set(zip(first[hits].tolist(), second[hits].tolist(), strict=True)) <= kept
    assert 0 < int(hits.sum()) <= len(kept) < 1.2 * int(hits.sum()) + len(first) / 4
    assert (bounder.predicted(found.first, found.second).diff() >= 0).all()


class Odd(nn.Module):
    """A shortcut, an average, a pooling with padding, a negative scale and several ends."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
        self.norm, self.pool, self.head = nn.BatchNorm2d(5), pool, nn.Linear(5, 4)
        nn.init.uniform_(self.norm.weight, -1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = self.pool(torch.relu(self.norm(self.second(x) * -1.5)) + x)
        return self.head((x - 0.25).mean((2, 3)))


POOLS = [nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.MaxPool2d(2, ceil_mode=False), nn.Identity()]


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_two_changes_add_up_but_for_what_is_bounded(seed: int, pool: nn.Module) -> None:
    stream = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Classifier(Odd(pool), "multi-class", 4, (0.4,), (0.3,)).eval()
    given = images(1, 1, seed)
    interactions = Interactions(model)
    groups = torch.randperm(len(CHANGES), generator=stream).view(-1, 4)
    clean, singles = interactions.load(
        given[0] / 255, groups // 2, (groups % 2 * 255).byte()[..., None]
    )
    interactions.merge(torch.arange(len(groups)).view(-1, 2))
    weights = torch.randn(3, 4, generator=stream)
    flat = torch.zeros(len(CHANGES), 4)
    flat[groups.flatten()] = singles.flatten(0, 1)
    first, second = all_pairs()
    with torch.no_grad():
        both = model(with_changes(given, first, second) / 255)
        assert torch.allclose(flat, model(with_changes(given, CHANGES) / 255), atol=1e-5)
    beyond = ((both - flat[first] - flat[second] + clean) @ weights.T).abs()
    owner = torch.zeros(len(CHANGES), dtype=torch.int64)
    owner[groups.flatten()] = torch.arange(len(groups)).repeat_interleave(4)
    for level, shift in ((0, 1), (1, 2)):
        bound = interactions.bound(weights, level, owner[first] // shift, owner[second] // shift)
        assert (beyond <= bound + 1e-4).all()
        assert bound.max() < 1e3


def test_alone_they_are_bounded_tightly() -> None:
    """Of single changes, not groups, and where nothing bends, the bound is zero."""
    model = Classifier(
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)),
        "multi-class", 2, (0.5,), (0.5,),
    ).eval()  # fmt: skip
    interactions = Interactions(model)
    groups = CHANGES[:, None]
    interactions.load(images(1, 1)[0] / 255, groups // 2, (groups % 2 * 255).byte()[..., None])
    first, second = all_pairs()
    assert (interactions.bound(torch.eye(2), 0, first, second) == 0).all()


def test_without_a_bound_all_pairs_are_evaluated() -> None:
    given = images(1, 1, 1)
    model = network(given, 1, 0.5)
    model.network = nn.Sequential(model.network, nn.Softmax(1))
    with pytest.raises(UnboundedError, match="softmax"):
        Interactions(model).load(given[0] / 255, CHANGES[:1, None], torch.zeros(1, 1, 1).byte())
    with pytest.warns(RuntimeWarning, match="bounds of pairs are not possible"):
        result = Exhaustive(model, pixels=2, by="bounds", outputs=None)(
            given, decided(model, given)
        )
    if not result.success[0]:
        assert result.distinct_queries is not None
        assert int(result.distinct_queries[0]) == 128 * 126 // 2


def test_what_is_not_covered_is_refused() -> None:
    with pytest.raises(UsageError, match="in colour"):
        named("exhaustive", 3, pixels=2)
    with pytest.raises(UsageError, match="too many pairs of values"):
        named("exhaustive", 1, pixels=2, space="all-values")
    with pytest.raises(UsageError, match="2 pixels at most"):
        named("exhaustive", 1, pixels=3)
    assert named("exhaustive", 1, pixels=2).record.parameters == {"space": "corners"}
    assert np.prod(named("exhaustive", 1, pixels=2).most_queries(28, 28)) == 1_227_744
