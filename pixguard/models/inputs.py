"""From bytes to the classifier's input."""

import numpy as np
import torch
from torch import Tensor

from pixguard.datasets.base import Images


def to_unit_range(images: Images, device: torch.device) -> Tensor:
    """Return float32 (N, C, H, W) in [0, 1] on a device for uint8 images (N, H, W, C).

    The bytes are moved and converted there: a quarter of the traffic.
    """
    return unit_range(torch.from_numpy(np.ascontiguousarray(images)).to(device))


def unit_range(images: Tensor) -> Tensor:
    """Return float32 (N, C, H, W) in [0, 1] for uint8 (N, H, W, C), on the same device."""
    return plain_layout(images.permute(0, 3, 1, 2).float().div(255.0))


def plain_layout(images: Tensor) -> Tensor:
    """Return a copy of images (N, C, H, W) whose strides are those of a fresh tensor.

    A tensor of one channel counts as contiguous in either layout; kernels are chosen by the
    strides, and differ in the last bits.
    """
    return images.clone(memory_format=torch.contiguous_format)
