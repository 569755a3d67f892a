"""Gradient magnitude similarity deviation (Xue et al. 2014; paper, section 4.1.2, metric 4)."""

import piq
from torch import Tensor

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.metric import Metric

CONSTANT = 170 / 255**2
"""The published 170, stated for [0, 255], at data range 1."""

LEAST_SIDE = 2


def gmsd(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,): 0 for equal images, larger for worse ones.

    Taken on luma (0.299 R + 0.587 G + 0.114 B) after 2 x 2 averaging, with Prewitt gradients.

    Args:
        restored: float32 (N, C, H, W) in [0, 1], sides of at least 2.
        clean: likewise.

    Raises:
        ValueError: shapes differ or sides are too short, or values are outside [0, 1].
    """
    first, second = checked(restored, clean, LEAST_SIDE)
    deviation: Tensor = piq.gmsd(first, second, reduction="none", data_range=DATA_RANGE, t=CONSTANT)
    return deviation


METRIC = Metric(
    gmsd, {"data_range": DATA_RANGE, "constant": CONSTANT, "colour": "luma"}, least_side=LEAST_SIDE
)
