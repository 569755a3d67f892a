"""The attacks as Python objects."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import Normalize

import pixguard.attacks
from conformance import rows
from pixguard.attacks import (
    ATTACKS,
    AttackResult,
    DifferentialEvolution,
)
from pixguard.attacks.attack import Attack
from pixguard.classifiers.classifier import Classifier

SIDE = 10

every_attack = pytest.mark.parametrize("name", ATTACKS.names)
sparse = pytest.mark.parametrize("name", [entry.name for entry in ATTACKS if not entry.dense])


def make(name: str, network: nn.Module, **options: Any) -> Attack:
    kind = getattr(pixguard.attacks, ATTACKS[name].class_name)
    made: Attack = kind(network, **{**rows.ATTACKS[name], **options})
    return made


class Brightest(nn.Module):
    """Class 1 when the brightest pixel reaches a level; both labels' logits rise with it."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, images: Tensor) -> Tensor:
        peak = images.amax((1, 2, 3))
        return torch.stack([self.level - peak, peak - self.level], 1) * 20


class Channels(nn.Module):
    """Label c is given when the brightest pixel of channel c reaches 0.6."""

    def forward(self, images: Tensor) -> Tensor:
        return (images.amax((2, 3)) - 0.6) * 20


class NotFinite(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return (
            torch.tensor([[0.0, 2.0]]).repeat(len(images), 1)
            / (images.amax((1, 2, 3)) < 0.5)[:, None]
        )


@torch.no_grad()
def small_network(channels: int = 1) -> nn.Module:
    """An untrained network whose decisions one pixel moves for some images and not for others."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(channels, 6, 3), nn.ReLU(), nn.BatchNorm2d(6), nn.Dropout(0.5),
            nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), last := nn.Linear(6 * 6 * 6, 3),
        )  # fmt: skip
    # Without this every image is of one class.
    last.bias -= network.eval()(pictures(20, channels).float() / 255).mean(0)
    return network


def pictures(count: int, channels: int = 1, most: int = 120) -> Tensor:
    stream = torch.Generator().manual_seed(1)
    shape = (count, channels, SIDE, SIDE)
    return torch.randint(0, most, shape, generator=stream, dtype=torch.uint8)


@torch.no_grad()
def judged(network: nn.Module, image: Tensor, label: int) -> tuple[float, int]:
    """What a network in evaluation mode leaves for a label of one uint8 image, and its decision."""
    probabilities = network(image[None].float() / 255)[0].double().softmax(0)
    return float(probabilities[label]), int(probabilities.argmax())


def decided(network: nn.Module, images: Tensor) -> Tensor:
    """The decisions of a network in evaluation mode on uint8 images."""
    return torch.tensor([judged(network, image, 0)[1] for image in images])


def same(one: AttackResult, other: AttackResult, order: list[int]) -> bool:
    """Whether the rows ``order`` of one result are the rows of another, image for image."""
    names = ["success", "attacked", "pixels", "colours", "queries", "confidence", "predicted"]
    return all(torch.equal(getattr(one, n)[order], getattr(other, n)) for n in names)


@sparse
def test_a_success_changes_k_pixels_and_flips_the_decision_when_judged_from_its_bytes(name):
    network, images = small_network(3), pictures(12, 3)
    labels = decided(network, images)
    for pixels in (1,) if name == "exhaustive" else (1, 2):
        result = make(name, network, pixels=pixels)(images, labels)
        assert result.images.dtype == torch.uint8
        assert result.pixels.shape == (12, pixels, 2) and result.pixels.dtype == torch.int64
        assert result.colours.shape == (12, pixels, 3) and result.colours.dtype == torch.uint8
        assert result.attacked.all()
        assert result.success.any(), "the test needs a success"
        assert torch.equal(decided(network, result.images) != labels, result.success)
        for index in range(12):
            changed = (result.images[index] != images[index]).any(0).nonzero().tolist()
            if not result.success[index]:
                assert changed == []
                continue
            assert changed == sorted(result.pixels[index].tolist())
            for (row, col), colour in zip(result.pixels[index], result.colours[index], strict=True):
                assert torch.equal(result.images[index, :, row, col], colour)
            left, now = judged(network, result.images[index], int(labels[index]))
            assert float(result.confidence[index]) == pytest.approx(left, abs=1e-9)
            assert result.predicted[index] == now


@sparse
def test_a_failure_returns_the_clean_image_and_the_best_candidate(name):
    network, images = Brightest(5.0), pictures(3)  # no image is that bright
    result = make(name, network)(images, torch.zeros(3, dtype=torch.int64))
    assert result.attacked.all() and not result.success.any()
    assert torch.equal(result.images, images)
    assert (result.predicted == 0).all() and (result.queries > 1).all()
    for index in range(3):
        best = images[index].clone()
        row, col = result.pixels[index, 0].tolist()
        best[:, row, col] = result.colours[index, 0]
        left, _ = judged(network, best, 0)
        assert float(result.confidence[index]) == pytest.approx(left, abs=1e-9)


@every_attack
def test_results_do_not_depend_on_batch_mates_or_order(name):
    network, images = small_network(), pictures(7)
    labels = decided(network, images)
    labels[4] = (labels[4] + 1) % 3  # one that is not attacked
    attack, before = make(name, network, batch=40), images.clone()
    together = attack(images, labels)
    assert torch.equal(images, before), "the caller's images were changed"
    assert len(set(together.success.tolist())) == 2, "the test needs both"
    order = [6, 2, 4, 0, 2]  # and one twice
    assert same(together, attack(images[order], labels[order]), order)
    for index in range(7):
        assert same(together, attack(images[index][None], labels[index][None]), [index])


def test_the_seed_moves_the_stream():
    network, images = small_network(), pictures(4)
    labels = decided(network, images)
    first, again, other = (
        make("differential-evolution", network, seed=seed)(images, labels) for seed in (1, 1, 2)
    )
    assert same(first, again, list(range(4)))
    assert not torch.equal(first.pixels, other.pixels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_and_bytes_are_the_same_images(dtype):
    network, images = small_network(), pictures(6)
    labels = decided(network, images)
    attack = make("differential-evolution", network)
    expected = attack(images, labels)
    floats = (images.double() / 255).to(dtype)
    for given in (floats, (floats + 5e-5).clamp(0, 1), (floats - 5e-5).clamp(0, 1)):
        before = given.clone()
        result = attack(given, labels)
        assert same(expected, result, list(range(6)))
        assert torch.equal(given, before), "the caller's images were changed"
        assert result.images.dtype == dtype
        done = result.success
        assert torch.equal(result.images[done], (expected.images[done].double() / 255).to(dtype))
        assert torch.equal(result.images[~done], given[~done])


def test_images_that_the_classifier_gets_wrong_are_not_attacked():
    images = pictures(4)
    images[1, 0, 3, 3] = 255
    network = Brightest(0.8)
    result = make("differential-evolution", network)(images, torch.zeros(4, dtype=torch.int64))
    assert result.attacked.tolist() == [True, False, True, True]
    assert not result.success[1] and result.queries[1] == 0 and result.predicted[1] == 1
    assert (result.pixels[1] == -1).all() and torch.equal(result.images[1], images[1])
    assert float(result.confidence[1]) == pytest.approx(1 / (1 + np.exp(40 * 0.2)), rel=1e-5)
    assert result.success[[0, 2, 3]].all()


def test_a_target_is_reached_and_no_other_class_will_do():
    network, images = small_network(), pictures(12)
    labels = decided(network, images)
    targets = (labels + 1) % 3
    plain = make("differential-evolution", network, pixels=3)(images, labels)
    result = make("differential-evolution", network, pixels=3)(images, labels, targets)
    assert result.success.any() and result.success.sum() < plain.success.sum()
    now = decided(network, result.images)
    assert torch.equal(now == targets, result.success)


def test_multi_label_decisions_are_flipped():
    images = pictures(4, 3)
    images[1, 2] = 200  # label 2 is given
    labels = torch.zeros(4, 3, dtype=torch.bool)
    labels[1, 2] = True
    attack = make("differential-evolution", Channels(), task="multi-label")
    result = attack(images, labels)
    assert result.attacked.all() and result.success.all()
    now = result.images.amax((2, 3)).float() / 255 >= 0.6
    assert torch.equal(now, result.predicted)
    assert (now != labels).any(1).all()


def test_a_multi_label_target_is_the_label_that_flips():
    targets = torch.tensor([0, 1, 2, 1])
    attack = make("differential-evolution", Channels(), task="multi-label", generations=40)
    result = attack(pictures(4, 3), torch.zeros(4, 3, dtype=torch.bool), targets)
    assert result.success.all()
    assert result.predicted[range(4), targets].all()


def test_a_threshold_moves_the_decision():
    """The probability of a label is sigmoid(20 (0.65 - 0.6)), 0.73."""
    images, labels = pictures(2, 3), torch.zeros(2, 3, dtype=torch.bool)
    images[:, 0, 5, 5] = round(0.65 * 255)
    for threshold, given in [(0.9, False), (0.7, True), (None, True)]:
        options = {"task": "multi-label", "threshold": threshold}
        result = make("differential-evolution", Channels(), **options)(images, labels)
        assert result.attacked.tolist() == [not given] * 2
        assert result.success.tolist() == [not given] * 2
        assert given or (result.images.amax((1, 2, 3)).float() / 255 > 0.7).all()


def test_normalisation_inside_a_network_is_as_good_as_a_classifiers_own():
    network, images = small_network().eval(), pictures(6)
    mean, std = (0.4,), (0.3,)
    own = Classifier(network, "multi-class", 3, mean, std)
    labels = decided(own, images)
    inside = nn.Sequential(Normalize(mean, std), network)
    expected = make("differential-evolution", own)(images, labels)
    result = make("differential-evolution", inside)(images, labels)
    assert same(expected, result, list(range(6)))


def test_the_network_keeps_its_modes_its_state_and_its_device():
    network, images = small_network(), pictures(2)
    labels = decided(network, images)
    network.train()
    network[2].eval()
    before = [part.training for part in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert make("differential-evolution", network)(images, labels).attacked.all()
    assert [part.training for part in network.modules()] == before
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" for p in network.parameters())


def test_the_modes_are_restored_after_an_error():
    network = small_network().train()
    with pytest.raises(ValueError, match="labels"):
        make("differential-evolution", network)(pictures(2), torch.zeros(3, dtype=torch.int64))
    assert network.training


@every_attack
def test_an_attack_works_inside_inference_mode(name):
    network, images = small_network(), pictures(2)
    labels = decided(network, images)
    expected = make(name, network)(images, labels)
    with torch.inference_mode():
        result = make(name, network)(images.clone(), labels.clone())
    assert same(expected, result, [0, 1])


def test_an_output_that_is_not_finite_warns_and_does_not_count():
    images, labels = pictures(2, most=20), torch.ones(2, dtype=torch.int64)
    with pytest.warns(RuntimeWarning, match=r"not finite for images \[0, 1\]"):
        result = make("differential-evolution", NotFinite())(images, labels)
    assert not result.attacked.any() and not result.success.any()
    assert torch.equal(result.images, images)


def test_no_images_give_an_empty_result():
    result = make("differential-evolution", small_network())(
        pictures(0), torch.zeros(0, dtype=torch.int64)
    )
    assert result.images.shape == (0, 1, SIDE, SIDE) and result.pixels.shape == (0, 1, 2)


LABELS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (pictures(2).numpy(), LABELS, TypeError, "images must be a torch.Tensor, got numpy"),
        (pictures(2), [0, 0], TypeError, "labels must be a torch.Tensor"),
        (pictures(2).half(), LABELS, TypeError, "float16"),
        (pictures(2), LABELS.int(), TypeError, "int32"),
        (pictures(2)[0], LABELS, ValueError, r"\(N, C, H, W\)"),
        (pictures(2, 4), LABELS, ValueError, r"C 1 or 3"),
        (pictures(2).float(), LABELS, ValueError, r"\[0, 1\]"),
        (pictures(2).float() / 255 + torch.nan, LABELS, ValueError, r"\[0, 1\]"),
        (pictures(2).float() / 255 + 0.001, LABELS, ValueError, "round them first"),
        (pictures(2), LABELS[:1], ValueError, r"labels must be \(2,\)"),
        (pictures(2), LABELS + 3, ValueError, r"\[0, 3\)"),
        (pictures(2), LABELS - 1, ValueError, r"\[0, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(images, labels, error, message):
    with pytest.raises(error, match=message):
        make("differential-evolution", small_network())(images, labels)


def test_targets_that_do_not_fit_are_refused():
    attack = make("differential-evolution", small_network())
    for targets in (LABELS, LABELS + 3, LABELS[:1]):
        with pytest.raises(ValueError, match="targets"):
            attack(pictures(2), LABELS, targets)


def test_multi_label_labels_must_be_indicators():
    attack = make("differential-evolution", Channels(), task="multi-label")
    with pytest.raises(TypeError, match="multi-label"):
        attack(pictures(2, 3), LABELS)
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        attack(pictures(2, 3), torch.zeros(2, 2, dtype=torch.bool))


@pytest.mark.parametrize(
    "options",
    [
        {"pixels": 0},
        {"batch": 0},
        {"evaluator": "sparse"},
        {"precision": "float16"},
        {"strategy": "rand2"},
        {"task": "binary"},
        {"task": "multi-label", "threshold": 1.0},
    ],
)
def test_options_out_of_range_are_refused_at_once(options):
    with pytest.raises(ValueError, match="must"):
        make("differential-evolution", small_network(), **options)


def test_options_out_of_their_bounds_are_refused_when_it_is_made():
    with pytest.raises(ValueError, match="population must be at least 4, got 3"):
        make("differential-evolution", small_network(), population=3)
    with pytest.raises(ValueError, match="generations must be at least 0"):
        make("differential-evolution", small_network(), generations=-1)
    with pytest.raises(ValueError, match=r"order must be one of gradient, .*'spiral'"):
        make("corner", small_network(), order="spiral")


def test_options_that_do_not_fit_the_images_are_refused_when_called():
    with pytest.raises(ValueError, match="do not have 101 pixels"):
        make("differential-evolution", small_network(), pixels=101)(pictures(2), LABELS)


def test_classifiers_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        DifferentialEvolution(lambda images: images)  # type: ignore[arg-type]
    own = Classifier(small_network(), "multi-class", 3, (0.5,), (0.5,))
    with pytest.raises(ValueError, match="its own"):
        DifferentialEvolution(own, task="multi-label")
    with pytest.raises(ValueError, match="1 channels, not 3"):
        DifferentialEvolution(own)(pictures(2, 3), LABELS)
    with pytest.raises(ValueError, match=r"logits \(N, L\)"):
        DifferentialEvolution(nn.Conv2d(1, 1, 3))(pictures(2), LABELS)
