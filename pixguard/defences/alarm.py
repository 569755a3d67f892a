"""The threshold of an alarm, from what clean images score."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pixguard.classifiers.evaluation import plain_float32
from pixguard.datasets.base import Images
from pixguard.models.inputs import to_unit_range


def alarm_threshold(
    highest: Callable[[Tensor], Tensor], images: Images, false_alarms: float, device: torch.device
) -> float:
    """Return the lowest threshold that at most a share of clean images exceed.

    Args:
        highest: maps images (N, C, H, W) in [0, 1] to scores float64 (N,).
        images: uint8 (N, H, W, C), N at least 1.
        false_alarms: in [0, 1); less than one of N images is none of them.
        device: where they are scored, each alone.
    """
    with torch.inference_mode(), plain_float32(device):
        scores = [highest(to_unit_range(image[None], device)).item() for image in images]
    return sorted(scores, reverse=True)[math.floor(false_alarms * len(scores) + 1e-9)]
