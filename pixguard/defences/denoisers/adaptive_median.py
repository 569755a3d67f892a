"""The adaptive median filter for impulses: extremes alone are replaced, by windows that grow.

Hwang and Haddad, IEEE Transactions on Image Processing 4, 1995.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from pixguard.defences.denoisers.layers import median_filter

LARGEST = 7
"""Side of the largest window (inferred)."""


class AdaptiveMedian(nn.Module):
    """Switching median filter of each channel apart (inferred); borders are repeated.

    Where the median of a window lies strictly between its extremes, a pixel that does too keeps
    its exact value, and one that does not takes the median. Elsewhere the window grows by two; the
    largest gives its median to a pixel for which none did (inferred).

    Args:
        channels: of the images.
        largest: side of the largest window, odd and at least 3.

    Raises:
        ValueError: ``largest`` is even or too small.
    """

    def __init__(self, channels: int, largest: int = LARGEST) -> None:
        super().__init__()
        if largest < 3 or largest % 2 == 0:
            raise ValueError(f"the side of a window must be odd and at least 3, not {largest}")
        self.largest = largest

    def forward(self, images: Tensor) -> Tensor:
        """Return the filtered images (N, C, H, W)."""
        restored = median_filter(images, self.largest)
        for size in range(self.largest, 1, -2):  # the smallest window that serves has the last word
            median = median_filter(images, size)
            padded = pad(images, (size // 2,) * 4, mode="replicate")
            low, high = -max_pool2d(-padded, size, stride=1), max_pool2d(padded, size, stride=1)
            serves = (low < median) & (median < high)
            kept = torch.where((low < images) & (images < high), images, median)
            restored = torch.where(serves, kept, restored)
        return restored
