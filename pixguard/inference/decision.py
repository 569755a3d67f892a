"""Whether a decision holds in boxes of colours: the sums of logits that must be positive."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Wanted:
    """Sums of logits that are all positive (or one of which is) as long as a decision holds.

    Attributes:
        weights: float32 (R, L).
        offsets: float32 (R,).
        every: whether all must be positive, or one.
    """

    weights: Tensor
    offsets: Tensor
    every: bool = True


@dataclass(frozen=True, slots=True)
class Bound:
    """Below what a decision's margin cannot fall in each of M boxes, over all real colours.

    Attributes:
        lowest: float32 (M,), less what rounding may have done.
        slopes: float32 (M, C), how the margin that is the lowest changes along each channel, from
            the centre of the box to its upper side.
        widths: float32 (M, C), how much there is to gain from halving the box along each channel.
        settled: bool (M, R), the sums that are positive in all of the box.
    """

    lowest: Tensor
    slopes: Tensor
    widths: Tensor
    settled: Tensor


class Given(Protocol):
    """What M boxes make of the logits; see :class:`pixguard.inference.passed.Passed`."""

    centre: Tensor
    slopes: Tensor
    radius: Tensor
    widths: Tensor

    def least(self, weights: Tensor, boxes: Tensor) -> Tensor:
        """Return below what sums of logits by weights (N, L) cannot fall in boxes int64 (N,)."""


def decided(wanted: Wanted, passed: Given, slack: Tensor, settled: Tensor) -> Bound:
    """Bound what is wanted, given what M boxes make of the logits.

    Args:
        wanted: the decision that must hold.
        passed: what the boxes give.
        slack: float32 (M, 1), what rounding may have done.
        settled: bool (M, R), the sums that are known to be positive there.
    """
    weights = wanted.weights.detach()
    sums = passed.centre @ weights.T + wanted.offsets - slack
    slopes = torch.einsum("mlc,rl->mrc", passed.slopes, weights)
    bounds = sums - slopes.abs().sum(-1) - passed.radius @ weights.abs().T
    bounds.masked_fill_(settled, torch.inf)
    # On the way back errors cancel. One pass bounds one sum of each box: the least, and the
    # next where that is clear, until a box has failed, or has succeeded.
    done = torch.zeros_like(bounds, dtype=torch.bool)
    row = torch.arange(len(bounds), device=bounds.device)
    for _ in range(bounds.shape[1]):
        found, chosen = _chosen(wanted, bounds, done)
        (left,) = ((found <= 0) & ~done[row, chosen]).nonzero(as_tuple=True)
        if not len(left):
            break
        which = chosen[left]
        better = passed.least(weights[which], left) + wanted.offsets[which] - slack[left, 0]
        bounds[left, which] = torch.maximum(found[left], better)
        done[left, which] = True
    lowest, chosen = _chosen(wanted, bounds, torch.zeros_like(done))
    return Bound(lowest, slopes[row, chosen], passed.widths, bounds > 0)


def _chosen(wanted: Wanted, bounds: Tensor, passed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bound that decides, and which it is, of bounds (M, R)."""
    if wanted.every:
        return bounds.min(1)
    left = bounds.masked_fill(passed & (bounds <= 0), -torch.inf)
    return left.max(1)
