"""Patch selection over any denoiser (Chen et al. 2019): only what looks changed is restored."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

SUFFIX = "+patch-select"
"""Of the name of a denoiser with patch selection over it."""

WINDOW = 3
"""Side of a patch in pixels (inferred)."""

PERCENTILE = 99.9
"""Share of clean images' pixels that is to be kept, in percent (inferred)."""


def largest_changes(images: Tensor, restored: Tensor, window: int) -> Tensor:
    """Return the largest absolute difference in every pixel's window, over all channels.

    Args:
        images: float32 (N, C, H, W).
        restored: of the same shape.
        window: odd side in pixels; outside the image there is no difference.

    Returns:
        (N, 1, H, W).
    """
    change = (restored - images).abs().amax(dim=1, keepdim=True)
    return max_pool2d(change, window, stride=1, padding=window // 2)


class PatchSelect(nn.Module):
    """Takes the denoised value of a pixel where its window has changed much, else the input.

    Most of an image is left as it is, so that the denoiser blurs little. That one pixel beyond
    the threshold has its whole window restored is our reading of "patch".

    Args:
        denoiser: maps (N, C, H, W) in [0, 1] to the same shape.
        tau: the threshold, on differences of images in [0, 1].
        window: odd side of the patch in pixels.
    """

    def __init__(self, denoiser: nn.Module, tau: float, window: int = WINDOW) -> None:
        super().__init__()
        if window < 1 or window % 2 == 0:
            raise ValueError(f"the side of a patch must be odd and positive, not {window}")
        self.denoiser = denoiser
        self.tau = tau
        self.window = window

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [0, 1] for images (N, C, H, W) in [0, 1]."""
        restored = self.denoiser(images).clamp(0, 1)
        suspected = largest_changes(images, restored, self.window) > self.tau
        return torch.where(suspected, restored, images)


def threshold(changes: Tensor, percentile: float = PERCENTILE) -> float:
    """Return the tau that keeps ``percentile`` percent of clean pixels.

    Args:
        changes: :func:`largest_changes` of clean images, any shape.
        percentile: in [0, 100].
    """
    return float(np.percentile(changes.numpy(force=True), percentile))
