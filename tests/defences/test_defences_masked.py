"""Masked consensus: what is hidden, what two rounds come to, and that no certified image falls."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixguard.attacks import Exhaustive
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import judge
from pixguard.defences.certificates.masked_consensus import (
    MaskedConsensus,
    as_classifier,
    certify,
    consensus,
    mask_sets,
)
from pixguard.defences.certificates.registry import MaskOptions
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """A small random CNN that single pixels can move."""

    def __init__(self, seed: int, channels: int = 1) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        self.kernel = nn.Parameter(torch.randn(6, channels, 3, 3, generator=stream))
        self.head = nn.Parameter(torch.randn(6, 3, generator=stream))

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.conv2d(images, self.kernel, padding=1).relu()
        logits: Tensor = maps.amax((2, 3)) @ self.head
        return logits


def asked(seed: int = 0, channels: int = 1) -> Classifier:
    half = (0.5,) * channels
    return Classifier(Tiny(seed, channels), "multi-class", 3, half, half).eval()


def masked(seed: int = 0, channels: int = 1, **options) -> Classifier:
    return as_classifier(asked(seed, channels), MaskOptions(**options))


def smooth(count: int, side: int, seed: int = 5) -> np.ndarray:
    """Images uint8 (N, H, W, 1) whose neighbours are alike."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side] / side
    slopes = rng.uniform(-1, 1, (count, 3, 1, 1))
    waves = slopes[:, 0] * rows + slopes[:, 1] * cols + slopes[:, 2]
    return (128 + 60 * waves + rng.integers(-6, 7, waves.shape))[..., None].astype(np.uint8)


def by_hand(image: Tensor, hidden: frozenset[int], stride: int) -> Tensor:
    """Fill an image (C, H, W) pixel by pixel."""
    channels, height, width = image.shape
    filled = image.clone()

    def is_hidden(row: int, col: int) -> bool:
        return row % stride * stride + col % stride in hidden

    for row in range(height):
        for col in range(width):
            if not is_hidden(row, col):
                continue
            total, weight = torch.zeros(channels, dtype=torch.float64), 0.0
            for r in range(max(row - 2, 0), min(row + 3, height)):
                for c in range(max(col - 2, 0), min(col + 3, width)):
                    if not is_hidden(r, c):
                        w = float(np.exp(-((r - row) ** 2 + (c - col) ** 2) / (2 * 0.7**2)))
                        total += w * image[:, r, c].double()
                        weight += w
            filled[:, row, col] = (total / weight).float()
    return filled


def slow(opinion_under, stride: int, radius: int) -> tuple[int, bool]:
    """Return the decision and whether it is certified, as the source's algorithm 1 has it."""
    sets = [frozenset(s) for s in combinations(range(stride**2), radius)]
    first = [opinion_under(s) for s in sets]
    certain = len({opinion_under(s | t) for s in sets for t in sets}) == 1
    if len(set(first)) == 1:
        return first[0], certain
    counts = Counter(first)
    most = min(counts, key=lambda c: (-counts[c], c))
    for members, opinion in zip(sets, first, strict=True):
        if opinion != most and all(opinion_under(members | t) == opinion for t in sets):
            return opinion, certain
    return most, certain


@pytest.mark.parametrize(("stride", "radius"), [(2, 1), (3, 2)])
@given(seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.02, 0.2, 1.0]))
@settings(max_examples=40)
def test_two_rounds_come_to_what_a_plain_loop_does(stride, radius, seed, noise):
    rng = np.random.default_rng(seed)
    sets, unions = mask_sets(stride, radius)
    members = [frozenset(np.flatnonzero(row).tolist()) for row in sets.numpy()]
    assert len(set(members)) == len(members)
    # One mask sees something else than the rest: the case that the second round is for.
    odd, other = int(rng.integers(stride**2)), int(rng.integers(3))
    said = {m: other if odd in m else 0 for m in members}
    said = {m: int(rng.integers(3)) if rng.random() < noise else o for m, o in said.items()}
    opinions = torch.tensor([[said[m] for m in members]])
    decided, certain = slow(said.__getitem__, stride, radius)
    assert consensus(opinions, unions, 3).tolist() == [decided]
    assert (len(set(said.values())) == 1) == certain


@pytest.mark.parametrize(
    ("seed", "stride", "radius", "side", "channels"),
    [(7, 2, 1, 5, 3), (5, 3, 1, 7, 1), (7, 3, 2, 6, 1)],
)
def test_an_image_is_decided_as_by_a_plain_loop(seed, stride, radius, side, channels):
    classifier = masked(seed, channels, stride=stride, radius=radius)
    network = classifier.network
    images = np.concatenate([smooth(6, side)] * channels, axis=3)
    images[::2] = np.random.default_rng(1).integers(0, 256, images[::2].shape)
    images = images[1:3]
    verdicts = []
    for image in to_unit_range(images, CPU):
        said = {}
        for shown, row in zip(
            network.masked(image[None], network.sets)[0], network.sets, strict=True
        ):
            hidden = frozenset(row.nonzero().flatten().tolist())
            filled = by_hand(image, hidden, stride)
            torch.testing.assert_close(shown, filled, rtol=0, atol=1e-6)
            with torch.inference_mode():
                said[hidden] = int(network.asked(filled[None]).argmax())
        decided, certain = slow(said.__getitem__, stride, radius)
        predicted, answers, found = certify(classifier, image[None])
        assert (predicted, found) == ((decided,), radius if certain else 0)
        assert sum(answers) == len(network.unions)
        verdicts.append(certain)
    together = classifier.decide(classifier(to_unit_range(images, CPU)))
    assert together == judge(classifier, images, device=CPU)
    assert len(set(verdicts)) == 2


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(2, 1), (3, 1), (3, 2), (4, 2)]),
    st.sampled_from(["neighbours", "mean"]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_hidden_leaves_no_bit(seed, masks, fill):
    stride, radius = masks
    network = masked(0, 3, stride=stride, radius=radius, fill=fill).network
    rng = np.random.default_rng(seed)
    height, width = rng.integers(4, 12, 2)
    image = torch.from_numpy(rng.random((1, 3, height, width), dtype=np.float32))
    row, col = int(rng.integers(height)), int(rng.integers(width))
    changed = image.clone()
    changed[..., row, col] = 1 - changed[..., row, col]
    before, after = (network.masked(i, network.sets)[0] for i in (image, changed))
    assert before.isfinite().all()
    hidden = network.sets[:, row % stride * stride + col % stride]
    for one, other, is_hidden in zip(before, after, hidden, strict=True):
        assert torch.equal(one, other) == bool(is_hidden)


def certificates(classifier: Classifier, images: np.ndarray) -> tuple[Tensor, Tensor]:
    found = [certify(classifier, i[None]) for i in to_unit_range(images, CPU)]
    predicted: Sequence[int] = [p[0] for p, _, _ in found]
    return torch.tensor(predicted), torch.tensor([radius for *_, radius in found])


@pytest.mark.parametrize(("fill", "seed"), [("neighbours", 6), ("mean", 2)])
def test_no_certified_image_falls_to_any_value_of_any_pixel(fill, seed):
    classifier = masked(seed, stride=2, fill=fill)
    images = smooth(16, 6)[5:12]
    predicted, radii = certificates(classifier, images)
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    result = Exhaustive(classifier, space="all-values", evaluator="dense")(stored, predicted)
    assert result.attacked.all()
    assert (result.queries[~result.success] == 36 * 256).all()
    assert radii.max() == 1 and (radii == 1).sum() >= 3 and (radii == 0).sum() >= 3
    assert not result.success[radii == 1].any()
    assert result.success[radii == 0].any()
    # The classifier that is asked falls where the consensus of its answers does not.
    alone = asked(seed)
    bare = torch.tensor([d.label_set[0] for d in judge(alone, images, device=CPU)])
    fallen = Exhaustive(alone, space="all-values", evaluator="dense")(stored, bare).success
    assert (fallen & (radii == 1)).any()


def test_no_image_certified_at_two_falls_to_any_extreme_pair():
    classifier = masked(5, stride=3, radius=2)
    images = smooth(12, 6)[:6]
    predicted, radii = certificates(classifier, images)
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    attack = Exhaustive(classifier, pixels=2, evaluator="dense")
    result = attack(stored, predicted)
    assert (radii == 2).sum() >= 2 and (radii == 0).sum() >= 2
    assert not result.success[radii == 2].any()
    assert result.success[radii == 0].any()


def test_gradients_reach_every_pixel_and_tracing_is_refused():
    classifier = masked(3, stride=3)
    image = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(1), requires_grad=True)
    (slope,) = torch.autograd.grad(classifier(image)[0, 0], image)
    assert slope.isfinite().all() and (slope != 0).float().mean() > 0.3
    with pytest.raises(TypeError, match="layer by layer"):
        torch.fx.symbolic_trace(classifier.network)


def test_what_cannot_be_masked_is_refused():
    with pytest.raises(UsageError, match="4 masks are too few") as caught:
        masked(stride=2, radius=2)
    assert "stride=3" in caught.value.hint
    many = Classifier(Tiny(0), "multi-label", 3, (0.5,), (0.5,)).eval()
    with pytest.raises(UsageError, match="any number of labels"):
        as_classifier(many, MaskOptions())
    with pytest.raises(UsageError):
        MaskOptions(stride=1)
    with pytest.raises(ValueError, match="one image"):
        certify(masked(), torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match="masked consensus"):
        certify(asked(), torch.zeros(1, 1, 8, 8))
    assert isinstance(masked().network, MaskedConsensus)
