"""Affine arithmetic: what a value can be while a pixel moves within a box of colours.

A value is ``centre + sum of slope * e + error``, with one e in [-1, 1] for each channel of the
pixel and an error of at most ``radius``. What a network does to such values is exact where it is
linear; elsewhere it is relaxed: a rectifier by the parallelogram of least area (Singh et al. 2018),
a maximum as one rectifier after another, other activations by their chord and a grid of samples.

Each relaxation adds errors of its own. Their effect on a sum of logits is found by one pass
backwards, in which errors cancel as they do in the network (the bound of a zonotope that has a
generator for each of them); ``radius``, which lets them only add up, bounds what lies between.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ROUNDING = 1e-6
"""By how much an interval is widened before it is relaxed, relative to its ends: two rectifiers of
one value, computed in another order, must agree on what it can be."""
SAMPLES = 33
"""Places at which an activation is looked at between the ends of an interval."""
LOWEST = -1e30
"""In place of minus infinity, whose differences are no numbers."""


class UnboundedError(Exception):
    """A network has an operation that no bound is known for."""


@dataclass(frozen=True, slots=True)
class Affine:
    """A tensor (M, ...) of values, one row for each of M boxes.

    Attributes:
        centre: with the history that leads back to earlier errors.
        slopes: one a channel, each shaped as the centre.
        radius: shaped as the centre, not negative.
    """

    centre: Tensor
    slopes: tuple[Tensor, ...]
    radius: Tensor

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The centre, the slopes, the radius."""
        return (self.centre, *self.slopes, self.radius)

    def spread(self) -> Tensor:
        """Return how far a value can be from its centre."""
        return sum((slope.abs() for slope in self.slopes), self.radius)

    def each(self, function: Callable[[Tensor], Tensor]) -> "Affine":
        """Return what a linear function without negative weights makes of it."""
        return Affine(
            function(self.centre), tuple(map(function, self.slopes)), function(self.radius)
        )

    def scaled(self, factor: Tensor | float) -> "Affine":
        """Return it times a constant."""
        size = factor.abs() if isinstance(factor, Tensor) else abs(factor)
        return Affine(
            self.centre * factor, tuple(s * factor for s in self.slopes), self.radius * size
        )

    def moved(self, centre: Tensor) -> "Affine":
        """Return it with a constant added, given the centre with that constant."""
        shape = centre.shape
        return Affine(
            centre, tuple(s.expand(shape) for s in self.slopes), self.radius.expand(shape)
        )

    def plus(self, other: "Affine", sign: float = 1.0) -> "Affine":
        """Return the sum with another value, or the difference, where the sign is -1."""
        return Affine(
            torch.add(self.centre, other.centre, alpha=sign),
            tuple(
                torch.add(a, b, alpha=sign) for a, b in zip(self.slopes, other.slopes, strict=True)
            ),
            self.radius + other.radius.mul(abs(sign)),
        )


class Errors:
    """What relaxations take away from a sum, summed up on the way back from it to the pixel."""

    def __init__(self) -> None:
        self._taken: list[Tensor] = []

    def add(self, centre: Tensor, size: Tensor) -> Tensor:
        """Take errors of at most ``size`` about a centre; return the centre to go on with."""
        found: Tensor = _Error.apply(centre, size, self._taken)
        return found

    def line(self, centre: Tensor, share: Tensor, size: Tensor) -> Tensor:
        """Return the centre of a rectifier's parallelogram, given that of its argument."""
        found: Tensor = _Rectifier.apply(centre, share, size, self._taken)
        return found

    def least(self, sums: Tensor, pixel: Tensor, half: Tensor) -> Tensor:
        """Return (M,), the least that sums (M,) can be.

        Args:
            sums: of what came of the pixel.
            pixel: its centre (M, C, 1, 1), from which the sums have come.
            half: (M, C), how far the pixel can be from there.
        """
        self._taken.clear()
        (slope,) = torch.autograd.grad(sums.sum(), pixel, retain_graph=True)
        reach = (slope[..., 0, 0].abs() * half).sum(1)
        return sums.detach() - reach + sum(self._taken)


class _Error(torch.autograd.Function):
    """Leaves values as they are; backwards, takes what their errors can do to a sum."""

    @staticmethod
    def forward(ctx: Any, centre: Tensor, size: Tensor, taken: list[Tensor]) -> Tensor:
        ctx.save_for_backward(size)
        ctx.taken = taken
        return centre.view_as(centre)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        (size,) = ctx.saved_tensors
        ctx.taken.append(-(slope.abs() * size).flatten(1).sum(1))
        return slope, None, None


class _Rectifier(torch.autograd.Function):
    """The middle of the parallelogram; backwards, the side of it that bounds a sum from below.

    Where the sum rises with the rectifier, any line through the origin with a slope between 0 and 1
    is below it: the one that is right at the centre is taken, whatever the interval (Zhang et al.
    2018). Where it falls, the upper side.
    """

    @staticmethod
    def forward(
        ctx: Any, centre: Tensor, share: Tensor, size: Tensor, taken: list[Tensor]
    ) -> Tensor:
        ctx.save_for_backward(centre, share, size)
        ctx.taken = taken
        return torch.addcmul(size, share, centre)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None]:
        centre, share, size = ctx.saved_tensors
        rising = slope.clamp(min=0)
        excess = ((centre > 0).to(share.dtype) - share) * rising
        ctx.taken.append((excess * centre - slope.abs() * size).flatten(1).sum(1))
        return slope * share + excess, None, None, None


def parallelogram(value: Affine) -> tuple[Tensor, Tensor]:
    """Return the slope of a rectifier's relaxation, and the size of its error, and offset."""
    centre = value.centre.detach()
    spread = value.spread() * (1 + ROUNDING) + centre.abs() * ROUNDING
    high, low = (centre + spread).clamp_(min=0), (centre - spread).clamp_(max=0)
    share = high / (high - low).clamp_(min=torch.finfo(high.dtype).tiny)
    return share, low.mul_(share).mul_(-0.5)


def rectified(value: Affine, errors: Errors) -> Affine:
    """Return a value where it is positive, and zero elsewhere."""
    share, size = parallelogram(value)
    centre = errors.line(value.centre, share, size)
    return Affine(centre, tuple(share * s for s in value.slopes), share * value.radius + size)


def _relaxed(value: Affine, slope: Tensor, offset: Tensor, size: Tensor, errors: Errors) -> Affine:
    """Return ``slope * value + offset``, with errors of at most ``size``."""
    centre = errors.add(slope * value.centre + offset, size)
    return Affine(centre, tuple(slope * s for s in value.slopes), slope.abs() * value.radius + size)


def activated(
    value: Affine, function: Callable[[Tensor], Tensor], steepest: float, errors: Errors
) -> Affine:
    """Return what a function of each value alone makes of it.

    Args:
        value: of what.
        function: of a tensor, value by value.
        steepest: it changes at most that many times as fast as its argument.
        errors: takes those of the relaxation.
    """
    centre = value.centre.detach()
    spread = value.spread() * (1 + ROUNDING) + centre.abs() * ROUNDING
    low, width = centre - spread, 2 * spread
    first, last = function(low), function(low + width)
    tiny = torch.finfo(width.dtype).eps * (1 + centre.abs())
    slope = torch.where(width > tiny, (last - first) / width.clamp(min=tiny), 0.0)
    slope = slope.clamp(-steepest, steepest)
    most = least = first - slope * low
    for step in range(1, SAMPLES):
        place = low + width * (step / (SAMPLES - 1))
        rest = function(place) - slope * place
        most, least = torch.maximum(most, rest), torch.minimum(least, rest)
    between = (steepest + slope.abs()) * width / (2 * (SAMPLES - 1))
    return _relaxed(value, slope, (most + least) / 2, (most - least) / 2 + between, errors)


def larger(one: Affine, other: Affine, errors: Errors) -> Affine:
    """Return the larger of two values: the first, and the rectified difference.

    What both have in common cancels: with a share of the second, the rest is of the first.
    """
    share, size = parallelogram(other.plus(one, -1.0))
    rest = 1 - share
    centre = one.centre + errors.line(other.centre - one.centre, share, size)
    slopes = tuple(rest * s + share * t for s, t in zip(one.slopes, other.slopes, strict=True))
    return Affine(centre, slopes, rest * one.radius + share * other.radius + size)


def largest(value: Affine, taps: Sequence[tuple[slice, slice]], errors: Errors) -> Affine:
    """Return the largest of what a value (M, C, T, U) has in several places of its maps."""
    left = [value.each(operator.itemgetter((..., *tap))) for tap in taps]
    while len(left) > 1:  # as in a tournament: the fewer matches, the fewer errors
        pairs = zip(left[::2], left[1::2], strict=False)
        left = [larger(*pair, errors) for pair in pairs] + left[len(left) // 2 * 2 :]
    return left[0]


def product(one: Affine, other: Affine, errors: Errors) -> Affine:
    """Return the product of two values."""
    size = one.spread() * other.spread()
    a, b = one.centre.detach(), other.centre.detach()
    centre = errors.add(one.centre * other.centre, size)
    slopes = tuple(a * t + b * s for s, t in zip(one.slopes, other.slopes, strict=True))
    radius = a.abs() * other.radius + b.abs() * one.radius + size
    return Affine(centre, slopes, radius)
