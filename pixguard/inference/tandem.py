"""Two convolutions with a rectifier between them, as one: what errors do to both together.

Bounded one after the other, the errors of an input only add up in each output of the first, and
again in each of the second. But most rectifiers let through, or stop, what they do on the clean
image: with them as they are there, both convolutions are one linear map, in which errors cancel
before their sizes are taken. What a rectifier does otherwise is an error of its own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from pixguard.inference.affine import Affine, parallelogram
from pixguard.inference.operations import Shape

MOST = 1 << 24
"""Numbers in the matrix of such a pair at most: 64 MiB."""
PART = 392
"""Inputs whose effect is computed at a time."""


class Pair(NamedTuple):
    """The nodes of two convolutions in a row: input, first, rectifier, second."""

    source: fx.Node
    first: fx.Node
    rectifier: fx.Node
    second: fx.Node


class Tandem:
    """A pair of convolutions of whole maps, about one clean image."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, shape: Shape) -> None:
        """``shape`` is (1, C, H, W), that of the first one's input."""
        self._first, self._second, self._shape = first, second, shape

    def load(self, clean: Tensor) -> None:
        """Take what the rectifiers give on a clean image, (H, W, C)."""
        self._open = (clean > 0).to(clean.dtype).permute(2, 0, 1)
        inputs = torch.Size(self._shape).numel()
        basis = torch.eye(inputs, device=clean.device, dtype=clean.dtype).view(-1, *self._shape[1:])
        self._matrix = torch.cat(
            [
                self._second._conv_forward(
                    self._first._conv_forward(part, self._first.weight, None) * self._open,
                    self._second.weight,
                    None,
                )
                .abs()
                .flatten(1)
                for part in torch.split(basis, PART)
            ]
        )

    def radius(self, before: Tensor, between: Tensor) -> Tensor:
        """Return how large errors in the outputs (M, C', H', W') can be.

        Args:
            before: (M, C, H, W), how large those of the inputs are.
            between: those that rectifiers add, see :func:`added`.
        """
        own = self._second._conv_forward(between, self._second.weight.abs(), None)
        found: Tensor = own + (before.flatten(1) @ self._matrix).view_as(own)
        return found


def added(value: Affine, rectified: Affine, clean: Tensor) -> Tensor:
    """Return what rectifiers add to errors that pass through as they do on the clean image.

    Args:
        value: of what.
        rectified: what became of it.
        clean: what rectifiers give on the clean image.
    """
    share, _ = parallelogram(value)
    size = rectified.radius - share * value.radius
    return (share - (clean > 0).to(share.dtype)).abs() * value.radius + size.clamp(min=0)
