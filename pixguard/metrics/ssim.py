"""Structural similarity (Wang et al. 2004; paper, section 4.1.2, metric 2)."""

import piq
from torch import Tensor

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.metric import Metric

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
    first, second = checked(restored, clean, WINDOW)
    similarity: Tensor = piq.ssim(
        first,
        second,
        kernel_size=WINDOW,
        kernel_sigma=SIGMA,
        data_range=DATA_RANGE,
        reduction="none",
        downsample=False,
        k1=K1,
        k2=K2,
    )
    return similarity


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
    least_side=WINDOW,
)
