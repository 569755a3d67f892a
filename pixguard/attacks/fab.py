"""FAB-T: the fast adaptive boundary attack against one class after the other (white-box).

Croce, Hein 2020, "Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack"
(ICML), algorithm 1, in the targeted form of AutoAttack. It looks for the nearest image that is
taken for the rival, whatever the distance: each step projects the point, and the clean image, onto
the hyperplane on which the linearised classifier cannot tell the two classes apart, within [0, 1],
and goes a little beyond it, between both; from an image that fools it turns back towards the clean
one. What is asked for is each point, brought into the distance, in the largest norm rounded away
from the clean image. One start, at the clean image; its last search between the clean image and the
best one is left out: nothing shorter is asked for.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.dense_options import DenseStepsOptions
from pixguard.attacks.engine.dense import lengths
from pixguard.attacks.engine.rivals import MOST_RIVALS, RivalSearch

MOST_PULL, BEYOND, BACK = 0.1, 1.05, 0.9
"""Alpha max, eta and beta of the paper."""
FUZZ = 1e-3
"""In steps of 8 bits: what float32 may add to a whole number of them."""


class FABSearch(RivalSearch):
    """FAB-T; a step costs one query and one gradient, or two where the point fooled."""

    options: DenseStepsOptions

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the constants that may differ between versions."""
        own = {"alpha": MOST_PULL, "eta": BEYOND, "beta": BACK, "most_rivals": MOST_RIVALS}
        return {**super().parameters(), **own}

    def _move(self, slots: Tensor) -> None:
        fresh = self._fresh(slots)
        self._point[slots[fresh]] = self._clean(slots[fresh])
        clean, point = self._clean(slots), self._point[slots]
        lead, gradient = self._look(slots, point)
        fools = (lead < 0) & ~fresh
        if fools.any():
            point[fools] = clean[fools] + BACK * (point[fools] - clean[fools])
            lead[fools], gradient[fools] = self._look(slots[fools], point[fools])
        for row, slot in enumerate(slots.tolist()):
            at = slice(row, row + 1)
            self._point[slot] = self._step(clean[at], point[at], lead[row], gradient[at])[0]

    def _show(self, slots: Tensor, points: Tensor) -> None:
        """Put points into the candidates, brought into the distance: it looks beyond it."""
        super()._show(slots, self._inside(slots, points))

    def _rounded(self, change: Tensor) -> Tensor:
        """As :meth:`DenseSearch._rounded`, in the largest norm away from the clean image.

        The nearest image that fools lies just behind the boundary: rounded to the nearest of 8
        bits it would be before it as often, though the distance may hold another step.
        """
        outwards = (change.abs() - FUZZ).ceil() * change.sign()
        return super()._rounded(outwards if self.norm == "linf" else change)

    def _look(self, slots: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        return self._arena.gradient(slots, points, self._losses.lead(self._rival))

    def _step(self, clean: Tensor, point: Tensor, lead: Tensor, gradient: Tensor) -> Tensor:
        """Return the next point of one slot, all (1, C, H, W)."""
        slope = gradient.double().flatten()
        start, here = clean.double().flatten(), point.double().flatten()
        to_here = project(here, slope, lead.double(), self.norm)
        to_start = project(start, slope, lead + slope @ (start - here), self.norm)
        own, other = (self._length_of(change) for change in (to_here, to_start))
        pull = min(own / max(own + other, 1e-12), MOST_PULL)
        moved = (1 - pull) * (here + BEYOND * to_here) + pull * (start + BEYOND * to_start)
        return moved.clamp(0.0, 1.0).float().view_as(point)

    def _length_of(self, change: Tensor) -> float:
        if self.norm == "linf":
            return float(change.abs().max())
        return float(lengths(change.view(1, -1, 1, 1)))


def project(point: Tensor, slope: Tensor, value: Tensor, norm: str) -> Tensor:
    """Return the shortest change that brings a point onto a hyperplane, within [0, 1].

    Where the hyperplane is not reached within [0, 1], as near as possible (Croce, Hein 2020,
    section 2.3: the dual is piecewise linear, and solved by sorting its breaks).

    Args:
        point: float64 (n,), in [0, 1].
        slope: float64 (n,).
        value: float64, of the linear function at the point: zero on the hyperplane.
        norm: linf or l2, of the change.
    """
    direction = -slope.sign() * value.sign()
    room = torch.where(direction > 0, 1 - point, point)
    size = slope.abs()
    if norm == "linf":  # every value by as much, until it is at its end
        breaks, gains, pace = room, size, torch.ones_like(size)
    else:  # each in proportion to its slope
        breaks, gains, pace = room / size.clamp(min=1e-30), size.square(), size
    breaks, order = breaks.sort(stable=True)
    gains = gains[order]
    left = gains.flip(0).cumsum(0).flip(0)  # of those that have not reached their end before
    done = torch.cat([torch.zeros_like(gains[:1]), (gains * breaks).cumsum(0)[:-1]])
    reached = done + left * breaks
    first = int(torch.searchsorted(reached, value.abs().view(1)))
    if first == len(breaks):
        return direction * room
    level = (value.abs() - done[first]) / left[first].clamp(min=1e-300)
    return direction * torch.minimum(level * pace, room)
