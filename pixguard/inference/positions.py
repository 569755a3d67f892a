"""Windows by position: near an edge, and where strides fall well, a pixel reaches less of a map.

One size of windows for all is that of the worst place. Here the places along each axis are sorted
into a few nested sets: windows for the first are small, those for the last are for all places. A
candidate is evaluated with the windows for the smallest sets that hold all its pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pixguard.inference.geometry import Windows


class Layer(NamedTuple):
    """What a layer costs: its multiply-adds on a whole map, and the windows along an axis."""

    multiply_adds: float
    windows: Windows


class Positions:
    """The sets of places, along both axes.

    Args:
        rows: of each layer, never given up for whole maps.
        cols: likewise.
        sets: how many along each axis, at most.
        pixels: how many pixels a candidate changes.
        whole_from: see :class:`pixguard.inference.form.Form`.
    """

    def __init__(
        self,
        rows: Sequence[Layer],
        cols: Sequence[Layer],
        sets: int,
        pixels: int,
        whole_from: float,
    ) -> None:
        self._axes = [_numbers(axis, sets, pixels, whole_from) for axis in (rows, cols)]
        self._pixels = pixels

    def parts(self) -> list[tuple[float, tuple[Tensor, Tensor]]]:
        """Return for each pair of sets the share of candidates, and what the sets hold.

        The share is that of uniform places. What a set holds is int64 (P,): of each place the
        nearest one in it. The last pair holds everything.
        """
        sides = [
            [
                (self._share(numbers, last), _nearest(numbers <= last))
                for last in range(int(numbers.max()) + 1)
            ]
            for numbers in self._axes
        ]
        return [
            (row_share * col_share, (rows, cols))
            for row_share, rows in sides[0]
            for col_share, cols in sides[1]
        ]

    def numbers(self, positions: Tensor) -> Tensor:
        """Return int64 (N,): to which of the parts candidates belong, of positions (N, k, 2)."""
        rows, cols = (
            numbers.to(positions.device)[positions[..., axis]].amax(1)
            for axis, numbers in enumerate(self._axes)
        )
        found: Tensor = rows * (self._axes[1].max().item() + 1) + cols
        return found

    def _share(self, numbers: Tensor, last: int) -> float:
        """Return how many candidates have that set as the smallest that holds their pixels."""
        within, less = ((numbers <= n).double().mean().item() for n in (last, last - 1))
        return within**self._pixels - less**self._pixels


def _numbers(layers: Sequence[Layer], sets: int, pixels: int, whole_from: float) -> Tensor:
    """Return int64 (P,), the number of the first set that holds each place.

    The places are put in the order of what their windows cost, and cut where the sum of what the
    candidates of all sets cost is the least.
    """
    sizes = torch.stack([one.windows.last - one.windows.first + 1 for one in layers], 1).double()
    extents = torch.tensor([one.windows.extent for one in layers])
    whole = torch.tensor([one.multiply_adds for one in layers], dtype=torch.float64)

    def costs(sizes: Tensor) -> Tensor:
        shares = pixels * (sizes / extents) ** 2
        return torch.where(shares < whole_from, shares, 1.0) @ whole

    kinds, kind_of, counts = torch.unique(sizes, dim=0, return_inverse=True, return_counts=True)
    order = costs(kinds).argsort(stable=True)
    up_to = costs(kinds[order].cummax(0).values)
    held = (counts[order].cumsum(0).double() / len(sizes)) ** pixels  # with all pixels in the set
    # How much it costs when a set ends at i and the one before it at j: the first has none before.
    between = up_to[:, None] * (held[:, None] - held)
    between = between.masked_fill(torch.ones_like(between).triu().bool(), torch.inf)
    least, befores = up_to * held, list[Tensor]()
    for _ in range(min(sets, len(kinds)) - 1):
        least, before = (between + least).min(1)
        befores.append(before)
    ends = [len(kinds) - 1]
    for before in reversed(befores):
        ends.append(int(before[ends[-1]]))
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))[kind_of]
    return torch.bucketize(place, torch.tensor(ends[::-1]))


def _nearest(held: Tensor) -> Tensor:
    """Return int64 (P,): of each place the nearest one that a set, bool (P,), holds."""
    places = held.nonzero().flatten()
    distances = (torch.arange(len(held))[:, None] - places).abs()
    return places[distances.argmin(1)]
