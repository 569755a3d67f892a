"""Batches of one fixed shape.

Kernels may differ in the last bit between batch shapes, never between the rows of one: a fixed
shape keeps a row's result independent of how many others are computed with it.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


def fixed_shape(batch: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the rows of tensors (N, ...) in parts of exactly ``batch`` rows.

    The last part is filled up by repeating its last row: cut the joined results back to N.
    """
    count = len(tensors[0])
    for start in range(0, count, batch):
        if start + batch <= count:
            yield tuple(tensor[start : start + batch] for tensor in tensors)
        else:
            index = torch.arange(start, start + batch, device=tensors[0].device)
            index = index.clamp(max=count - 1)
            yield tuple(tensor[index] for tensor in tensors)
