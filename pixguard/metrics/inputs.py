"""What every metric asks of its two batches of images."""

import torch
from torch import Tensor

DATA_RANGE = 1.0
"""Images span [0, 1]; every metric states this range and none is taken on any other."""


def checked(restored: Tensor, clean: Tensor, least_side: int = 1) -> tuple[Tensor, Tensor]:
    """Return both batches as float64, in which no metric loses a digit that a table shows.

    Args:
        restored: float (N, C, H, W) in [0, 1], C = 1 or 3.
        clean: likewise, of the same shape.
        least_side: the fewest rows and columns that the metric is defined for.

    Raises:
        ValueError: shapes differ or are unfit, or values are outside [0, 1] or not finite.
    """
    if restored.shape != clean.shape:
        raise ValueError(
            f"images of unequal shapes: {tuple(restored.shape)} and {tuple(clean.shape)}"
        )
    if restored.ndim != 4 or restored.shape[1] not in (1, 3):
        raise ValueError(f"images must be (N, 1 or 3, H, W), not {tuple(restored.shape)}")
    if min(restored.shape[-2:]) < least_side:
        raise ValueError(
            f"images must have at least {least_side} rows and columns, "
            f"not {restored.shape[-2]} x {restored.shape[-1]}"
        )
    for name, images in (("restored", restored), ("clean", clean)):
        # Asked this way round, NaN is refused too.
        if not torch.all((images >= 0) & (images <= DATA_RANGE)):
            raise ValueError(f"{name} images have values outside [0, 1] or not finite; clip first")
    return restored.double(), clean.double()
