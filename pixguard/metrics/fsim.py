"""Feature similarity (Zhang et al. 2011; paper, section 4.1.2, metric 5)."""

import piq
import torch
from torch import Tensor

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.metric import Metric

SCALES = 4
ORIENTATIONS = 4
LEAST_WAVELENGTH = 6
LEAST_SIDE = 8

BLOCK = 16
"""Images at a time: the filter responses of one take some 25 MB at 224 x 224."""


def fsim(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,) in [0, 1]: 1 for equal images.

    FSIM on luma, the same for grayscale and colour (not FSIMc), with the published constants.
    Sides of 384 and more are averaged down towards 256, as published. Below 48, the largest of
    the four wavelengths (6, 12, 24, 48 pixels) is longer than the image; its filter then sees
    what the lowest frequencies hold, so values of small images are defined, but do not compare
    with those of large ones.

    Args:
        restored: float32 (N, C, H, W) in [0, 1], sides of at least 8.
        clean: likewise.

    Raises:
        ValueError: shapes differ or sides are too short, or values are outside [0, 1].
    """
    first, second = checked(restored, clean, LEAST_SIDE)
    blocks = zip(torch.split(first, BLOCK), torch.split(second, BLOCK), strict=True)
    return torch.cat([_similarity(*block) for block in blocks])


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    similarity: Tensor = piq.fsim(
        first,
        second,
        reduction="none",
        data_range=DATA_RANGE,
        chromatic=False,
        scales=SCALES,
        orientations=ORIENTATIONS,
        min_length=LEAST_WAVELENGTH,
    )
    return similarity


METRIC = Metric(
    fsim,
    {
        "data_range": DATA_RANGE,
        "scales": SCALES,
        "orientations": ORIENTATIONS,
        "least_wavelength": LEAST_WAVELENGTH,
        "colour": "luma",
    },
    least_side=LEAST_SIDE,
)
