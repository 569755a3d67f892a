"""The least change of one pixel that flips an image in colour, from both sides.

A change is measured by the channel that changes most, in levels: the changes of at most t levels
are then a box of colours, and boxes can be bounded. From above, the corners of the boxes of fooled
pixels are halved down to the least that flips. From below, the boxes of smaller changes are bounded
and halved, that nearest to the pixel's own colour first, until they clear or the budget ends.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pixguard.attacks.engine.proof import LEVELS, TOGETHER, WIDTHS, Bounder, halved

AROUND = 8
"""Levels by which boxes of a pixel that are halved together may be further than the nearest."""
DEPTH = 8
"""Halvings that bring 255 levels down to one."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How candidates did: bool (n,), whether they flip, and float64 (n,), by which margin not."""

    hits: Tensor
    margins: Tensor


Judge = Callable[[Tensor, Tensor], Tried]
"""Evaluates places int64 (n,) with colours uint8 (n, C)."""


class LeastChange:
    """Looks for the least change that flips an image.

    Args:
        own: uint8 (P, C), the colours that pixels have.
        judge: evaluates, and remembers what flips.
        bound: bounds boxes of colours; None where that is not possible.
        most: how many boxes may be bounded.

    Attributes:
        bounds: how many boxes were bounded.
        least: the least change that was seen to flip; one more than the largest where none was.
    """

    def __init__(self, own: Tensor, judge: Judge, bound: Bounder | None, most: int) -> None:
        self._own, self._judge, self._bound, self._most = own.long(), judge, bound, most
        self._channels = own.shape[1]
        self.bounds, self.least = 0, LEVELS
        self._numbers = itertools.count()
        # For each pixel a heap: how near, a number, the box, and the channel to halve it along.
        self._waiting: dict[int, list[tuple[int, int, Tensor, Tensor]]] = {}

    def __call__(self, fooled: Tensor, left: Tensor, known: int = LEVELS) -> int:
        """Return up to how many levels no change flips: proven.

        Args:
            known: the least change that is known to flip.
            fooled: bool (P,), pixels that flip.
            left: bool (P,), those of which it is open; all others are proven.
        """
        self.least = known
        self._from_above(fooled.nonzero().flatten())
        places = (fooled | left).nonzero().flatten()
        if not len(places):
            return LEVELS - 1
        return self._from_below(places)

    def _from_above(self, places: Tensor) -> None:
        """Halve the changes of each pixel down to the least at which a corner flips."""
        signs = torch.tensor(list(itertools.product((-1, 1), repeat=self._channels)))
        signs = signs.to(self._own.device)
        low = torch.zeros_like(places)
        high = torch.full_like(places, LEVELS - 1)
        for _ in range(DEPTH if len(places) else 0):
            size = (low + high + 1) // 2
            colours = (self._own[places, None] + signs * size[:, None, None]).clamp(0, LEVELS - 1)
            each = places.repeat_interleave(len(signs))
            hits = self._tried(each, colours.flatten(0, 1)).view(-1, len(signs)).any(1)
            high, low = size.where(hits, high), low.where(hits, size)

    def _tried(self, places: Tensor, colours: Tensor) -> Tensor:
        hits = self._judge(places, colours.to(torch.uint8)).hits
        changes = (colours - self._own[places]).abs().amax(1)
        self.least = min([self.least, *changes[hits].tolist()])
        return hits

    def _from_below(self, places: Tensor) -> int:
        size = self.least - 1
        # A pixel that was never bounded may flip by one level: then no other one is worth a bound.
        if self._bound is None or size < 1 or len(places) > self._most:
            return 0
        own = self._own[places]
        self._look(places, (own - size).clamp(min=0), (own + size).clamp(max=LEVELS - 1))
        waiting = self._waiting
        while waiting and (pairs := (self._most - self.bounds) // 2):
            first = min(waiting, key=lambda one: waiting[one][0][:2])
            nearest = waiting[first][0][0]
            if nearest >= self.least:
                break
            # Of one pixel at a time: what is made for it is made once.
            heap, taken = waiting[first], list[tuple[int, int, Tensor, Tensor]]()
            while heap and len(taken) < min(TOGETHER, pairs) and heap[0][0] <= nearest + AROUND:
                taken.append(heapq.heappop(heap))
            if not heap:
                del waiting[first]
            place = torch.full((len(taken),), first, device=places.device)
            boxes, channel = (torch.stack(p) for p in list(zip(*taken, strict=True))[2:])
            # Only what changes less than the least known flip is still of interest.
            own, size = self._own[place], self.least - 1
            low = torch.maximum(boxes[:, 0], own - size)
            high = torch.minimum(boxes[:, 1], own + size)
            inside = (low <= high).all(1)
            place, low, high, channel = (p[inside] for p in (place, low, high, channel))
            row = torch.arange(len(place), device=place.device)
            middle = (low[row, channel] + high[row, channel]) // 2
            upper, lower = low.clone(), high.clone()
            lower[row, channel] = middle
            upper[row, channel] = (middle + 1).minimum(high[row, channel])
            self._look(place.repeat(2), torch.cat([low, upper]), torch.cat([lower, high]))
        nearest = min((heap[0][0] for heap in waiting.values()), default=LEVELS)
        return max(0, min(nearest, self.least) - 1)

    def _look(self, place: Tensor, low: Tensor, high: Tensor) -> None:
        """Bound boxes; evaluate those that are small and do not clear, let the others wait."""
        assert self._bound is not None
        self.bounds += len(place)
        found = self._bound(place, low, high)
        kept = ~(found.lowest > 0)
        place, low, high, widths = place[kept], low[kept], high[kept], found.widths[kept]
        small = (high - low + 1).prod(1) <= WIDTHS[-1]
        for one, first, last in zip(place[small], low[small], high[small], strict=True):
            ends = zip(first.tolist(), last.tolist(), strict=True)
            colours = list(itertools.product(*(range(a, b + 1) for a, b in ends)))
            self._tried(one.expand(len(colours)), torch.tensor(colours, device=one.device))
        place, low, high, widths = (part[~small] for part in (place, low, high, widths))
        if not len(place):
            return
        channel = halved(low, high, widths)
        own = self._own[place]
        nearest = torch.maximum(low - own, own - high).clamp(min=0).amax(1).tolist()
        for i, near in enumerate(nearest):
            box = torch.stack([low[i], high[i]])
            heap = self._waiting.setdefault(int(place[i]), [])
            heapq.heappush(heap, (near, next(self._numbers), box, channel[i]))
