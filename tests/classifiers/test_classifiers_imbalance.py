"""Losses, balance, augmentation, random pixels: each against its formula, and resumed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from pixguard.classifiers.augmentation import augment, with_random_pixels
from pixguard.classifiers.balance import BalancedSampler, loss_weights
from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.losses import classification_loss
from pixguard.classifiers.training import train_classifier
from pixguard.config import TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import UsageError
from pixguard.models.training_loop import Fit, Workplace
from support import StopAfter

CPU = torch.device("cpu")
SETTINGS = TrainSettings("small-cnn", epochs=3, batch_size=8, learning_rate=0.05)
OPTIONS = {
    "bce": {"loss": "bce"},
    "focal": {"loss": "focal"},
    "sampler": {"balance": "sampler"},
    "weights": {"balance": "weights"},
    "augment": {"augment": True},
    "adversarial": {"adversarial": 2},
    "all": {"loss": "focal", "balance": "sampler", "augment": True, "adversarial": 1},
}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LOGITS = torch.randn(6, 3, generator=stream())
CLASSES = torch.tensor([0, 1, 2, 2, 1, 0])
LABELS = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [1, 0, 1], [0, 1, 0]])


def test_the_focal_loss_of_one_class_an_image_is_its_formula() -> None:
    p = LOGITS.softmax(1)[torch.arange(6), CLASSES]
    for gamma in (0.5, 2.0, 5.0):
        expected = (-((1 - p) ** gamma) * p.log()).mean()
        found = classification_loss("focal", LOGITS, CLASSES, gamma=gamma)
        torch.testing.assert_close(found, expected)


def test_the_focal_loss_of_several_labels_is_its_formula() -> None:
    p = torch.where(LABELS.bool(), LOGITS.sigmoid(), 1 - LOGITS.sigmoid())
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(classification_loss("focal", LOGITS, LABELS), expected)


def test_with_gamma_0_the_focal_loss_is_the_cross_entropy() -> None:
    single = classification_loss("focal", LOGITS, CLASSES, gamma=0.0)
    torch.testing.assert_close(single, cross_entropy(LOGITS, CLASSES))
    torch.testing.assert_close(classification_loss("ce", LOGITS, CLASSES), single)
    several = classification_loss("focal", LOGITS, LABELS, gamma=0.0)
    expected = binary_cross_entropy_with_logits(LOGITS, LABELS.float())
    torch.testing.assert_close(several, expected)
    torch.testing.assert_close(classification_loss("bce", LOGITS, LABELS), expected)


def test_the_focal_loss_of_a_certain_network_has_a_finite_gradient() -> None:
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    classification_loss("focal", logits, torch.tensor([0, 0])).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_binary_loss_of_a_class_is_against_every_other_class() -> None:
    expected = binary_cross_entropy_with_logits(LOGITS, torch.eye(3)[CLASSES])
    torch.testing.assert_close(classification_loss("bce", LOGITS, CLASSES), expected)


def test_weights_make_classes_count_alike_and_average_1() -> None:
    labels = np.repeat(np.array([0, 1, 3]), [6, 3, 1])
    weights = loss_weights(labels, 4)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 0, 10 / 3], rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)
    indicators = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], dtype=np.uint8)
    absent, present = loss_weights(indicators, 2)
    np.testing.assert_allclose(present, [4 / 6, 2])
    np.testing.assert_allclose(absent, [2, 4 / 6])


def test_weighted_losses_are_the_plain_mean_of_weighted_ones() -> None:
    weights = torch.tensor([0.5, 1.0, 4.0])
    expected = (cross_entropy(LOGITS, CLASSES, reduction="none") * weights[CLASSES]).mean()
    torch.testing.assert_close(classification_loss("ce", LOGITS, CLASSES, weights), expected)
    pair = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    each = binary_cross_entropy_with_logits(LOGITS, LABELS.float(), reduction="none")
    expected = (each * torch.where(LABELS.bool(), pair[1], pair[0])).mean()
    torch.testing.assert_close(classification_loss("bce", LOGITS, LABELS, pair), expected)


def drawn(sampler: BalancedSampler, count: int) -> np.ndarray:
    batches = np.arange(count).reshape(-1, 50)
    return np.concatenate([sampler.draw(batch) for batch in batches])


def test_the_sampler_draws_every_class_equally_often() -> None:
    labels = np.repeat(np.array([0, 1, 2]), [900, 90, 10])
    positions = drawn(BalancedSampler(labels, 0), 6000)
    shares = np.bincount(labels[positions]) / 6000
    np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / 6000))  # 4 sigma
    assert len(set(positions[labels[positions] == 0])) > 600, "not the same images again and again"


def test_the_sampler_draws_an_image_as_its_rarest_label() -> None:
    labels = np.zeros((100, 2), dtype=np.uint8)
    labels[:90, 0] = 1
    labels[80:, 1] = 1  # ten images with both, ten with the second alone
    rare = labels[drawn(BalancedSampler(labels, 0), 6000), 1].mean()
    # An image of the first alone weighs 1/90, one of the second 1/20.
    assert rare == pytest.approx(1 / (1 + 80 / 90), abs=4 * 0.5 / np.sqrt(6000))


def test_the_sampler_depends_on_seed_and_positions_alone() -> None:
    labels = np.arange(100) % 3
    positions = np.array([4, 7, 11, 40])
    first = BalancedSampler(labels, 1).draw(positions)
    other = BalancedSampler(labels, 1)
    other.draw(np.array([1, 2]))
    assert np.array_equal(other.draw(positions), first)
    assert not np.array_equal(BalancedSampler(labels, 2).draw(positions), first)


def test_images_are_moved_by_the_generator_alone() -> None:
    images = torch.rand(40, 3, 16, 16, generator=stream(3))
    before = images.clone()
    torch.default_generator.manual_seed(1)
    first = augment(images, stream(5))
    torch.default_generator.manual_seed(2)
    assert torch.equal(augment(images, stream(5)), first)
    assert not torch.equal(augment(images, stream(6)), first)
    assert torch.equal(images, before)
    assert first.shape == images.shape and first.min() >= 0 and first.max() <= 1


def test_about_half_of_the_images_are_flipped_left_to_right_and_none_upside_down() -> None:
    images = torch.zeros(400, 1, 16, 16)
    images[:, :, :8, :8] = 1  # the upper left
    quarters = augment(images, stream()).unfold(2, 8, 8).unfold(3, 8, 8).mean(dim=(1, 4, 5))
    brightest = quarters.flatten(1).argmax(1)
    assert set(brightest.tolist()) == {0, 1}
    assert 160 < int((brightest == 1).sum()) < 240


def test_a_disc_stays_a_disc_in_an_image_that_is_not_square() -> None:
    rows, cols = torch.meshgrid(torch.arange(32.0), torch.arange(96.0), indexing="ij")
    bar = ((rows - 15.5).abs() < 3) & ((cols - 47.5).abs() < 8)
    out = augment(bar.float().expand(60, 1, 32, 96), stream())[:, 0]
    total = out.sum((1, 2), keepdim=True)
    r, c = ((out * x).sum((1, 2), keepdim=True) / total for x in (rows, cols))
    variance = [
        ((out * x).sum((1, 2)) / total[:, 0, 0]) for x in ((rows - r) ** 2, (cols - c) ** 2)
    ]
    # A turn keeps the sum of the variances; a shear would not.
    plain = bar.float()
    expected = sum(
        float((plain * (x - x[bar].mean()) ** 2).sum() / plain.sum()) for x in (rows, cols)
    )
    torch.testing.assert_close(sum(variance), torch.full((60,), expected), rtol=0.05, atol=0)


@pytest.mark.parametrize("pixels", [1, 3, 64])
def test_half_of_a_batch_gets_so_many_random_pixels(pixels: int) -> None:
    images = torch.full((41, 3, 8, 8), 0.5)  # no 8-bit value: every change shows
    changed = with_random_pixels(images, pixels, stream())
    counts = (changed != images).any(dim=1).flatten(1).sum(1)
    assert counts[:20].tolist() == [pixels] * 20 and counts[20:].sum() == 0
    colours = changed[:20].permute(0, 2, 3, 1)[(changed[:20] != 0.5).any(dim=1)]
    assert torch.equal((colours * 255).round() / 255, colours)
    assert torch.equal(with_random_pixels(images, pixels, stream()), changed)
    if pixels == 64:
        share = ((colours == 0) | (colours == 1)).all(dim=1).float().mean()
        assert float(share) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(colours)))
        assert not torch.equal(changed[0], changed[1])


def train(dataset: ImageDataset, settings: TrainSettings, **where: Any) -> tuple[dict, Fit]:
    classifier = build_classifier("small-cnn", dataset.info, seed=settings.seed)
    fit = train_classifier(classifier, dataset, settings, Workplace(CPU, **where))
    return classifier.state_dict(), fit


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_changes_the_training_and_resumes_bit_for_bit(
    stripes: ImageDataset, tmp_path: Path, option: str
) -> None:
    settings = replace(SETTINGS, stop_train_accuracy=1.0, **OPTIONS[option])
    uneven = replace(stripes, labels=np.where(np.arange(60) % 5 == 0, 0, 1).astype(np.int64))
    whole, _ = train(uneven, settings)
    _, stopped = train(uneven, settings, checkpoint=tmp_path / "c.pt", stop=StopAfter(8))
    resumed, fit = train(uneven, settings, checkpoint=tmp_path / "c.pt")
    assert len(stopped.epochs) == 1 and fit.finished
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    plain, _ = train(uneven, replace(SETTINGS, stop_train_accuracy=1.0))
    assert any(not torch.equal(tensor, plain[name]) for name, tensor in whole.items())


def test_the_validation_loss_is_not_weighted(stripes: ImageDataset) -> None:
    still = replace(SETTINGS, epochs=1, learning_rate=1e-9, momentum=0.0)
    uneven = replace(stripes, labels=np.where(np.arange(60) % 5 == 0, 0, 1).astype(np.int64))
    _, weighted = train(uneven, replace(still, balance="weights"))
    _, plain = train(uneven, still)
    assert weighted.epochs[0].val_loss == pytest.approx(plain.epochs[0].val_loss, rel=1e-6)
    assert weighted.epochs[0].train_loss != pytest.approx(plain.epochs[0].train_loss, rel=1e-3)


def _several(make_dataset: Callable[..., ImageDataset]) -> ImageDataset:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, (40, 2)).astype(np.uint8)
    images = generator.integers(0, 255, (40, 12, 12, 1)).astype(np.uint8)
    splits = np.repeat(np.array([0, 1, 2], dtype=np.uint8), [24, 8, 8])
    return make_dataset(images, labels, splits, label_count=2, task="multi-label")


@pytest.mark.parametrize("option", ["focal", "sampler", "weights", "all"])
def test_options_for_several_labels(make_dataset: Callable[..., ImageDataset], option: str) -> None:
    _, fit = train(_several(make_dataset), replace(SETTINGS, epochs=1, **OPTIONS[option]))
    assert np.isfinite(fit.epochs[0].train_loss)


def test_options_that_do_not_fit_the_dataset_are_refused(
    stripes: ImageDataset, make_dataset: Callable[..., ImageDataset]
) -> None:
    with pytest.raises(UsageError, match="one class an image"):
        train(_several(make_dataset), replace(SETTINGS, loss="ce"))
    with pytest.raises(UsageError, match="145 pixels"):
        train(stripes, replace(SETTINGS, adversarial=145))
