"""Randomised ablation: its theorem on images small enough for all of them, and its statistics."""

from itertools import combinations

import pytest
import torch
from scipy.stats import beta, hypergeom
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.config import VoteSettings
from pixguard.config.settings import SettingError
from pixguard.defences.certificates.randomised_ablation import (
    Ablating,
    RandomisedAblation,
    ablate,
    as_classifier,
    build_asked,
    certified_radius,
    certify,
    draw,
    overlap,
)
from pixguard.errors import UsageError
from pixguard.models.seeding import seeded
from pixguard.records import ClassInfo, DatasetInfo

CLASSES = tuple(ClassInfo(i, str(i)) for i in range(3))


def info(size: int = 8, task="multi-class", channels: int = 1) -> DatasetInfo:
    return DatasetInfo("d", "folder", size, "1", "paper", 0, "m", task, channels, CLASSES)


def test_the_frequency_of_a_class_moves_no_further_than_the_overlap() -> None:
    """All black and white images of 3 x 3, all ablations, and a classifier without sense."""
    bits = (torch.arange(512)[:, None] >> torch.arange(9)) & 1
    sets = list(combinations(range(9), 2))
    stream = torch.Generator().manual_seed(0)
    frequency = torch.zeros(512, 3)
    for members in sets:
        answers = torch.randint(0, 3, (4,), generator=stream)  # to what is seen at the two places
        seen = bits[:, members[0]] + 2 * bits[:, members[1]]
        frequency += nn.functional.one_hot(answers[seen], 3) / len(sets)
    distance = (bits[:, None] != bits[None]).sum(2)
    moved = (frequency[:, None] - frequency[None]).abs().amax(2)
    for changed in range(1, 8):
        bound = float(overlap(changed, 9, 2))
        most = moved[distance == changed].max()
        assert most <= bound + 1e-6
    assert moved[distance == 1].max() > 0.7 * float(overlap(1, 9, 2))  # and it does move so far


@pytest.mark.parametrize(("changed", "pixels", "keep"), [(1, 784, 45), (5, 784, 45), (3, 9, 2)])
def test_the_overlap_is_hypergeometric(changed: int, pixels: int, keep: int) -> None:
    none = hypergeom(pixels, changed, keep).pmf(0)
    assert float(overlap(changed, pixels, keep)) == pytest.approx(1 - none, rel=1e-9)


@pytest.mark.parametrize("found", [0, 400, 500, 545, 640, 800, 950, 1000])
def test_the_radius_is_that_of_the_clopper_pearson_bound(found: int) -> None:
    bound = beta.ppf(0.05, found, 1000 - found + 1) if found else 0.0
    expected = sum(bound > 0.5 + float(overlap(r, 784, 45)) for r in range(1, 40))
    assert certified_radius(found, 1000, 784, 45) == expected
    if found == 1000:
        assert expected >= 8
    if found <= 500:
        assert expected == 0


def test_a_hidden_pixel_is_no_colour() -> None:
    image = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 2, 2)
    kept = torch.tensor([True, True, False, True]).view(1, 1, 2, 2)
    seen = ablate(image, kept)[0].flatten(1)
    assert seen.tolist() == [[0.0, 0.25, 0.0, 1.0], [1.0, 0.75, 0.0, 0.0]]


def test_every_set_of_pixels_is_as_likely() -> None:
    ranks = torch.rand(6000, 4, generator=torch.Generator().manual_seed(0))
    kept = draw(ranks, 2)
    assert (kept.sum(1) == 2).all()
    names, counts = (kept * torch.tensor([1, 2, 4, 8])).sum(1).unique(return_counts=True)
    assert len(names) == 6 and (counts - 1000).abs().max() < 150


class Brightness(nn.Module):
    """Class 1 where what is seen is bright, else 0."""

    def forward(self, seen: Tensor) -> Tensor:
        bright, dark = seen[:, 0].sum((1, 2)), seen[:, 1].sum((1, 2))
        return torch.stack([dark, bright, torch.zeros_like(dark)], dim=1)


def smoothed(keep: int = 6, samples: int = 400) -> Classifier:
    asked = Classifier(Brightness(), "multi-class", 3, (0.0, 0.0), (1.0, 1.0)).eval()
    return as_classifier(asked, keep, 8, samples)


def test_votes_are_a_sample_of_the_smoothed_classifier() -> None:
    """Of 64 pixels 40 are white: by the hypergeometric law, how often most of five are."""
    image = (torch.arange(64) % 8 < 5).float().view(1, 1, 8, 8)
    (decided,), votes, radius = certify(smoothed(keep=5), image)
    expected = 1 - hypergeom(64, 40, 5).cdf(2)
    assert decided == 1 and sum(votes) == 400
    assert radius == certified_radius(votes[1], 400, 64, 5)
    assert votes[1] / 400 == pytest.approx(expected, abs=0.08)


def test_a_radius_holds_for_what_an_attacker_would_change() -> None:
    image = torch.ones(1, 1, 8, 8)
    classifier = smoothed()
    (decided,), votes, radius = certify(classifier, image)
    assert (decided, votes) == (1, (0, 400, 0)) and radius == 6
    for stripe in range(8):
        changed = image.clone()
        changed[..., stripe, :radius] = 0
        assert certify(classifier, changed)[0] == (1,)
    with torch.inference_mode():
        assert torch.equal(classifier(image.repeat(3, 1, 1, 1))[2], classifier(image)[0])


def test_the_sample_is_another_than_that_of_the_decision() -> None:
    network = smoothed().network
    assert isinstance(network, RandomisedAblation)
    assert network.kept.shape == (40, 1, 8, 8)
    rows = {tuple(row.tolist()) for row in network.kept.flatten(1)}
    stream = torch.Generator()
    stream.set_state(network._stream_state)
    others = {tuple(r.tolist()) for r in draw(torch.rand(60, 64, generator=stream), 6)}
    assert len(rows) == 40 and not rows & others


@pytest.mark.parametrize("channels", [1, 3])
def test_training_shows_other_pixels_each_time_and_evaluation_the_same(channels: int) -> None:
    asked = build_asked("small-cnn", 20, info(channels=channels), seed=1)
    assert asked.channels == 2 * channels
    trainee = Ablating(asked, 20).train()
    images = torch.rand(6, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), seeded(0):
        asked.eval()
        first, second = trainee(images), trainee(images)
        assert not torch.equal(first, second)
        trainee.eval()
        assert torch.equal(trainee(images), trainee(images))


@pytest.mark.parametrize(
    ("dataset", "keep", "told"),
    [(info(), 64, "no 64 pixels"), (info(task="multi-label"), 5, "one class an image")],
)
def test_what_cannot_be_ablated_is_refused(dataset: DatasetInfo, keep: int, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        build_asked("small-cnn", keep, dataset)


def test_options_of_the_other_certificate_are_refused() -> None:
    with pytest.raises(SettingError, match="keep is no option of the certificate polyphase-vote"):
        VoteSettings(keep=9)
    with pytest.raises(SettingError, match="stride is no option"):
        VoteSettings(certificate="randomised-ablation", stride=2)
    assert "keep" not in VoteSettings().identity()
    assert "stride" not in VoteSettings(certificate="randomised-ablation").identity()
