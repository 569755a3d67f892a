"""What boxes of colours give in a chain of layers: bounds of its logits, many boxes at a time.

On the way forward every value is affine in the colour, with an error
(:mod:`pixguard.inference.affine`); one pass back from the decision lets errors cancel as they do in
the network.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pixguard.inference.affine import ROUNDING
from pixguard.inference.reach import Reach
from pixguard.inference.spot import STEEP, Spot


class Relaxed(NamedTuple):
    """A rectifier's relaxation; all (M, h, w, C).

    Forward a value becomes ``slope`` times itself and ``size``, with an error of ``size`` at most.

    Attributes:
        slope: of the way forward.
        size: of its error, and offset.
        own: how large errors are that arise here, beside what passes at the usual slope.
        share: the slope of the parallelogram of least area, for the way back.
        above: by how much its upper side is higher at the centre than the way forward has it.
        gate: by how much steeper the line below it is that bounds a sum that rises with it.
        turn: by how much that line is higher at the centre than the upper side.
    """

    slope: Tensor
    size: Tensor
    own: Tensor
    share: Tensor
    above: Tensor
    gate: Tensor
    turn: Tensor


def relaxed(value: "Value", usual: Tensor) -> Relaxed:
    """Return the relaxation of a rectifier of values (M, h, w, C).

    Forward the slope is that of the parallelogram of least area, or the usual one, whichever adds
    less to what later layers know of errors: what passes at the usual slope cancels there.

    Back, where a sum rises with the rectifier, any line through the origin with a slope between 0
    and 1 is below it: the one that is right at the centre is taken (Zhang et al. 2018). Where it
    falls, the upper side of the parallelogram.

    Args:
        value: what is rectified.
        usual: (h, w, C), the share of colours that the rectifier lets through.
    """
    centre = value.parts[0]
    wide = value.spread().mul_(1 + ROUNDING).add_(centre.abs(), alpha=ROUNDING)
    high, low = (centre + wide).clamp_(min=0), wide.sub_(centre).clamp_(min=0)
    share = high / (high + low).clamp_(min=torch.finfo(high.dtype).tiny)
    least = (low * share).mul_(0.5)
    own = (share - usual).abs_().mul_(value.radius).add_(least)
    other = torch.maximum(high.mul_(1 - usual), low.mul_(usual)).mul_(0.5)
    is_usual = other < own
    slope, size = torch.where(is_usual, usual, share), torch.where(is_usual, other, least)
    above = (share - slope).mul_(centre).add_(least, alpha=2).sub_(size)
    gate = (centre * STEEP).clamp_(0, 1).sub_(share)
    turn = (gate * centre).sub_(least, alpha=2)
    return Relaxed(slope, size, torch.minimum(own, other), share, above, gate, turn)


def back(slope: Tensor, node: Relaxed, taken: Tensor) -> Tensor:
    """Take what a rectifier's relaxation can do to a sum; return the slope before it."""
    rising = slope.clamp(min=0)
    taken += (rising * node.turn).flatten(1).sum(1)
    taken += (slope * node.above).flatten(1).sum(1)
    return rising.mul_(node.gate).addcmul_(slope, node.share)


class Value(NamedTuple):
    """Affine values (1 + C, M, ...), a centre and its slopes, with errors (M, ...).

    Attributes:
        parts: the values.
        radius: how large their errors can be.
        own: how large those can be that arose in this layer.
    """

    parts: Tensor
    radius: Tensor
    own: Tensor

    def spread(self) -> Tensor:
        """Return how far a value can be from its centre."""
        found = self.parts[1].abs().add_(self.radius)
        for slope in self.parts[2:]:
            found += slope.abs()
        return found


class Passed:
    """What M boxes of colours give.

    Attributes:
        centre: (M, L), of the logits.
        slopes: (M, L, C), by how much they change along each channel, from the centre to its end.
        radius: (M, L), how large their errors can be.
        widths: (M, C), how much of the errors in the first layer each channel brings.

    Args:
        spot: the network about the pixel.
        low: float32 (M, C), the least values of the pixel's channels, in [0, 1].
        high: float32 (M, C), the greatest.
    """

    def __init__(self, spot: Spot, low: Tensor, high: Tensor) -> None:
        self._spot, count = spot, len(low)
        is_one = bool((low == high).all())  # then there are no errors
        first, error = spot.first(low, high)
        self._first = first[1:].clone(), error
        sizes = self._first[0].abs()
        sizes *= error / sizes.sum(0).clamp_(min=torch.finfo(error.dtype).tiny)
        self.widths = sizes.sum(2).T
        maps = first.view(-1, count, *spot.reaches[0].after.shape)
        errors, radius = [error], error
        self._nodes: list[list[Relaxed]] = []
        for number, reach in enumerate(spot.reaches[1:], 1):
            maps[0] -= spot.reaches[number - 1].after
            before = reach.convolved(maps.flatten(0, 1), reach.layer.weight)
            before = before.view(-1, count, *reach.clean.shape)
            before[0] += reach.clean
            nodes: list[Relaxed] = []
            radii = None if is_one else self._radii(number, errors)
            maps, radius, own = _rectified(reach, before, radii, nodes)
            radius = radius.flatten(1)
            self._nodes.append(nodes)
            errors.append(own.flatten(1))
        maps[0] -= spot.reaches[-1].after
        logits = maps.flatten(2) @ spot.head.T
        self.centre, self.slopes = logits[0] + spot.logits, logits[1:].permute(1, 2, 0)
        self.radius = radius @ spot.head.abs().T

    def _radii(self, number: int, errors: list[Tensor]) -> list[Tensor]:
        """Return (M, h, w, C) for each node, how large errors can be in what it is given."""
        reach, before = self._spot.reaches[number], self._spot.reaches[number - 1]
        matrices = self._spot.carried[number - 1]
        found: Tensor | None = None
        if not reach.pairs:
            last = errors[-1].view(-1, *before.after.shape)
            found = reach.convolved(last, reach.layer.weight.abs()).flatten(1)
        for source, matrix in zip(errors, matrices, strict=False):
            found = source @ matrix if found is None else found.addmm_(source, matrix)
        assert found is not None
        return list(found.view(len(found), -1, *reach.after.shape).unbind(1))

    def least(self, weights: Tensor, boxes: Tensor) -> Tensor:
        """Return (N,), below what sums of logits by weights (N, L) cannot fall in some boxes."""
        every = len(boxes) == len(self.centre)  # then they are all, in order

        def of(maps: Tensor) -> Tensor:
            return maps if every else maps[boxes]

        taken = (of(self.centre) * weights).sum(1)
        slope = (weights @ self._spot.head).view(-1, *self._spot.reaches[-1].after.shape)
        for reach, nodes in zip(
            reversed(self._spot.reaches[1:]), reversed(self._nodes), strict=True
        ):
            nodes = [Relaxed(*map(of, node)) for node in nodes]
            slope = back(slope, nodes[-1], taken)
            if reach.pairs:
                slopes: dict[int, Tensor] = {reach.layer.pool**2 + len(reach.pairs) - 1: slope}
                for number in reversed(range(len(reach.pairs))):
                    one, other = reach.pairs[number]
                    slope = slopes.pop(reach.layer.pool**2 + number)
                    slopes[other] = back(slope, nodes[number], taken)
                    slopes[one] = slope - slopes[other]
                whole = slope.new_empty(len(slope), *reach.clean.shape)
                for number, tap in enumerate(reach.taps(whole)):
                    tap.copy_(slopes[number])
                slope = whole
            slope = reach.transposed(slope)
        first, error = self._first
        slope = slope.flatten(1)
        taken -= (slope.abs() * of(error)).sum(1)
        first = first if every else first[:, boxes]
        return taken - torch.einsum("mn,cmn->mc", slope, first).abs().sum(1)


def _rectified(
    reach: Reach, before: Tensor, radii: list[Tensor] | None, nodes: list[Relaxed]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parts, radii and own errors of what a layer's rectifier and maxima give.

    Args:
        reach: of the layer.
        before: (1 + C, M, h, w, C'), what they are given; it is overwritten.
        radii: of the nodes, see :attr:`Spot.carried`; None: there are no errors.
        nodes: takes the relaxations.
    """
    zero = before.new_zeros(before.shape[1], *reach.after.shape)
    shares = reach.shares or [zero[0]] * (len(reach.pairs) + 1)
    taps = reach.taps(before)
    if radii is None:
        radii = [zero] * (len(taps) + len(reach.pairs) + 1)
    values = [Value(*pair, zero) for pair in zip(taps, radii, strict=False)]
    compared = radii[len(taps) :]
    for (first, second), share, carried in zip(reach.pairs, shares, compared, strict=False):
        one, other = values[first], values[second]
        radius = torch.minimum(carried + one.own + other.own, one.radius + other.radius)
        difference = Value(other.parts - one.parts, radius, zero)
        node = relaxed(difference, share)
        nodes.append(node)
        parts = torch.addcmul(one.parts, node.slope, difference.parts)
        parts[0] += node.size
        radius = torch.lerp(one.radius, other.radius, node.slope).add_(node.size)
        # What is not as it mostly is arose here, and so did what relaxations add.
        values.append(Value(parts, radius, torch.lerp(one.own, other.own, share).add_(node.own)))
    parts, radius, own = values[-1]
    if reach.pairs:
        radius = torch.minimum(radius, radii[-1] + own)
    node = relaxed(Value(parts, radius, own), shares[-1])
    nodes.append(node)
    error = node.own if not reach.pairs else torch.addcmul(node.own, own, shares[-1])
    parts.mul_(node.slope)
    parts[0] += node.size
    return parts, torch.addcmul(node.size, node.slope, radius), error
