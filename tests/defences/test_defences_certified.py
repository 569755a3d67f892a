"""The polyphase vote: what a voter sees, what is certain, and that no certified image falls."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixguard.attacks import Exhaustive
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits, judge
from pixguard.datasets.base import ImageDataset
from pixguard.defences.certificates.polyphase_vote import (
    PolyphaseVote,
    as_classifier,
    build_voter,
    canonical_votes,
    certified_radius,
    phase_dataset,
    phases,
    plurality,
)
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.records import ClassInfo, DatasetInfo

SHAPES = st.tuples(st.integers(2, 4), st.integers(4, 13), st.integers(4, 13))
CPU = torch.device("cpu")


@given(SHAPES)
def test_every_pixel_is_in_one_phase_and_short_phases_repeat_their_own(shape):
    stride, height, width = shape
    names = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    parts = phases(names, stride)
    assert len(parts) == stride**2
    assert {tuple(part.shape[2:]) for part in parts} == {
        (-(-height // stride), -(-width // stride))
    }
    seen = [set(part.flatten().tolist()) for part in parts]
    assert set.union(*seen) == set(range(height * width))
    assert sum(map(len, seen)) == height * width
    for number, pixels in enumerate(seen):
        places = {(int(p) // width % stride, int(p) % width % stride) for p in pixels}
        assert places == {divmod(number, stride)}


def info(size: int, task="multi-class") -> DatasetInfo:
    classes = tuple(ClassInfo(i, str(i)) for i in range(3))
    return DatasetInfo("d", "folder", size, "1", "paper", 0, "m", task, 1, classes)


@given(st.integers(1, 5), st.lists(st.integers(0, 4), min_size=1, max_size=6))
@settings(max_examples=60)
def test_the_radius_is_what_moving_votes_shows(label_count, ballots):
    """Against brute force: every way to move votes, one after another, until the winner changes."""
    counts = [sum(b % label_count == c for b in ballots) for c in range(label_count)]
    winner = counts.index(max(counts))
    reached, moves = {tuple(counts)}, 0
    while moves < len(ballots):
        further = {after for before in reached for after in _moved(before)}
        if any(after.index(max(after)) != winner for after in further):
            break
        reached, moves = reached | further, moves + 1
    votes = torch.tensor([counts])
    assert plurality(votes).tolist() == [winner]
    assert certified_radius(votes).tolist() == [moves]


def _moved(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for giver in range(len(counts)):
        for taker in range(len(counts)):
            if counts[giver]:
                after = list(counts)
                after[giver] -= 1
                after[taker] += 1
                yield tuple(after)


@pytest.mark.parametrize(
    ("votes", "radius"),
    [
        ([4, 0], 2),  # one of the first class's votes is worth more: it wins at 2 to 2
        ([0, 4], 1),
        ([2, 2], 0),
        ([0, 9], 4),
        ([5, 4], 0),
        ([4, 5], 0),
        ([3, 5, 1], 0),
        ([3, 6, 0], 1),
        ([3, 0, 6], 1),
        # The runner-up is not the nearest: the class before the winner wins a tie.
        ([1, 3, 0], 0),
        ([0, 3, 1], 1),
    ],
)
def test_radii_by_hand(votes, radius):
    assert certified_radius(torch.tensor([votes])).tolist() == [radius]


class Fragile(nn.Module):
    """A small random network that single pixels can move."""

    def __init__(self, seed: int, side: int, label_count: int) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(side**2, 8, generator=stream))
        self.second = nn.Parameter(torch.randn(8, label_count, generator=stream))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = (images.flatten(1) @ self.first).relu() @ self.second
        return logits


def vote_of(side: int, stride: int, label_count: int = 3) -> Classifier:
    part = -(-side // stride)
    network = Fragile(3, part, label_count)
    voter = Classifier(network, "multi-class", label_count, mean=(0.5,), std=(0.5,))
    return as_classifier(voter, stride)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(8, 2), (9, 2), (8, 3)]))
@settings(max_examples=40)
def test_a_pixel_has_a_part_in_one_vote_alone(seed, shape):
    side, stride = shape
    vote = vote_of(side, stride).network
    stream = np.random.default_rng(seed)
    image = torch.from_numpy(stream.random((1, 1, side, side), dtype=np.float32))
    row, col = stream.integers(0, side, 2).tolist()
    changed = image.clone()
    changed[..., row, col] = 1 - changed[..., row, col]
    owner = row % stride * stride + col % stride
    pairs = zip(phases(image, stride), phases(changed, stride), strict=True)
    for number, (before, after) in enumerate(pairs):
        assert torch.equal(before, after) == (number != owner)
    moved = (vote.votes(image) - vote.votes(changed)).abs().sum()
    assert moved in (0, 2)


def test_the_decision_is_the_plurality_and_the_logits_keep_apart():
    classifier = vote_of(8, 2)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), np.uint8))
    inputs = to_unit_range(images.numpy(), CPU)
    votes = torch.cat([canonical_votes(classifier, image[None]) for image in inputs])
    decided = [d.label_set for d in judge(classifier, images.numpy(), device=CPU)]
    assert decided == [(int(c),) for c in plurality(votes)]
    logits = torch.cat([canonical_logits(classifier, image[None]) for image in inputs])
    best, second = logits.topk(2, dim=1).values.T
    assert float((best - second).min()) >= 0.25
    ties = (votes == votes.amax(1, keepdim=True)).sum(1) > 1
    assert ties.any(), "the rule for equals was not met"


def test_gradients_reach_every_pixel():
    image = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(1), requires_grad=True)
    (slope,) = torch.autograd.grad(vote_of(9, 2)(image)[0, 0], image)
    assert slope.isfinite().all() and (slope != 0).float().mean() > 0.9


@pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, 3)])
def test_no_certified_image_falls_to_any_value_of_any_pixel(side, stride):
    classifier = vote_of(side, stride)
    images = np.random.default_rng(5).integers(0, 256, (24, side, side, 1), np.uint8)
    inputs = to_unit_range(images, CPU)
    votes = torch.cat([canonical_votes(classifier, image[None]) for image in inputs])
    certain = certified_radius(votes) >= 1
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    result = Exhaustive(classifier, space="all-values", evaluator="dense")(stored, plurality(votes))
    assert result.attacked.all()
    robust = ~result.success
    assert (result.queries[robust] == side**2 * 256).all()
    assert certain.sum() >= 3 and (~certain).sum() >= 3
    assert not result.success[certain].any()
    assert result.success[~certain].any()


@pytest.mark.parametrize("stride", [2, 5])
def test_the_voter_is_trained_on_what_it_is_asked_about(stride):
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 1), np.uint8)
    labels, splits = np.arange(6) % 3, np.array([0, 0, 1, 0, 2, 1], np.uint8)
    dataset = ImageDataset(info(12), labels, splits, read=lambda indices: images[indices])
    members = np.array([5, 0, 3])
    view = phase_dataset(dataset, stride, members)
    expected = torch.stack(phases(to_unit_range(images[members], CPU), stride), dim=1)
    shown = to_unit_range(view.images(range(len(view))), CPU)
    assert torch.equal(shown, expected.flatten(0, 1))
    order = np.random.default_rng(1).permutation(len(view))
    assert torch.equal(to_unit_range(view.images(order), CPU), shown[order])
    assert view.info.size == shown.shape[2] == -(-12 // stride)
    assert view.labels.tolist() == np.repeat(labels[members], stride**2).tolist()
    assert view.splits.tolist() == np.repeat(splits[members], stride**2).tolist()
    others = [phase_dataset(dataset, 3, members), phase_dataset(dataset, stride, members[:2])]
    manifests = {one.info.manifest_sha256 for one in (dataset, view, *others)}
    assert len(manifests) == 4, "a checkpoint would be taken for another training's"


@pytest.mark.parametrize(
    ("size", "stride", "task", "told", "hint"),
    [
        (28, 1, "multi-class", "stride of 1", "`stride=2`"),
        (28, 0, "multi-class", "stride of 0", "`stride=2`"),
        (28, -3, "multi-class", "stride of -3", "`stride=2`"),
        (28, 29, "multi-class", "stride of 29", "`stride=2`"),
        (28, 10, "multi-class", "cannot take images of 3x3 pixels", "`stride=2`"),
        (28, 2, "multi-label", "any number of labels", "multi-class"),
    ],
)
def test_what_cannot_be_split_is_refused(size, stride, task, told, hint):
    with pytest.raises(UsageError, match=told) as caught:
        build_voter("small-cnn", stride, info(size, task))
    assert hint in caught.value.hint


def test_votes_are_counted_one_image_at_a_time():
    classifier = vote_of(8, 2)
    with pytest.raises(ValueError, match="one image"):
        canonical_votes(classifier, torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match="polyphase vote"):
        canonical_votes(classifier.network.voter, torch.zeros(1, 1, 4, 4))
    assert isinstance(classifier.network, PolyphaseVote)
