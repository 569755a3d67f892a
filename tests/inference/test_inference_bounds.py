"""Bounds hold whatever is asked of them: beside brute force on networks drawn at random."""

import itertools
import random

import pytest
import torch
from torch import nn

from inference.inference_networks import (
    LABELS,
    Network,
    classifier,
    clean_images,
    delta_logits,
    random_network,
)
from inference.inference_networks import Candidates as Given
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.inference.affine import UnboundedError
from pixguard.inference.bounds import BoundEvaluator
from pixguard.inference.decision import Wanted
from pixguard.inference.passed import Value, relaxed

WIDTHS = (0, 1, 3, 15, 63, 255)
BOXES = len(WIDTHS)


def lowest_sums(model, image, places, low, high, count, seed):
    """float64 (M, 2 L): the least of each logit, and of its negative, over drawn colours."""
    stream = torch.Generator().manual_seed(seed)
    boxes, channels = low.shape
    drawn = torch.rand(boxes, count, channels, generator=stream, dtype=torch.float64)
    colours = low[:, None] + (drawn * (high - low + 1)[:, None]).long()
    corners = torch.tensor(list(itertools.product((0, 1), repeat=channels)))
    ends = low[:, None] + corners * (high - low)[:, None]
    colours = torch.cat([colours, ends], 1).byte()
    each = colours.shape[1]
    given = Given(
        torch.zeros(boxes * each, dtype=torch.int64),
        places.repeat_interleave(each, 0)[:, None],
        colours.flatten(0, 1)[:, None],
    )
    logits = delta_logits(model.double(), image[None], given).view(boxes, each, -1)
    model.float()
    return torch.cat([logits, -logits], 2).amin(1)


def check_random(seed: int) -> bool:
    """Bound a random network's logits in random boxes; False: it has an operation without bound."""
    rng = random.Random(seed)
    channels, size = rng.choice([1, 3]), (rng.randint(5, 9), rng.randint(5, 9))
    network = random_network(seed, channels, size, rng.randint(1, 4))
    return check(classifier(network, channels), channels, size, seed)


def check(model: Classifier, channels: int, size: tuple[int, int], seed: int) -> bool:
    """Compare bounds in :data:`BOXES` boxes with what delta says of colours in them."""
    evaluator = BoundEvaluator(model, 4)
    try:
        evaluator.allocate(1, *size)
    except UnboundedError:
        return False
    image = clean_images(1, channels, size, seed)[0]
    evaluator.load(0, image)
    stream = torch.Generator().manual_seed(seed)
    places = torch.stack([torch.randint(side, (BOXES,), generator=stream) for side in size], 1)
    width = torch.tensor(WIDTHS)[:, None].expand(-1, channels)
    low = (torch.rand(BOXES, channels, generator=stream) * (256 - width)).long()
    high = low + width
    least = lowest_sums(model, image, places, low, high, 12, seed)
    rows = torch.cat([torch.eye(LABELS), -torch.eye(LABELS)])
    owners = torch.zeros(BOXES, dtype=torch.int64)
    for row in range(2 * LABELS):
        wanted = Wanted(rows[row, None], torch.zeros(1))
        bound = evaluator.bound(wanted, owners, places, low.byte(), high.byte()).lowest
        assert not (bound > least[:, row]).any(), (seed, row)  # what is no number claims nothing
        gap = (least[0, row] - bound[0]).item()  # a box of one colour is bounded by its logits
        assert gap <= 3 * evaluator.rounding(0) + 1e-4, (seed, row, gap)
    return True


def test_bounds_hold_on_random_networks():
    bounded = [check_random(seed) for seed in range(24)]
    assert sum(bounded) >= 12


def random_chain(seed: int) -> tuple[Classifier, int, tuple[int, int]]:
    """Return layers drawn at random, with the number of channels and the size of images."""
    rng = random.Random(seed)
    channels, sides = rng.choice([2, 3]), (rng.randint(9, 14), rng.randint(9, 14))
    layers, inputs, height, width = list[nn.Module](), channels, *sides
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(rng.randint(1, 4)):
            kernel = rng.choice([1, 2, 3]), rng.choice([1, 3])
            padding = tuple(rng.randrange(k) for k in kernel)
            outputs, pool = rng.randint(2, 5), rng.choice([1, 1, 2, 3])
            after = [
                s + 2 * p - k + 1 for s, p, k in zip((height, width), padding, kernel, strict=True)
            ]
            if min(after) < pool:
                break
            layers += [nn.Conv2d(inputs, outputs, kernel, padding=padding)]
            layers += [nn.ReLU(inplace=rng.random() < 0.5)]
            layers += [nn.MaxPool2d(pool)] * (pool > 1)
            inputs, (height, width) = outputs, (side // pool for side in after)
        if rng.random() < 0.5:
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, LABELS)]
        else:
            layers += [nn.Flatten(), nn.Linear(inputs * height * width, LABELS)]
    return classifier(nn.Sequential(*layers), channels), channels, sides


def check_chain(seed: int) -> bool:
    """Check the bounds of a random chain; say whether it is bounded as one."""
    model, channels, sides = random_chain(seed)
    evaluator = BoundEvaluator(model, 4)
    evaluator.allocate(1, *sides)
    return evaluator.is_chain and check(model, channels, sides, seed)


def test_bounds_hold_in_chains_of_layers():
    assert all(check_chain(seed) for seed in range(5))


def test_a_flat_image_costs_no_precision():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        evaluator = BoundEvaluator(classifier(SmallCNN(3, LABELS)), 8)
    evaluator.allocate(1, 12, 12)
    assert evaluator.is_chain
    for level in (0.0, 0.4, 1.0):  # the taps of maxima are equal where the pixel does not reach
        evaluator.load(0, torch.full((3, 12, 12), level))
        assert evaluator.rounding(0) < 1e-3


def test_a_rectifier_is_between_its_lines():
    stream = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.rand(*shape, generator=stream) * 2 - 1

    units = 4000
    parts = torch.cat([drawn(1, 1, units), drawn(3, 1, units) * drawn(units)])
    radius, usual = drawn(1, units).abs(), drawn(units).mul(2).clamp(0, 1)
    node = relaxed(Value(parts, radius, radius), usual)
    assert (node.slope == usual).float().mean() > 0.2  # both kinds are here
    assert (node.slope == node.share).float().mean() > 0.2
    colours = torch.cat([drawn(400, 3), drawn(400, 3).sign()])
    errors = radius * torch.cat([drawn(400, units), drawn(400, units).sign()])
    affine = parts[0, 0] + colours @ parts[1:, 0]
    found, centre = (affine + errors).clamp(min=0), parts[0]
    slack = 1e-5
    assert (found - (node.slope * (affine + errors) + node.size)).abs().le(node.size + slack).all()
    carried = node.slope * affine + node.size + usual * errors
    assert (found - carried).abs().le(node.own + slack).all()
    there = node.slope * centre + node.size
    above = there + node.above + node.share * (affine + errors - centre)
    below = there + node.above + node.turn + (node.share + node.gate) * (affine + errors - centre)
    assert (below - slack <= found).all()
    assert (found <= above + slack).all()


def test_bounds_hold_in_the_small_cnn():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SmallCNN(3, LABELS)
    assert check(classifier(network), 3, (12, 12), 0)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()],
        [nn.Conv2d(3, 6, 3, groups=3), nn.ReLU()],
        [nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU()],
        [nn.Conv2d(3, 4, 3), nn.Tanh()],
        [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3, stride=1)],
        [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, padding=1)],
        [nn.Conv2d(3, 4, 4), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)],
        [nn.ReLU(), nn.Conv2d(3, 4, 3), nn.ReLU()],
    ],
)
def test_what_is_no_chain_is_bounded_by_its_operations(layers):
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(LABELS))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network(torch.zeros(1, 3, 8, 8))
    model = classifier(network)
    evaluator = BoundEvaluator(model, 4)
    evaluator.allocate(1, 8, 8)
    assert not evaluator.is_chain


def test_a_softmax_has_no_bound():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), Network(lambda self, x: x.softmax(1)), nn.Flatten())
    evaluator = BoundEvaluator(classifier(nn.Sequential(network, nn.Linear(18, LABELS)), 1), 2)
    with pytest.raises(UnboundedError, match="softmax"):
        evaluator.allocate(1, 5, 5)
