import math
from pathlib import Path

import numpy as np
import piq
import pytest
import scipy.ndimage
import skimage.metrics
import torch
from numpy.typing import NDArray

from pixguard.metrics import METRICS
from pixguard.metrics.gmsd import CONSTANT

Plane = NDArray[np.float64]
LUMA = np.array([0.299, 0.587, 0.114])


def pair(*shape: int, noise: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    """Return distorted and clean images (N, C, H, W), smooth as images are."""
    draw = np.random.default_rng(0)
    sigma = (0,) * (len(shape) - 2) + (1.5, 1.5)
    smooth = scipy.ndimage.gaussian_filter(draw.random(shape), sigma)
    clean = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    restored = (clean + noise * draw.standard_normal(shape)).clip(0, 1)
    return torch.from_numpy(restored).float(), torch.from_numpy(clean).float()


def values(name: str, restored: torch.Tensor, clean: torch.Tensor) -> list[float]:
    taken = METRICS.load(name).function(restored, clean)
    assert taken.dtype == torch.float64 and taken.shape == (len(clean),)
    return [float(value) for value in taken]


def luma(image: torch.Tensor) -> Plane:
    plane = image.double().numpy()
    return np.asarray(plane[0] if len(plane) == 1 else np.tensordot(LUMA, plane, 1))


def gmsd_by_definition(restored: torch.Tensor, clean: torch.Tensor) -> float:
    prewitt = np.outer([1, 1, 1], [1, 0, -1]) / 3
    magnitudes = []
    for plane in (luma(restored), luma(clean)):
        height, width = (side // 2 for side in plane.shape)
        halved = plane.reshape(height, 2, width, 2).mean(axis=(1, 3))
        gradients = [
            scipy.ndimage.convolve(halved, kernel, mode="constant")
            for kernel in (prewitt, prewitt.T)
        ]
        magnitudes.append(np.hypot(*gradients))
    first, second = magnitudes
    similarity = (2 * first * second + CONSTANT) / (first**2 + second**2 + CONSTANT)
    return float(similarity.std())


def phase_congruency(plane: Plane) -> Plane:
    """Kovesi's measure over log-Gabor filters, with the constants of the FSIM paper."""
    frequency_y = np.fft.fftfreq(plane.shape[0])[:, None]
    frequency_x = np.fft.fftfreq(plane.shape[1])[None, :]
    radius, theta = np.hypot(frequency_x, frequency_y), np.arctan2(-frequency_y, frequency_x)
    radius[0, 0] = 1
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    spectrum = np.fft.fft2(plane)
    energies, amplitudes = np.zeros_like(plane), np.zeros_like(plane)
    for angle in np.arange(4) * np.pi / 4:
        distance = np.abs(np.angle(np.exp(1j * (theta - angle))))
        spread = np.exp(-(distance**2) / (2 * (np.pi / (4 * 1.2)) ** 2))
        filters = []
        for wavelength in (6, 12, 24, 48):
            radial = np.exp(-(np.log(radius * wavelength) ** 2) / (2 * np.log(0.55) ** 2))
            radial[0, 0] = 0
            filters.append(radial * low_pass * spread)
        responses = [np.fft.ifft2(spectrum * each) for each in filters]
        total = sum(responses)
        direction = total / (np.abs(total) + 1e-12)
        turned = [each * direction.conj() for each in responses]
        energy = sum(each.real - np.abs(each.imag) for each in turned)
        # The noise that the finest filter sees tells how much energy noise alone would give.
        power = np.median(np.abs(responses[0]) ** 2) / math.log(2) / (filters[0] ** 2).sum()
        kernels = [np.fft.ifft2(each).real * math.sqrt(plane.size) for each in filters]
        own = sum((each**2).sum() for each in kernels)
        crossed = sum((kernels[i] * kernels[j]).sum() for i in range(4) for j in range(i + 1, 4))
        tau = math.sqrt((2 * power * own + 4 * power * crossed) / 2)
        threshold = (tau * math.sqrt(math.pi / 2) + 2 * tau * math.sqrt(2 - math.pi / 2)) / 1.7
        energies += np.maximum(energy - threshold, 0)
        amplitudes += sum(np.abs(each) for each in responses)
    return np.asarray(energies / amplitudes)


def fsim_by_definition(restored: torch.Tensor, clean: torch.Tensor) -> float:
    scharr = np.outer([3, 10, 3], [1, 0, -1]) / 16
    planes = [255 * luma(restored), 255 * luma(clean)]
    first, second = (phase_congruency(plane) for plane in planes)
    steep, steeper = (
        np.hypot(*(scipy.ndimage.convolve(p, k, mode="constant") for k in (scharr, scharr.T)))
        for p in planes
    )
    phase = (2 * first * second + 0.85) / (first**2 + second**2 + 0.85)
    gradient = (2 * steep * steeper + 160) / (steep**2 + steeper**2 + 160)
    weight = np.maximum(first, second)
    return float((phase * gradient * weight).sum() / weight.sum())


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 48, 64)])
def test_psnr_mse_and_ssim_are_those_of_scikit_image(shape: tuple[int, ...]) -> None:
    restored, clean = pair(*shape)
    psnr, mse, ssim = (values(name, restored, clean) for name in ("psnr", "mse", "ssim"))
    for i in range(2):
        first, second = restored[i].double().numpy(), clean[i].double().numpy()
        assert mse[i] == pytest.approx(skimage.metrics.mean_squared_error(second, first))
        assert psnr[i] == pytest.approx(
            skimage.metrics.peak_signal_noise_ratio(second, first, data_range=1)
        )
        expected = skimage.metrics.structural_similarity(
            first,
            second,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=0,
        )
        assert ssim[i] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 48, 64)])
def test_gmsd_and_fsim_follow_their_definitions(shape: tuple[int, ...]) -> None:
    restored, clean = pair(*shape)
    gmsd, fsim = (values(name, restored, clean) for name in ("gmsd", "fsim"))
    for i in range(2):
        assert gmsd[i] == pytest.approx(gmsd_by_definition(restored[i], clean[i]), abs=1e-9)
        # Medians of an even number of values are taken in two ways; nothing else differs.
        assert fsim[i] == pytest.approx(fsim_by_definition(restored[i], clean[i]), abs=1e-3)
        assert fsim[i] < 0.99


SHAPES = [
    (1, 8, 8),
    (3, 9, 13),
    (3, 28, 28),
    (1, 27, 45),
    (1, 64, 64),
    (3, 224, 224),
    (1, 385, 512),
]


def of_piq(name: str, restored: torch.Tensor, clean: torch.Tensor) -> list[float]:
    """What scores in databases were taken with once."""
    images = (restored.double(), clean.double())
    taken = {
        "ssim": lambda: piq.ssim(*images, downsample=False, reduction="none"),
        "gmsd": lambda: piq.gmsd(*images, t=CONSTANT, reduction="none"),
        "fsim": lambda: piq.fsim(*images, chromatic=False, reduction="none"),
    }[name]()
    return [float(value) for value in taken]


@pytest.mark.parametrize("name", ["ssim", "gmsd", "fsim"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stored_scores_keep_their_meaning(name: str, shape: tuple[int, ...]) -> None:
    """These metrics were piq's, which has had no release since 2023."""
    if min(shape[1:]) < METRICS[name].least_side:
        return
    shape = (1, *shape)
    noisy, smooth = pair(*shape)
    changed = smooth.clone()
    changed[..., 3, 3:5] = 1 - changed[..., 3, 3:5].round()
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    dark, bright = torch.full(shape, 0.25), torch.full(shape, 0.75)
    pairs = [(noisy, smooth), (changed, smooth), (noise, smooth)]
    # A flat image has no features: the rounding of its luma decides, in piq by the batch's size.
    if (name, shape[1]) != ("fsim", 3):
        pairs += [(dark, smooth), (dark, bright)]
    for restored, clean in pairs:
        expected = of_piq(name, restored, clean)
        assert values(name, restored, clean) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_scores_of_real_images_keep_their_meaning(real_data: Path) -> None:
    for file in ("pneumoniamnist.npz", "dermamnist.npz"):
        if not (real_data / file).exists():
            continue
        stored = np.load(real_data / file)["test_images"][:20]
        clean = torch.from_numpy(stored.reshape(*stored.shape[:3], -1)).movedim(-1, 1) / 255
        restored = clean.flip(-1) * 0.1 + clean * 0.9
        for name in ("ssim", "gmsd", "fsim"):
            expected = of_piq(name, restored, clean)
            assert values(name, restored, clean) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("pixels", "decibels"), [(1, 47.0), (2, 44.0)])
def test_full_swings_of_a_pixel_or_two_at_224(pixels: int, decibels: float) -> None:
    clean = torch.zeros(1, 3, 224, 224)
    attacked = clean.clone()
    attacked[0, :, 100, 100 : 100 + pixels] = 1
    assert values("psnr", attacked, clean)[0] == pytest.approx(decibels, abs=0.05)
    assert values("mse", attacked, clean)[0] == pytest.approx(pixels / 224**2)


def test_small_differences_are_not_capped() -> None:
    clean = torch.full((1, 1, 16, 16), 0.5)
    attacked = clean.clone()
    attacked[0, 0, 0, 0] += 1 / 256
    # 20 log10(256) + 10 log10(256); an epsilon of 1e-8 would stop it short of 80 dB.
    assert values("psnr", attacked, clean)[0] == pytest.approx(30 * math.log10(256))


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 27, 45)])
@pytest.mark.parametrize("flat", [False, True])
def test_identical_images_have_the_best_value(shape: tuple[int, ...], flat: bool) -> None:
    images = torch.full(shape, 0.25) if flat else pair(*shape)[1]
    best = {"psnr": math.inf, "ssim": 1.0, "mse": 0.0, "gmsd": 0.0, "fsim": 1.0}
    for name, value in best.items():
        assert values(name, images, images) == pytest.approx([value, value])


@pytest.mark.parametrize("name", METRICS.names)
def test_values_worsen_with_noise_and_are_symmetric(name: str) -> None:
    slight, strong = pair(3, 1, 40, 33, noise=0.02), pair(3, 1, 40, 33, noise=0.1)
    better, worse = values(name, *slight), values(name, *strong)
    for first, second in zip(better, worse, strict=True):
        assert (first > second) is METRICS[name].higher_is_better
    assert values(name, *reversed(slight)) == pytest.approx(better, rel=1e-9)


@pytest.mark.parametrize("name", METRICS.names)
def test_a_value_does_not_depend_on_the_images_beside_it(name: str) -> None:
    restored, clean = pair(19, 1, 28, 28)
    alone = [values(name, restored[i : i + 1], clean[i : i + 1])[0] for i in range(19)]
    assert values(name, restored, clean) == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("name", METRICS.names)
def test_grayscale_and_the_same_gray_as_colour_agree(name: str) -> None:
    restored, clean = pair(2, 1, 28, 28)
    as_colour = values(name, restored.expand(2, 3, 28, 28), clean.expand(2, 3, 28, 28))
    assert as_colour == pytest.approx(values(name, restored, clean), abs=1e-9)


def test_no_correct_fsim_is_low_at_the_papers_psnr(real_data: Path) -> None:
    # Table 4 prints 0.40 beside 37.48 dB: at that distance features are all but equal.
    stored = np.load(real_data / "pneumoniamnist.npz")["test_images"][:20, None]
    clean = torch.from_numpy(stored).float() / 255
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    restored = (clean + 10 ** (-37.48 / 20) * noise).clamp(0, 1)
    assert np.mean(values("psnr", restored, clean)) == pytest.approx(37.48, abs=0.5)
    assert min(values("fsim", restored, clean)) > 0.9
