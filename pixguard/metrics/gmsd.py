"""Gradient magnitude similarity deviation (Xue et al. 2014; paper, section 4.1.2, metric 4)."""

from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.maps import gradient_magnitude, luma, similarity
from pixguard.metrics.metric import Metric
from pixguard.metrics.registry import METRICS

CONSTANT = 170 / 255**2
"""The published 170, stated for [0, 255], at data range 1."""

PREWITT = (1 / 3, 1 / 3, 1 / 3)


def gmsd(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,): 0 for equal images, larger for worse ones.

    Taken on luma (0.299 R + 0.587 G + 0.114 B) after 2 x 2 averaging, with Prewitt gradients; an
    odd side is made even with zeros.

    Args:
        restored: float32 (N, C, H, W) in [0, 1], sides of at least 2.
        clean: likewise.

    Raises:
        ValueError: shapes differ or sides are too short, or values are outside [0, 1].
    """
    first, second = checked(restored, clean, METRICS["gmsd"].least_side)
    steep, steeper = (gradient_magnitude(_halved(luma(i)), PREWITT) for i in (first, second))
    return similarity(steep, steeper, CONSTANT).std((1, 2, 3), correction=0)


def _halved(planes: Tensor) -> Tensor:
    height, width = planes.shape[-2:]
    return avg_pool2d(pad(planes, (0, width % 2, 0, height % 2)), 2)


METRIC = Metric(gmsd, {"data_range": DATA_RANGE, "constant": CONSTANT, "colour": "luma"})
