"""Repair (ours): finds the few pixels that were changed, and replaces those alone.

A pixel is told from its neighbours by the rank-ordered absolute differences of Garnett et al.
(IEEE Transactions on Image Processing 14, 2005): the sum of the four smallest of eight. A changed
neighbour, or one beyond an edge, is not among the four. The sum is divided by what it is around
the pixel, so that texture does not count. That division, and the gap, are ours.
"""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pixguard.defences.denoisers.layers import select

MOST = 4
GAP = 1.5
RANKS = (0, 1, 2, 3)
"""Of the eight differences, those that are summed."""
NOISE = 3 / 255
"""Difference of two neighbours in one channel that is nothing: it bounds what is divided by."""


def neighbours(images: Tensor) -> list[Tensor]:
    """Return the eight neighbours of every pixel, each (N, C, H, W) for images (N, C, H, W).

    Beyond the border the image is mirrored at its outermost pixels: with those repeated a pixel
    of the border would be its own neighbour.
    """
    height, width = images.shape[-2:]
    padded = pad(images, (1, 1, 1, 1), mode="reflect")
    places = (place for place in product(range(3), range(3)) if place != (1, 1))
    return [padded[..., i : i + height, j : j + width] for i, j in places]


def isolation(images: Tensor, around: list[Tensor]) -> Tensor:
    """Return how far every pixel is from its neighbours, measured by how far these are from theirs.

    Args:
        images: float (N, C, H, W) in [0, 1].
        around: their :func:`neighbours`.

    Returns:
        (N, 1, H, W), 0 or more.
    """
    differences = [(one - images).abs().sum(dim=1, keepdim=True) for one in around]
    sums = torch.stack(select(differences, RANKS)).sum(dim=0)
    usual = torch.stack(neighbours(sums)).mean(dim=0)
    return sums / (usual + len(RANKS) * NOISE * images.shape[1])


class Repair(nn.Module):
    """Replaces the pixels that stand out most; every other one keeps its exact value.

    At most ``most`` pixels are replaced, of these only what scores more than ``gap`` times as much
    as the next pixel of the image: where few pixels were changed, that one is untouched, and tells
    what its image has of itself.

    Args:
        channels: of the images.
        most: how many are replaced at most, 1 or more.
        gap: 1 replaces as many in every image, but for ties.
        threshold: what scores no more is never replaced.

    Raises:
        ValueError: ``most`` or ``gap`` is less than 1.
    """

    def __init__(
        self, channels: int, most: int = MOST, gap: float = GAP, threshold: float = 0.0
    ) -> None:
        super().__init__()
        if most < 1 or gap < 1:
            raise ValueError(f"at least one pixel, and a gap of at least 1: {most}, {gap}")
        self.most = most
        self.gap = gap
        self.threshold = threshold

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much every pixel stands out (N, 1, H, W), and what it should be (N, C, H, W).

        That is the median of its neighbours, each channel apart.
        """
        around = neighbours(images)
        low, high = select(around, (3, 4))
        return isolation(images, around), (low + high) / 2

    def highest(self, images: Tensor) -> Tensor:
        """Return the highest score of each image, float64 (N,), for images (N, C, H, W)."""
        return self.look(images)[0].double().amax(dim=(1, 2, 3))

    def found(self, scores: Tensor) -> Tensor:
        """Return what is to be replaced, bool (N, 1, H, W), for scores (N, 1, H, W)."""
        flat = scores.flatten(1)
        highest = flat.topk(min(self.most + 1, flat.shape[1]), dim=1).values
        least = (self.gap * highest[:, -1:]).clamp(min=self.threshold)
        return (flat > least).view_as(scores)

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [0, 1] for images (N, C, H, W) in [0, 1]."""
        scores, better = self.look(images)
        return torch.where(self.found(scores), better.clamp(0, 1), images)
