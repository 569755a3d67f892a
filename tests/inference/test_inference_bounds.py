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
from pixguard.inference.bounds import BoundEvaluator, Wanted
from pixguard.inference.tandem import Tandem

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


def test_bounds_hold_where_two_convolutions_are_taken_as_one(monkeypatch):
    used = []
    own = Tandem.radius
    monkeypatch.setattr(Tandem, "radius", lambda *given: used.append(1) or own(*given))
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = SmallCNN(3, LABELS)
        assert check(classifier(network), 3, (28, 28), seed)
    assert used


def test_a_softmax_has_no_bound():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), Network(lambda self, x: x.softmax(1)), nn.Flatten())
    evaluator = BoundEvaluator(classifier(nn.Sequential(network, nn.Linear(18, LABELS)), 1), 2)
    with pytest.raises(UnboundedError, match="softmax"):
        evaluator.allocate(1, 5, 5)
