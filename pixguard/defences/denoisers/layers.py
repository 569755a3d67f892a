"""Layers that several denoisers share: the median layer, and padding to what pooling needs."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

Comparator = tuple[int, int, bool, bool]
"""Wires (low, high), and whether the smaller and the larger value are needed afterwards."""


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Return images (N, C, H, W) whose bottom rows and right columns are repeated to a multiple."""
    height, width = images.shape[-2:]
    below, right = -height % multiple, -width % multiple
    return pad(images, (0, right, 0, below), mode="replicate") if below or right else images


@lru_cache
def selection_network(wires: int, ranks: tuple[int, ...]) -> tuple[Comparator, ...]:
    """Return comparators after which wire r holds the r-th smallest value, for every r in ranks.

    Batcher's odd-even merge sort (1968) for any number of wires, less the halves of comparators
    that no wanted rank depends on.
    """
    comparators = []
    span = 1
    while span < wires:
        step = span
        while step:
            for start in range(step % span, wires - step, 2 * step):
                for low in range(start, min(start + step, wires - step)):
                    if low // (2 * span) == (low + step) // (2 * span):
                        comparators.append((low, low + step))
            step //= 2
        span *= 2
    wanted, kept = set(ranks), []
    for low, high in reversed(comparators):
        if low in wanted or high in wanted:
            kept.append((low, high, low in wanted, high in wanted))
            wanted |= {low, high}
    return tuple(reversed(kept))


def select(planes: list[Tensor], ranks: tuple[int, ...]) -> list[Tensor]:
    """Return, elementwise over planes of equal shape, the values of the given ranks."""
    wires = list(planes)
    for low, high, smaller, larger in selection_network(len(planes), ranks):
        first, second = wires[low], wires[high]
        if smaller:
            wires[low] = torch.minimum(first, second)
        if larger:
            wires[high] = torch.maximum(first, second)
    return [wires[rank] for rank in ranks]


def _window_medians(padded: Tensor, size: int) -> Tensor:
    """Return the median of every size x size window of (..., H, W), without padding.

    Columns are sorted once for all windows that share them, then each row of a window's sorted
    columns. In a matrix sorted both ways, entry (i, j) has (i + 1)(j + 1) - 1 entries that are no
    larger and (size - i)(size - j) - 1 that are no smaller; those that cannot be the median fall
    out in equal numbers at both ends, and the median of the others is the median of all.
    """
    height, width = (side - size + 1 for side in padded.shape[-2:])
    middle = size * size // 2
    rows = select(
        [padded[..., i : i + height, :] for i in range(size)],
        tuple(range(size)),
    )
    candidates = []
    for i, row in enumerate(rows):
        ranks = tuple(
            j
            for j in range(size)
            if (i + 1) * (j + 1) <= middle + 1 and (size - i) * (size - j) <= middle + 1
        )
        candidates += select([row[..., j : j + width] for j in range(size)], ranks)
    return select(candidates, (len(candidates) // 2,))[0]


def _blocks(planes: Tensor) -> int:
    """Return how many planes (H, W) to work on at once.

    Two hundred passes over few planes stay in a CPU's cache (eight times faster, measured on 64
    features of 224 x 224); an accelerator needs many to be busy, and this bounds its memory.
    """
    elements = 2**16 if planes.device.type == "cpu" else 2**24
    return max(1, elements // planes[0].numel())


class _WindowMedian(torch.autograd.Function):
    """Window medians of planes (P, H, W); the gradient goes to one pixel that holds the median.

    Autograd through the comparators would keep some two hundred planes; this keeps two.
    """

    @staticmethod
    def forward(ctx: Any, padded: Tensor, size: int) -> Tensor:
        blocks = torch.split(padded, _blocks(padded))
        medians = torch.cat([_window_medians(block, size) for block in blocks])
        ctx.save_for_backward(padded, medians)
        ctx.size = size
        return medians

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        padded, medians = ctx.saved_tensors
        count = _blocks(padded)
        blocks = zip(
            torch.split(padded, count),
            torch.split(medians, count),
            torch.split(gradient, count),
            strict=True,
        )
        return torch.cat([_share_out(*block, size=ctx.size) for block in blocks]), None


def _share_out(padded: Tensor, medians: Tensor, gradient: Tensor, size: int) -> Tensor:
    """Return the gradient of padded planes: each window's, at the first pixel of its median."""
    height, width = medians.shape[-2:]
    left = gradient.clone()
    result = torch.zeros_like(padded)
    share = torch.empty_like(left)  # written in place: 2.5 times as fast as torch.where
    for i in range(size):
        for j in range(size):
            window = (..., slice(i, i + height), slice(j, j + width))
            torch.eq(padded[window], medians, out=share)
            share *= left
            result[window] += share
            left -= share
    return result


def median_filter(images: Tensor, size: int) -> Tensor:
    """Return the median of every pixel's size x size window, for each channel apart.

    Args:
        images: float (N, C, H, W).
        size: odd side of the window; beyond the border the nearest pixel is repeated (scipy's
            ``mode="nearest"``).

    Returns:
        (N, C, H, W) of the same dtype. Differentiable once.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"the side of a median window must be odd and positive, not {size}")
    # A CPU compares float32 up to twice as fast as bfloat16; the medians are the same values.
    work = images.float() if images.dtype is torch.bfloat16 and images.is_cpu else images
    padded = pad(work, (size // 2,) * 4, mode="replicate")
    medians: Tensor = _WindowMedian.apply(padded.flatten(0, 1), size)
    return medians.view_as(images).to(images.dtype)


class MedianLayer(nn.Module):
    """Median filtering of every feature channel apart (Liang et al. 2021)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return the filtered (N, C, H, W)."""
        return median_filter(images, self.size)
