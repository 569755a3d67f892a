"""Pixels into images: the same at every place that builds a candidate."""

import torch
from torch import Tensor


def with_pixels(images: Tensor, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
    """Return copies of images with pixels changed.

    Args:
        images: float32 or float64 (S, C, H, W) in [0, 1].
        owners: int64 (N,), which image each copy is of.
        positions: int64 (N, k, 2), (row, col); where two coincide, the later one holds.
        colours: uint8 (N, k, C). With k of 0, uint8 (N, H W, C) are all pixels, row by row: a whole
            image.

    Returns:
        float32 (N, C, H, W).
    """
    changed = images[owners]
    values = colours.float().div(255.0).to(images.dtype)
    if not positions.shape[1] and colours.shape[1]:
        return values.transpose(1, 2).reshape(changed.shape)
    copies = torch.arange(len(owners), device=images.device)
    for pixel in range(positions.shape[1]):  # in order: one scatter would race where two coincide
        changed[copies, :, positions[:, pixel, 0], positions[:, pixel, 1]] = values[:, pixel]
    return changed
