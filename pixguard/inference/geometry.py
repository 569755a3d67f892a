"""Where in a feature map the influence of a changed pixel ends, along one axis.

Rows and columns are independent, so all of it is one-dimensional: the influence on a map is the
product of an interval of rows and an interval of columns.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

OUTSIDE = -1
"""In place of a coordinate: what lies there is padding, not the map."""


@dataclass(frozen=True, slots=True)
class Windows:
    """For every place that a pixel can have along an axis, what of a map it can reach.

    Attributes:
        extent: of the map.
        first, last: int64 (P,), the first and last coordinate that each of P pixels influences.
    """

    extent: int
    first: Tensor
    last: Tensor

    @classmethod
    def of_pixels(cls, extent: int, within: Tensor | None = None) -> "Windows":
        """Return the windows of the image itself: every pixel is one.

        ``within``, int64 (P,), names for each place the one that stands for it, where only a few
        are ever asked for.
        """
        places = torch.arange(extent) if within is None else within
        return cls(extent, places, places)

    @property
    def size(self) -> int:
        """Of the windows: one for all, so that they fit into one tensor."""
        return int((self.last - self.first).max()) + 1

    @property
    def starts(self) -> Tensor:
        """int64 (P,), where windows of that size begin: inside the map, over the influence."""
        return self.first.clamp(max=self.extent - self.size)

    def joined(self, other: "Windows") -> "Windows":
        """Return windows that hold both, for maps of one extent."""
        first = torch.minimum(self.first, other.first)
        return Windows(self.extent, first, torch.maximum(self.last, other.last))

    def same_as(self, other: "Windows") -> bool:
        """Tell whether windows lie at the same places."""
        return self.size == other.size and torch.equal(self.starts, other.starts)

    def coordinates(self) -> Tensor:
        """Return int64 (P, size), the coordinates of each window."""
        return self.starts[:, None] + torch.arange(self.size)


@dataclass(frozen=True, slots=True)
class Slide:
    """How a convolution or a pooling moves along an axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    mode: PaddingMode = "zeros"

    def reach(self, windows: Windows, extent: int) -> Windows:
        """Return the windows of the output, of an extent, that those of the input influence."""
        taps = self._taps(torch.arange(extent), windows.extent)  # (outputs, kernel)
        first, last = windows.first[:, None, None], windows.last[:, None, None]
        touched = ((taps >= first) & (taps <= last)).any(2)  # (P, outputs)
        begin = touched.int().argmax(1)
        end = extent - 1 - touched.flip(1).int().argmax(1)
        # A stride wider than the kernel may step over a pixel: any place will do for that one.
        nowhere = ~touched.any(1)
        anywhere = (windows.first // self.stride).clamp(max=extent - 1)
        return Windows(extent, begin.where(~nowhere, anywhere), end.where(~nowhere, anywhere))

    def needed(self, output: Windows, extent: int) -> Tensor:
        """Return int64 (P, T): the input coordinates, or OUTSIDE, that output windows are made of.

        T is the side of the patch that gives a window of that size without padding.
        """
        length = self.span(output.size)
        first = output.starts * self.stride - self.padding
        return self._inside(first[:, None] + torch.arange(length), extent)

    def span(self, outputs: int) -> int:
        """Return the side of the patch that gives so many outputs."""
        return (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def outputs(self, side: int) -> int:
        """Return how many outputs a patch of a side gives."""
        return (side - (self.kernel - 1) * self.dilation - 1) // self.stride + 1

    def counted(self, extent_out: int, extent: int, include_padding: bool) -> Tensor:
        """Return float64 (outputs,): over how many places an average is taken."""
        first = torch.arange(extent_out) * self.stride - self.padding
        last = (first + self.kernel).clamp(max=extent + self.padding)
        if not include_padding:
            first, last = first.clamp(min=0), last.clamp(max=extent)
        return (last - first).double()

    def _taps(self, outputs: Tensor, extent: int) -> Tensor:
        offsets = torch.arange(self.kernel) * self.dilation - self.padding
        return self._inside(outputs[:, None] * self.stride + offsets, extent)

    def _inside(self, places: Tensor, extent: int) -> Tensor:
        """Return the coordinate in the map that stands at each place of the padded map."""
        padding = self.padding if self.mode != "zeros" else 0
        beyond = (places < -padding) | (places >= extent + padding)
        if self.mode == "reflect":
            places = places.abs()
            places = torch.where(places >= extent, 2 * (extent - 1) - places, places)
        elif self.mode == "replicate":
            places = places.clamp(0, extent - 1)
        elif self.mode == "circular":
            places = places % extent
        return torch.where(beyond, OUTSIDE, places)
