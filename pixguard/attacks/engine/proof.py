"""One image under proof: which colours of which pixels are still to be looked at.

Boxes of colours are bounded and, where the bound does not clear them, halved; small ones are
evaluated value by value. How large the first ones are is measured on a few: where bounds clear
too little to pay, everything is evaluated.
"""

import itertools
from typing import Protocol

import torch
from torch import Tensor

from pixguard.attacks.engine.sampling import corner_colours
from pixguard.inference.decision import Bound

LEVELS = 256
WIDTHS = (256, 128, 64, 32, 16, 8)
"""Sides of the boxes that are tried."""
TRIED = 28
"""Boxes of each that are bounded to choose one."""
COST = 8
"""What a bound costs in evaluations, about."""
TOGETHER = 56
"""Boxes halved at a time: their halves fill two batches."""
BEGUN = 512
"""First boxes that are bounded before any of them is halved, about."""
PATIENCE = 1024
"""In colour, that many bounds of a pixel are made, about, before it is the next one's turn."""
FIRST = 64
"""The side of a pixel's first boxes in colour: wider ones hardly ever clear."""
LIKELY = 8
"""Of that many boxes that do not clear, one is looked into for a flip."""


class Bounder(Protocol):
    """Bounds the margin."""

    def __call__(
        self, places: Tensor, low: Tensor, high: Tensor, settled: Tensor | None = None, /
    ) -> Bound:
        """Bound it for places int64 (N,), low and high uint8 (N, C), and what is known of them."""


def halved(low: Tensor, high: Tensor, widths: Tensor) -> Tensor:
    """Return int64 (N,), the channel along which boxes of more than one colour are halved.

    Errors grow with the square of a side: what brings most of them is halved, not what the margin
    changes along most, for that is exact.
    """
    weight = widths.nan_to_num(0.0) + 1e-6 * (high - low)
    return weight.masked_fill(high == low, -1.0).argmax(1)


class Proof:
    """What is left to do of one image, the most promising first.

    Args:
        places: how many pixels the image has.
        channels: of the image.
        bound: bounds boxes; None where that is not possible.
        most: how many boxes may be bounded.
        device: of all tensors.

    Attributes:
        bounds: how many boxes were bounded.
        left: int64 (n,), the places of pixels that all that may be done has not decided.
    """

    def __init__(
        self, places: int, channels: int, bound: Bounder | None, most: int, device: torch.device
    ) -> None:
        self.bounds, self.left = 0, torch.empty(0, dtype=torch.int64, device=device)
        self._bound, self._most, self._channels = bound, most, channels
        self._device, self._places = device, places
        corner = torch.arange(1 << channels, device=device)
        # All corners first, black and white before mixed ones: most of what can flip flips there.
        order = torch.stack([corner, corner.flip(0)], 1).flatten()[: len(corner)]
        self._asked_places = torch.arange(places, device=device).repeat(len(corner))
        self._asked_colours = corner_colours(order, channels).repeat_interleave(places, 0)
        self._lowest = torch.full((places,), torch.inf, dtype=torch.float64, device=device)
        self._dropped = torch.zeros(places, dtype=torch.bool, device=device)
        self._waiting: Tensor | None = None
        self._width = LEVELS
        none = torch.empty(0, dtype=torch.int64, device=device)
        # Boxes that are not cleared: places, low, high, sums that are settled, what brings errors.
        widths = torch.empty(0, channels, device=device)
        self._stack: tuple[Tensor, ...] = (*self._boxes(none, LEVELS), none.bool(), widths)
        # In colour: whose turn it is, and how many bounds may have been made when it ends.
        self._turn, self._pause = -1, 0

    def ask(self, most: int) -> tuple[Tensor, Tensor]:
        """Return what to evaluate next: places (n,) and colours uint8 (n, C), none at the end."""
        while len(self._asked_places) < most and self._advance():
            pass
        places, self._asked_places = self._asked_places.tensor_split([most])
        colours, self._asked_colours = self._asked_colours.tensor_split([most])
        return places, colours

    def tell(self, places: Tensor, margins: Tensor) -> None:
        """Take the margins float64 (n,) of candidates: the lower, the sooner a pixel's turn."""
        self._lowest.scatter_reduce_(0, places, margins, "amin")

    def drop(self, places: Tensor) -> None:
        """Leave pixels out from now on: they are decided."""
        self._dropped[places] = True
        kept = ~self._dropped[self._asked_places]
        self._asked_places, self._asked_colours = (
            self._asked_places[kept],
            self._asked_colours[kept],
        )
        kept = ~self._dropped[self._stack[0]]
        self._stack = tuple(part[kept] for part in self._stack)
        if self._waiting is not None:
            self._waiting = self._waiting[~self._dropped[self._waiting]]

    @property
    def done(self) -> bool:
        """Whether nothing is left to evaluate or to bound."""
        return not len(self._asked_places) and not self._advance_possible()

    def _advance_possible(self) -> bool:
        return self._waiting is None or bool(len(self._waiting) or len(self._stack[0]))

    def _advance(self) -> bool:
        """Bound some boxes, or find what must be evaluated; return whether there was work."""
        if not self._advance_possible():
            return False
        if self._waiting is None:
            order = self._lowest.argsort(stable=True)
            self._waiting = order[~self._dropped[order]]
            self._width = self._first_width()
        if self._width == 0 or self.bounds >= self._most:
            self._give_up()
        elif len(self._waiting) and not self._has_turn():
            # In colour one pixel after the other: what is made for it is made once.
            step = max(1, BEGUN * self._width // LEVELS) if self._channels == 1 else 1
            places, self._waiting = self._waiting.tensor_split([step])
            first = self._boxes(places, self._width)
            if self._channels > 1:
                self._turn = int(places[0])
                self._pause = self.bounds + PATIENCE
            self._push(*first)
        else:
            if self._channels > 1 and not len(self._waiting) and self._pause:
                self._easiest_first()
                self._pause = 0
            self._halve()
        return True

    def _has_turn(self) -> bool:
        """Return whether the pixel whose turn it is has boxes left, and bounds."""
        places = self._stack[0]
        return bool(len(places)) and int(places[-1]) == self._turn and self.bounds < self._pause

    def _boxes(self, places: Tensor, width: int) -> tuple[Tensor, ...]:
        """Return the boxes of a width that fill the colours of pixels: places, low, high."""
        starts = range(0, LEVELS, width)
        grid = torch.tensor(list(itertools.product(starts, repeat=self._channels)))
        low = grid.to(self._device).repeat(len(places), 1)
        return places.repeat_interleave(len(grid)), low, low + (width - 1)

    def _first_width(self) -> int:
        """Return the side of the boxes to begin with; 0: bounds do not pay."""
        if self._bound is None:
            return 0
        tried = WIDTHS if self._channels == 1 else WIDTHS[-1:]
        stream = torch.Generator().manual_seed(0)
        width = torch.tensor(tried).repeat_interleave(TRIED)
        places = torch.randint(self._places, (TRIED,), generator=stream).repeat(len(tried))
        drawn = torch.rand(len(width), self._channels, generator=stream)
        low = (drawn * (LEVELS // width)[:, None]).long() * width[:, None]
        lowest = self._clear(places, low, low + (width - 1)[:, None]).lowest
        shares = (lowest > 0).view(len(tried), TRIED).double().mean(1).tolist()
        if self._channels == 1:
            return self._cheapest(list(reversed(shares)))
        return min(FIRST, LEVELS) if any(shares) else 0

    def _cheapest(self, shares: list[float]) -> int:
        """Return the side that costs least, given how many boxes of each clear, the least first."""
        sides = list(reversed(WIDTHS))
        costs = {0: float(LEVELS)}
        rest = float(sides[0])  # what a box costs that does not clear: it is halved
        for number, (side, share) in enumerate(zip(sides, shares, strict=True)):
            costs[side] = LEVELS // side * (COST + (1 - share) * rest)
            parent = 1 - shares[number + 1] if number + 1 < len(sides) else 1.0
            again = min(1.0, (1 - share) / parent) if parent > 0 else 0.0
            rest = min(2.0 * side, 2 * (COST + again * rest))
        return min(costs, key=lambda side: costs[side])

    def _clear(self, places: Tensor, *boxes: Tensor) -> Bound:
        assert self._bound is not None
        self.bounds += len(places)
        return self._bound(places.to(self._device), *(part.to(self._device) for part in boxes))

    def _push(self, places: Tensor, low: Tensor, high: Tensor, *settled: Tensor) -> None:
        """Bound boxes, and put those that are not cleared on the stack, the lowest on top."""
        found = self._clear(places, low, high, *settled)
        # What is no number clears nothing.
        order = found.lowest.argsort(descending=True, stable=True)
        order = order[~(found.lowest[order] > 0)]
        parts = (places, low, high, found.settled, found.widths)
        new = tuple(part[order] for part in parts)
        self._stack = tuple(torch.cat(pair) for pair in zip(self._stack, new, strict=True))
        if self._channels > 1:  # in grayscale what is small is evaluated soon
            last = slice(len(order) - -(-len(order) // LIKELY), None)
            ends = torch.where(found.slopes[order] > 0, new[1], new[2])
            self._ask_for(new[0][last], ends[last])

    def _easiest_first(self) -> None:
        """Put the boxes of pixels that have few on top: a budget that ends leaves few pixels open.

        A flip was looked for in the most promising boxes before.
        """
        boxes = torch.bincount(self._stack[0], minlength=self._places)[self._stack[0]]
        order = (boxes * self._places + self._stack[0]).argsort(descending=True, stable=True)
        self._stack = tuple(part[order] for part in self._stack)

    def _halve(self) -> None:
        """Halve the boxes on top of the stack, or evaluate those that are small."""
        keep = max(0, len(self._stack[0]) - TOGETHER)
        if self._channels > 1 and keep < len(
            self._stack[0]
        ):  # of one pixel at a time: what is made for it is made once
            others = (self._stack[0] != self._stack[0][-1]).nonzero()
            keep = max(keep, int(others[-1]) + 1 if len(others) else 0)
        boxes = tuple(part[keep:] for part in self._stack)
        self._stack = tuple(part[:keep] for part in self._stack)
        small = (boxes[2] - boxes[1] + 1).prod(1) <= WIDTHS[-1]
        self._evaluate(*(part[small] for part in boxes[:3]))
        places, low, high, settled, widths = (part[~small] for part in boxes)
        if not len(places):
            return
        channel = halved(low, high, widths)
        row = torch.arange(len(places), device=self._device)
        middle = (low[row, channel] + high[row, channel]) // 2
        upper, lower = low.clone(), high.clone()
        lower[row, channel], upper[row, channel] = middle, middle + 1
        halves = torch.cat([low, upper]), torch.cat([lower, high])
        self._push(places.repeat(2), *halves, settled.repeat(2, 1))

    def _evaluate(self, places: Tensor, low: Tensor, high: Tensor) -> None:
        """Ask for all colours of boxes."""
        boxes = zip(low.tolist(), high.tolist(), strict=True)
        colours = [
            list(itertools.product(*(range(a, b + 1) for a, b in zip(*ends, strict=True))))
            for ends in boxes
        ]
        counts = torch.tensor([len(each) for each in colours], dtype=torch.int64)
        every = [colour for each in colours for colour in each]
        if every:
            asked = torch.tensor(every, device=self._device)
            self._ask_for(places.repeat_interleave(counts.to(self._device)), asked)

    def _ask_for(self, places: Tensor, colours: Tensor) -> None:
        """Ask for colours int64 (n, C) that are no corners of the cube: those were asked for."""
        new = ((colours != 0) & (colours != LEVELS - 1)).any(1)
        self._asked_places = torch.cat([self._asked_places, places[new]])
        self._asked_colours = torch.cat([self._asked_colours, colours[new].to(torch.uint8)])

    def _give_up(self) -> None:
        """Evaluate some of what is left where that can be done; else let the pixels be open."""
        assert self._waiting is not None
        places, low, high, *_ = self._stack
        self._stack = tuple(part[:0] for part in self._stack)
        if self._channels == 1:
            self._evaluate(places, low, high)
            some, self._waiting = self._waiting.tensor_split([TOGETHER])
            self._evaluate(*self._boxes(some, LEVELS))
        else:
            left = sorted({*places.tolist(), *self._waiting.tolist()})
            self.left = torch.tensor(left, dtype=torch.int64, device=self._device)
            self._waiting = self._waiting[:0]
