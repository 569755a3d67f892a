"""Robust principal component analysis: what of an image is of low rank (Husnoo and Anwar 2021).

Each channel is split into a matrix of low rank and a sparse one, which takes the changed pixels:
minimise mu (||L||_* + lambda ||S||_1) + ||X - L - S||_F^2 / 2 by the accelerated proximal gradient
with continuation (Lin et al. 2009, algorithm 2). The textbook's lambda is 1 / sqrt(longer side)
(Candès et al. 2011); an image is only roughly of low rank, and loses its texture to it.
"""

import math

import torch
from torch import Tensor, nn

WEIGHT = 4.0
STEPS = 120
SHRINK, LEAST = 0.9, 1e-5
"""mu begins at 0.99 of the largest singular value, and falls by the first in every step, at last
to the second of where it began: after 110 steps."""
GRAM_FLOOR = 1e-12


def soft(values: Tensor, threshold: Tensor) -> Tensor:
    """Return values moved towards 0 by a threshold, those within it to 0."""
    return values.sign() * (values.abs() - threshold).clamp(min=0)


def soft_singular(matrices: Tensor, threshold: Tensor) -> Tensor:
    """Return matrices (..., H, W) whose singular values are moved towards 0 by a threshold (...).

    By the eigenvectors of the smaller of M M' and M' M, several times faster than a decomposition
    of M; float64 leaves half of its digits to singular values.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        return soft_singular(matrices.mT, threshold).mT
    squares, vectors = torch.linalg.eigh(matrices @ matrices.mT)
    values = squares.clamp(min=GRAM_FLOOR).sqrt()
    kept = (values - threshold[..., None]).clamp(min=0) / values
    moved: Tensor = (vectors * kept[..., None, :]) @ (vectors.mT @ matrices)
    return moved


def split(matrices: Tensor, weight: Tensor | float, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """Return the parts of low rank, and the sparse ones, of matrices float64 (N, H, W).

    Args:
        matrices: each is split by itself.
        weight: lambda.
        steps: of the descent.
    """
    low, sparse = torch.zeros_like(matrices), torch.zeros_like(matrices)
    low_before, sparse_before = low, sparse
    first = 0.99 * torch.linalg.matrix_norm(matrices, ord=2)
    mu, pace, pace_before = first, 1.0, 1.0
    for _ in range(steps):
        ahead = (pace_before - 1) / pace
        low_ahead = low + ahead * (low - low_before)
        sparse_ahead = sparse + ahead * (sparse - sparse_before)
        misfit = (low_ahead + sparse_ahead - matrices) / 2
        low_before, sparse_before = low, sparse
        low = soft_singular(low_ahead - misfit, mu / 2)
        sparse = soft(sparse_ahead - misfit, weight * mu[:, None, None] / 2)
        pace_before, pace = pace, (1 + math.sqrt(1 + 4 * pace**2)) / 2
        mu = torch.maximum(SHRINK * mu, LEAST * first)
    return low, sparse


class RobustPCA(nn.Module):
    """Keeps of every channel the part of low rank.

    White-box attacks are given the gradient of the identity, as through a rounding: that of the
    descent does not exist where singular values coincide.

    Args:
        channels: of the images.
        weight: lambda, in units of the textbook's: the smaller, the more is taken for changed. At
            1 restorations are worse than what they restore; 4 is *inferred*.

    Raises:
        ValueError: the weight is not positive.
    """

    def __init__(self, channels: int, weight: float = WEIGHT) -> None:
        super().__init__()
        if not weight > 0:
            raise ValueError(f"the weight of the sparse part must be positive, not {weight}")
        self.weight = weight

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W), not clipped, for images (N, C, H, W)."""
        with torch.no_grad():
            textbook = 1 / math.sqrt(max(images.shape[-2:]))
            low, _ = split(images.flatten(0, 1).double(), self.weight * textbook)
            change = low.view(images.shape).to(images.dtype) - images
        return images + change
