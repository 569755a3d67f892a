"""What a pixel reaches of each layer of a chain: a rectangle, beside the clean image."""

import itertools
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from pixguard.inference.chain import Chain, Cleaned, Layer


@dataclass(slots=True)
class Reach:
    """The rectangle of a layer that a pixel reaches.

    Attributes:
        layer: which.
        pads: by how much a full convolution is padded, or cropped, to the rectangle before maxima:
            to the left and right, above and below.
        clean: (h, w, C) before the rectifier.
        after: (h', w', C) after it and maxima.
        inside: where the rectangle is in the layer's maps at its end.
        shares: of a pixel's colours, that for which each pair's second value is the larger, and
            last, that which the rectifier lets through; each shaped as ``after``.
    """

    layer: Layer
    pads: tuple[int, ...]
    clean: Tensor
    after: Tensor
    inside: tuple[slice, slice]
    shares: list[Tensor] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The tournament that leads from taps to their maximum: see :func:`tournament`."""
        return tournament(self.layer.pool**2)

    def convolved(self, maps: Tensor, weight: Tensor) -> Tensor:
        """Return what changes (N, h, w, C) of the input change before the rectifier."""
        height, width = weight.shape[2:]
        found = F.conv2d(maps.permute(0, 3, 1, 2), weight, padding=(height - 1, width - 1))
        return _fitted(found.permute(0, 2, 3, 1), self.pads)

    def transposed(self, maps: Tensor) -> Tensor:
        """Return the same backwards."""
        full = _fitted(maps, tuple(-pad for pad in self.pads))
        return F.conv2d(full.permute(0, 3, 1, 2), self.layer.turned).permute(0, 2, 3, 1)

    def taps(self, maps: Tensor) -> list[Tensor]:
        """Return the values (..., h', w', C) that maxima over (..., h, w, C) are taken of."""
        side = self.layer.pool
        both = itertools.product(range(side), repeat=2)
        return [maps[..., row::side, col::side, :] for row, col in both]


def _fitted(maps: Tensor, pads: tuple[int, ...]) -> Tensor:
    """Return maps (N, h, w, C), padded and cropped."""
    if max(pads) > 0:
        maps = F.pad(maps, (0, 0, *(max(pad, 0) for pad in pads)))
    left, right, above, below = (max(-pad, 0) for pad in pads)
    height, width = maps.shape[1:3]
    return maps[:, above : height - below, left : width - right].contiguous()


def tournament(taps: int) -> list[tuple[int, int]]:
    """Return pairs of numbers of values: the taps come first, then what becomes of each pair.

    A tournament has fewer errors than one maximum after the other: each value is in few matches.
    """
    left, count, pairs = list(range(taps)), taps, []
    while len(left) > 1:
        matches = list(zip(left[::2], left[1::2], strict=False))
        pairs += matches
        left = [*range(count, count + len(matches)), *left[len(left) // 2 * 2 :]]
        count += len(matches)
    return pairs


def reached(chain: Chain, cleaned: Cleaned, place: tuple[int, int]) -> list[Reach]:
    """Return what a pixel at (row, column) reaches of each layer."""
    inside, found = [slice(p, p + 1) for p in place], []
    for layer, clean in zip(chain.layers, cleaned.layers, strict=True):
        pads, own = list[int](), []
        for axis in (1, 0):
            start = inside[axis].start + layer.padding[axis] - (layer.weight.shape[2 + axis] - 1)
            end = inside[axis].stop + layer.padding[axis]
            before, size = clean.before.shape[axis], clean.after.shape[axis]
            # Where maxima leave out all that is reached, any place will do.
            low = min(max(start, 0) // layer.pool, size - 1)
            high = max(low + 1, min((min(end, before) - 1) // layer.pool + 1, size))
            inside[axis] = slice(low, high)
            own.append(slice(low * layer.pool, high * layer.pool))
            pads += [start - own[-1].start, own[-1].stop - end]
        rows, cols = inside
        maps = clean.before[own[1], own[0]].contiguous(), clean.after[rows, cols].contiguous()
        found.append(Reach(layer, tuple(pads), *maps, (rows, cols)))
    return found
