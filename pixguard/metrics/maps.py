"""What metrics that compare gradients share: luma, gradients, and where two maps are alike."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""


def luma(images: Tensor) -> Tensor:
    """Return the luma (N, 1, H, W) of images (N, 1 or 3, H, W); grayscale is its own."""
    if images.shape[1] == 1:
        return images
    return (images.movedim(1, -1) @ images.new_tensor(LUMA)).unsqueeze(1)


def gradient_magnitude(planes: Tensor, smoothing: tuple[float, float, float]) -> Tensor:
    """Return the Euclidean length of the gradient of planes (N, 1, H, W), zero beyond the border.

    Args:
        planes: any values.
        smoothing: weights across the direction of the difference [-1, 0, 1].
    """
    across = torch.outer(planes.new_tensor(smoothing), planes.new_tensor((-1, 0, 1)))
    kernels = torch.stack([across, across.T])[:, None]
    return conv2d(planes, kernels, padding=1).square().sum(1, keepdim=True).sqrt()


def similarity(first: Tensor, second: Tensor, constant: float) -> Tensor:
    """Return where two maps are alike: 1 where they are equal, and less the further apart."""
    return (2 * first * second + constant) / (first.square() + second.square() + constant)
