"""Proof says what brute force says, on networks where brute force is possible."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attacks.attacks_arena import named
from pixguard.attacks import Exhaustive
from pixguard.attacks.engine import proof
from pixguard.attacks.engine.least_change import LeastChange, Tried
from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.survey import Survey, Surveyor
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.errors import UsageError
from pixguard.inference.decision import Bound
from pixguard.inference.dense import DenseEvaluator

SIDE = 8


def network(given: Tensor, seed: int, lead: float) -> Classifier:
    """A small CNN with random weights in which class 0 leads by that much on the first image."""
    channels = given.shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SmallCNN(channels, 3)
    found = Classifier(model, "multi-class", 3, (0.5,) * channels, (0.5,) * channels).eval()
    with torch.no_grad():
        model.head.bias -= found(given[:1] / 255)[0]
        model.head.bias[0] += lead
    return found


def images(channels: int, count: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, SIDE, SIDE), generator=stream).byte()


def decided(model: Classifier, given: Tensor) -> Tensor:
    with torch.no_grad():
        return model(given / 255).argmax(1)


def test_in_grayscale_proof_and_brute_force_agree_on_every_image():
    verdicts = []
    for seed, lead in enumerate((0.001, 0.003, 0.005, 0.02)):
        given = images(1, 1, seed)
        model = network(given, seed, lead)
        labels = decided(model, given)
        brute = Exhaustive(model)(given, labels)
        proven = Exhaustive(model, by="bounds")(given, labels)
        assert proven.success.tolist() == brute.success.tolist()
        assert proven.distinct_queries is not None
        # Bounds are counted, too, and both together are fewer than the candidates.
        assert (proven.distinct_queries[~proven.success] < proven.queries[~proven.success]).all()
        assert (proven.queries[~proven.success] < brute.queries[~brute.success]).all()
        verdicts += brute.success.tolist()
    assert {True, False} == set(verdicts)


class Few(nn.Module):
    """Looks at one pixel: class 1 where its colour lies in a small box of the cube."""

    def __init__(self, low: tuple[int, ...], high: tuple[int, ...]) -> None:
        super().__init__()
        self.low, self.high = (nn.Parameter(torch.tensor(c).view(1, -1, 1, 1)) for c in (low, high))
        self.pick = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.pick.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        beyond = torch.relu(self.low - x * 255) + torch.relu(x * 255 - self.high)
        least = -torch.nn.functional.max_pool2d(-self.pick(beyond), SIDE).flatten(1)
        return torch.cat([least - 0.5, least * 0], 1)


@pytest.mark.parametrize(("low", "vulnerable"), [((101.0, 33.0, 7.0), True), (None, False)])
def test_in_colour_proof_finds_a_needle_between_extremes_or_shows_that_there_is_none(
    low, vulnerable
):
    box = (low, tuple(c + 1 for c in low)) if low else ((300.0,) * 3, (301.0,) * 3)
    model = Classifier(Few(*box), "multi-class", 2, (0.0,) * 3, (1.0,) * 3).eval()
    given = images(3, 1)
    assert decided(model, given).tolist() == [0]
    result = Exhaustive(model, by="bounds")(given, torch.tensor([0]))
    assert result.success.tolist() == [vulnerable]
    if vulnerable:
        assert all(0 <= c - a <= 1 for c, a in zip(result.colours[0, 0].tolist(), low, strict=True))
    assert Exhaustive(model)(given, torch.tensor([0])).success.tolist() == [
        False
    ]  # corners miss it


def test_a_budget_that_ends_leaves_an_image_open_and_says_so():
    model = Classifier(Few((9.0,) * 3, (9.5,) * 3), "multi-class", 2, (0.0,) * 3, (1.0,) * 3).eval()
    given = images(3, 1)
    with pytest.warns(RuntimeWarning, match=r"no verdict .* images \[0\]: not robust"):
        result = Exhaustive(model, by="bounds", most_bounds=1)(given, torch.tensor([0]))
    assert result.success.tolist() == [False]


def test_where_nothing_has_a_bound_grayscale_is_evaluated_whole():
    given = images(1, 1, 1)
    model = network(given, 1, 0.1)
    model.network = nn.Sequential(model.network, nn.Softmax(1))
    with pytest.warns(RuntimeWarning, match="bounds are not possible .*softmax"):
        result = Exhaustive(model, by="bounds", outputs=None)(given, decided(model, given))
    assert result.distinct_queries is not None
    if not result.success[0]:
        assert result.queries[0] == result.distinct_queries[0] == SIDE * SIDE * 256


@pytest.mark.parametrize("channels", [1, 3])
def test_a_survey_tells_pixels_as_brute_force_does(channels, monkeypatch):
    monkeypatch.setattr(proof, "LEVELS", 8)  # a cube that is small enough for brute force
    monkeypatch.setattr(proof, "WIDTHS", (8, 4, 2))
    monkeypatch.setattr("pixguard.attacks.engine.survey.LEVELS", 8)
    monkeypatch.setattr(
        proof, "corner_colours", lambda corner, count: _corners(corner, count).mul(7).byte()
    )
    states = set()
    for seed in range(2):
        given = images(channels, 1, seed) // 32
        model = network(given, seed, 0.00003)
        clean = torch.nn.functional.one_hot(decided(model, given), 3).bool()
        evaluator = DenseEvaluator(model, 64)
        evaluator.allocate(1, SIDE, SIDE, 1)
        survey = Surveyor(
            model, evaluator, misclassify, MarginBounds(model, misclassify, print), 10**6
        )
        image = given[0].permute(1, 2, 0).numpy()
        found = survey(image, clean, decided(model, given))
        fooled = np.array([_flips(model, given, place) for place in range(SIDE * SIDE)])
        assert not found.open.any()
        assert found.fooled.tolist() == fooled.tolist()
        states |= set(fooled.tolist())
    assert states == {True, False}


def _corners(corner: Tensor, channels: int) -> Tensor:
    return (corner[..., None] >> torch.arange(channels)) & 1


def _flips(model: Classifier, image: Tensor, place: int) -> bool:
    colours = torch.tensor(list(itertools.product(range(8), repeat=image.shape[1]))).byte()
    changed = image.expand(len(colours), -1, -1, -1).clone()
    changed[:, :, place // SIDE, place % SIDE] = colours
    return bool((decided(model, changed) != decided(model, image)).any())


def test_bounds_are_for_all_values():
    with pytest.raises(UsageError, match="not its corners"):
        named("exhaustive", 3, by="bounds", space="corners")
    assert named("exhaustive", 3, by="bounds").record.parameters["space"] == "all-values"


def survey_of(model: Classifier, given: Tensor, most: int = 10**6) -> Survey:
    evaluator = DenseEvaluator(model, 64)
    evaluator.allocate(1, SIDE, SIDE, 1)
    surveyor = Surveyor(
        model, evaluator, misclassify, MarginBounds(model, misclassify, print), most
    )
    label = decided(model, given)
    clean = torch.nn.functional.one_hot(label, model.label_count).bool()
    return surveyor(given[0].permute(1, 2, 0).numpy(), clean, label)


def test_in_grayscale_every_flip_is_known_and_so_is_the_least():
    given = images(1, 1, 2)
    model = network(given, 2, 0.0005)
    found = survey_of(model, given)
    values = torch.arange(256).repeat(SIDE * SIDE)
    places = torch.arange(SIDE * SIDE).repeat_interleave(256)
    changed = given.expand(len(values), -1, -1, -1).clone()
    changed[torch.arange(len(values)), 0, places // SIDE, places % SIDE] = values.byte()
    hits = decided(model, changed) != decided(model, given)
    assert 0 < hits.sum() < len(hits)
    expected = torch.stack([places[hits], values[hits]], 1).tolist()
    assert sorted(found.flips.tolist()) == expected
    own = given.flatten()[places[hits]].long()
    assert found.harmless == int((values[hits] - own).abs().min()) - 1
    with torch.no_grad():
        after = model(changed[hits] / 255).double().softmax(1).amax(1)
    order = np.lexsort(found.flips.T[::-1])
    assert found.confidences[order] == pytest.approx(after.numpy(), abs=1e-5)


class Steep(nn.Module):
    """Class 1 as soon as the channels of one pixel have left a colour by enough, in a weighted sum.

    The least change, by the channel that changes most, is known: |w| times it reaches the limit.
    """

    def __init__(self, own: Tensor, weight: tuple[float, ...], limit: float) -> None:
        super().__init__()
        self.pick = nn.Conv2d(3, 1, 1, bias=False)
        self.pick.weight.data = torch.tensor(weight).view(1, -1, 1, 1)
        self.limit = limit
        self.own = nn.Parameter((own.float() * torch.tensor(weight)[:, None, None]).sum(0))

    def forward(self, x: Tensor) -> Tensor:
        moved = torch.nn.functional.max_pool2d(self.pick(x * 255) - self.own, SIDE).flatten(1)
        return torch.cat([moved * 0, moved - self.limit], 1)


def test_in_colour_the_least_change_is_found_and_smaller_ones_are_proven_harmless():
    given = images(3, 1) // 4 + 96  # far from both ends
    model = Steep(given[0], (1.0, -0.5, 0.25), 35.5)
    found = survey_of(
        Classifier(model, "multi-class", 2, (0.0,) * 3, (1.0,) * 3).eval(), given, 10**5
    )
    assert found.fooled.all()
    # With a sum of weights of 1.75, 20 levels come to 35, and 21 to 36.75.
    assert found.harmless == 20
    own = given[0].permute(1, 2, 0).reshape(-1, 3).numpy().astype(int)
    changes = np.abs(found.flips[:, 1:] - own[found.flips[:, 0]]).max(1)
    assert changes.min() == 21
    # Without a budget nothing below the least known flip is proven.
    given_none = survey_of(
        Classifier(model, "multi-class", 2, (0.0,) * 3, (1.0,) * 3).eval(), given, 10
    )
    assert given_none.harmless <= 20


@pytest.mark.parametrize(("most", "harmless"), [(3, 0), (4, 0), (21, 0), (1000, 255)])
def test_the_least_change_takes_no_more_bounds_than_it_may(most, harmless):
    def clears_below_32_levels(places: Tensor, low: Tensor, high: Tensor, *_: Tensor) -> Bound:
        far = torch.maximum(low - 128, 128 - high).clamp(min=0).amax(1)
        wide = torch.maximum(high - 128, 128 - low).amax(1)
        clear = (wide < 32).float() - 0.5
        return Bound(clear, far[:, None], (high - low).float(), far[:, None].bool())

    def flips_nothing(places: Tensor, colours: Tensor) -> Tried:
        return Tried(torch.zeros(len(places)).bool(), torch.zeros(len(places)))

    own, every = torch.full((4, 1), 128).byte(), torch.ones(4).bool()
    search = LeastChange(own, flips_nothing, clears_below_32_levels, most)
    assert search(~every, every) == harmless
    assert search.bounds <= most


@pytest.mark.parametrize("seed", range(3))
def test_what_is_called_harmless_in_colour_is(seed):
    given = images(3, 1, seed)
    model = network(given, seed, 0.0005)
    found = survey_of(model, given, 3_000)
    stream = torch.Generator().manual_seed(seed)
    count = 20_000
    places = torch.randint(SIDE * SIDE, (count,), generator=stream)
    sign = torch.randint(0, 2, (count, 3), generator=stream) * 2 - 1
    size = torch.randint(0, found.harmless + 1, (count, 1), generator=stream)
    own = given[0].flatten(1).T[places].long()
    changed = given.expand(count, -1, -1, -1).clone()
    changed[torch.arange(count), :, places // SIDE, places % SIDE] = (
        (own + sign * size).clamp(0, 255).byte()
    )
    assert (decided(model, changed) == decided(model, given)).all()
    if found.fooled.any():
        least = (
            np.abs(
                found.flips[:, 1:] - given[0].flatten(1).T.numpy().astype(int)[found.flips[:, 0]]
            )
            .max(1)
            .min()
        )
        assert found.harmless < least
