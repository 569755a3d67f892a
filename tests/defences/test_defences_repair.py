"""Repair and the adaptive median: what is replaced, and what keeps its bytes."""

import numpy as np
import pytest
import torch

from pixguard.config import DenoiserSettings, DetectorSettings
from pixguard.defences.alarm import alarm_threshold
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.registry import RepairBlindOptions
from pixguard.defences.denoisers.repair import Repair, isolation, neighbours
from pixguard.defences.denoisers.repair_blind import BlindSpot, RepairBlind
from pixguard.defences.detectors.registry import RepairOptions
from pixguard.defences.detectors.repair import RepairDetector
from pixguard.defences.detectors.repair import train as train_detector
from pixguard.defences.detectors.scoring import score_images
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.models.training_loop import Workplace

CPU = torch.device("cpu")
SHAPES = [(1, 28, 28), (3, 28, 28), (1, 9, 14), (3, 31, 8)]
PLACES = [(0, 0), (0, 5), (4, 0), (-1, -1), (4, 5), (3, -1)]


def textured(count: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Return uint8 (N, H, W, C): slow waves with a little noise."""
    channels, height, width = shape
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width] / 28
    phase = random.uniform(0, 6, (count, 1, 1, channels))
    waves = 120 + 70 * np.sin(3 * (rows + cols)[None, ..., None] + phase)
    return (waves + random.integers(-6, 7, (count, height, width, channels))).astype(np.uint8)


def restored_bytes(denoiser: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        tensors = denoiser(to_unit_range(images, CPU))
    return tensors.mul(255).round().byte().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["repair", "repair-blind"])
def test_changed_pixels_are_found_wherever_and_all_others_keep_their_bytes(
    name: str, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(1)
    denoiser = build_denoiser(name, shape[0]).eval()
    clean = textured(len(PLACES), shape)
    attacked = clean.copy()
    for image, (row, col) in zip(attacked, PLACES, strict=True):
        image[row, col] = np.where(image[row, col] < 128, 255, 0)
    out = restored_bytes(denoiser, attacked)
    changed = (out != attacked).any(-1)
    assert changed.sum(axis=(1, 2)).max() <= 4
    for image, (row, col), other in zip(out, PLACES, clean, strict=True):
        error = np.abs(image[row, col].astype(int) - other[row, col])
        assert error.max() <= 50  # of at least 128
    same = ~changed[..., None] & np.ones(shape[0], bool)
    assert np.array_equal(out[same], attacked[same])


def test_two_neighbours_that_were_changed_alike_are_both_found() -> None:
    clean = textured(1, (3, 28, 28))
    attacked = clean.copy()
    attacked[0, 10, 10:12] = 0, 255, 255
    out = restored_bytes(Repair(3), attacked)
    assert np.abs(out.astype(int) - clean)[0, 10, 10:12].max() <= 30


def test_a_gap_of_one_replaces_as_many_as_it_may_and_a_large_one_nothing() -> None:
    images = textured(5, (1, 20, 20))
    for pixels in (1, 4, 16):
        with torch.inference_mode():
            scores, _ = Repair(1).look(to_unit_range(images, CPU))
        found = Repair(1, pixels, gap=1.0).found(scores).sum(dim=(1, 2, 3))
        assert found.tolist() == [pixels] * 5
        expected = scores.flatten(1).sort(descending=True).values[:, pixels]
        assert not (scores[Repair(1, pixels, 1.0).found(scores)] <= expected.min()).any()
    assert np.array_equal(restored_bytes(Repair(1, gap=9.0), images), images)
    flat = np.full((2, 12, 12, 1), 90, np.uint8)
    assert np.array_equal(restored_bytes(Repair(1, gap=1.0), flat), flat)


def test_the_isolation_is_that_of_a_loop() -> None:
    images = torch.rand((2, 3, 6, 7), generator=torch.Generator().manual_seed(0))
    found = isolation(images, neighbours(images))
    mirrored = np.pad(images.numpy(), [(0, 0), (0, 0), (1, 1), (1, 1)], "reflect")

    def around(padded: np.ndarray, row: int, col: int) -> np.ndarray:
        window = padded[..., row : row + 3, col : col + 3].reshape(*padded.shape[:-2], 9)
        return np.delete(window, 4, axis=-1)

    sums = np.zeros((2, 6, 7))
    for row in range(6):
        for col in range(7):
            pixel = images.numpy()[:, :, row, col, None]
            differences = np.abs(around(mirrored, row, col) - pixel).sum(axis=1)
            sums[:, row, col] = np.sort(differences)[:, :4].sum(axis=1)
    mirrored = np.pad(sums, [(0, 0), (1, 1), (1, 1)], "reflect")
    for row in range(6):
        for col in range(7):
            expected = sums[:, row, col] / (around(mirrored, row, col).mean(-1) + 12 * 3 / 255)
            np.testing.assert_allclose(found[:, 0, row, col], expected, rtol=1e-5)


def test_the_predictor_does_not_see_the_pixel_that_it_predicts() -> None:
    torch.manual_seed(0)
    predictor = BlindSpot(3).eval()
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter)
    images = torch.rand((1, 3, 11, 9), requires_grad=True)
    for row, col in [(0, 0), (0, 1), (1, 1), (5, 4), (10, 8), (9, 0)]:
        (gradient,) = torch.autograd.grad(predictor(images)[..., row, col].sum(), images)
        assert not gradient[..., row, col].any()
        assert gradient.any()


def chequered(images: np.ndarray, levels: int) -> np.ndarray:
    """Return images (N, H, W, C) with every other pixel brighter: no median tells that."""
    rows, cols = np.mgrid[: images.shape[1], : images.shape[2]]
    return images + np.uint8(levels) * ((rows + cols) % 2).astype(np.uint8)[..., None]


def training(checked: int = 0, **options: float) -> RepairBlind:
    settings = DenoiserSettings(
        "repair-blind", epochs=30, seed=1, options=RepairBlindOptions(**options)
    )
    images = chequered(textured(96, (1, 16, 16)), checked)
    made = train_denoiser(settings, images[:64], images[64:], Workplace(CPU))
    module = made.module.eval()
    assert isinstance(module, RepairBlind)
    again = build_denoiser("repair-blind", 1, **made.parameters)
    again.load_state_dict(module.state_dict())
    assert np.array_equal(restored_bytes(again.eval(), images), restored_bytes(module, images))
    return module


def test_the_predictor_learns_mean_and_scale() -> None:
    untrained, trained = RepairBlind(1), training(checked=40)
    new = to_unit_range(chequered(textured(40, (1, 16, 16), seed=9), 40), CPU)
    with torch.inference_mode():
        errors = [(m.look(new)[1] - new).abs().mean().item() for m in (untrained, trained)]
        mean, scale = trained.predictor(new).chunk(2, dim=1)
    assert errors[1] < 0.8 * errors[0]
    # Residuals of Laplace's distribution are as large as their scale, in the mean; under the noise
    # of the training they were larger than they are here.
    assert 0.3 < ((new - mean).abs() / scale).mean() < 1.2


def test_a_threshold_keeps_clean_images_whole_but_for_the_share_allowed() -> None:
    validation = textured(96, (1, 16, 16))[64:]
    free, bound = training(gap=1.0), training(gap=1.0, false_alarms=0.25)
    assert free.threshold == 0 and bound.threshold > 0
    with torch.inference_mode():
        highest = bound.highest(to_unit_range(validation, CPU))
    assert (highest > bound.threshold).sum() <= 8  # a quarter of 32
    touched = (restored_bytes(bound, validation) != validation).any(axis=(1, 2, 3))
    assert 0 < touched.sum() <= 8
    assert (restored_bytes(free, validation) != validation).any(axis=(1, 2, 3)).all()


def test_the_threshold_is_the_lowest_that_the_share_allows() -> None:
    images = textured(40, (1, 16, 16))
    with torch.inference_mode():
        scores = Repair(1).highest(to_unit_range(images, CPU)).sort(descending=True).values
    for share, exceeding in [(0.0, 0), (0.02, 0), (0.05, 2), (0.5, 20)]:
        threshold = alarm_threshold(Repair(1).highest, images, share, CPU)
        assert (scores > threshold).sum() == exceeding
        assert (scores >= threshold).sum() == exceeding + 1


@pytest.mark.parametrize("scorer", ["repair", "repair-blind"])
def test_the_alarm_is_raised_by_a_changed_pixel(scorer: str) -> None:
    images = textured(150, (1, 16, 16))
    options = RepairOptions(scorer=scorer, false_alarms=0.05)
    settings = DetectorSettings("any class", "repair", epochs=3, options=options)
    made = train_detector(images[:60], images[60:100], settings, Workplace(CPU))
    detector = made.module.eval()
    assert isinstance(detector, RepairDetector)
    attacked = images[100:].copy()
    attacked[:, 7, 3] = np.where(attacked[:, 7, 3] < 128, 255, 0)
    clean, changed = (
        score_images(detector, to_unit_range(some, CPU)) for some in (images[100:], attacked)
    )
    assert (changed > 0).all() and (clean > 0).double().mean() < 0.2
    validation = score_images(detector, to_unit_range(images[60:100], CPU))
    assert (validation > 0).sum() == 2


def test_what_lacks_validation_images_is_told() -> None:
    images = textured(12, (1, 16, 16))
    with pytest.raises(UsageError, match="validation images"):
        train_detector(images, images[:0], DetectorSettings("x", "repair"), Workplace(CPU))
    options = RepairBlindOptions(false_alarms=0.1)
    settings = DenoiserSettings("repair-blind", epochs=1, options=options)
    with pytest.raises(UsageError, match="validation images"):
        train_denoiser(settings, images, images[:0], Workplace(CPU))


def adaptive_median(plane: np.ndarray, largest: int) -> np.ndarray:
    """The filter as its authors state it, pixel by pixel."""
    out = plane.copy()
    for row, col in np.ndindex(plane.shape):
        for size in range(3, largest + 1, 2):
            padded = np.pad(plane, size // 2, "edge")
            window = padded[row : row + size, col : col + size]
            low, median, high = window.min(), np.median(window), window.max()
            if low < median < high:
                out[row, col] = plane[row, col] if low < plane[row, col] < high else median
                break
            out[row, col] = median
    return out


@pytest.mark.parametrize("largest", [3, 5, 7])
def test_the_adaptive_median_is_that_of_a_loop(largest: int) -> None:
    random = np.random.default_rng(largest)
    images = textured(2, (3, 12, 15))
    struck = random.random(images.shape[:3]) < 0.3
    images[struck] = random.choice([0, 255], (struck.sum(), 1))
    out = restored_bytes(build_denoiser("adaptive-median", 3, largest=largest), images)
    for image, one in zip(images, out, strict=True):
        for channel in range(3):
            expected = adaptive_median(image[..., channel], largest)
            assert np.array_equal(one[..., channel], expected)
    with pytest.raises(ValueError, match="odd"):
        build_denoiser("adaptive-median", 1, largest=4)


def test_half_precision_stays_half() -> None:
    images = to_unit_range(textured(2, (1, 16, 16)), CPU).to(torch.bfloat16)
    for name in ("repair", "adaptive-median"):
        assert build_denoiser(name, 1)(images).dtype == torch.bfloat16
