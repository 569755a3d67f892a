"""Structural similarity (Wang et al. 2004; paper, section 4.1.2, metric 2)."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.metric import Metric
from pixguard.metrics.registry import METRICS

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,), at most 1: the mean over windows and channels.

    Gaussian windows of 11 x 11, sigma 1.5, that lie wholly inside the image; population
    covariance; images are not reduced first, whatever their size.

    Args:
        restored: float32 (N, C, H, W) in [0, 1], sides of at least 11.
        clean: likewise.

    Raises:
        ValueError: shapes differ or sides are too short, or values are outside [0, 1].
    """
    first, second = checked(restored, clean, METRICS["ssim"].least_side)
    planes = torch.stack([first, second, first.square(), second.square(), first * second])
    mean_1, mean_2, square_1, square_2, product = _windowed(planes)
    variances = square_1 - mean_1.square() + square_2 - mean_2.square()
    covariance = product - mean_1 * mean_2
    c1, c2 = (K1 * DATA_RANGE) ** 2, (K2 * DATA_RANGE) ** 2
    means = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    similarity: Tensor = means * (2 * covariance + c2) / (variances + c2)
    return similarity.mean((1, 2, 3))


def _windowed(planes: Tensor) -> Tensor:
    """Return the weighted means of windows of planes (..., H, W); the Gaussian is separable."""
    places = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    weights = torch.exp(-places.square() / (2 * SIGMA**2))
    weights = weights / weights.sum()
    rows = conv2d(planes.reshape(-1, 1, *planes.shape[-2:]), weights.view(1, 1, -1, 1))
    means = conv2d(rows, weights.view(1, 1, 1, -1))
    return means.reshape(planes.shape[:-2] + means.shape[-2:])


METRIC = Metric(
    ssim,
    {
        "data_range": DATA_RANGE,
        "window": WINDOW,
        "sigma": SIGMA,
        "k1": K1,
        "k2": K2,
        "covariance": "population",
        "border": "valid",
    },
)
