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
    """One window of fixed size for every place that a pixel can have along an axis.

    Attributes:
        extent: of the map.
        size: of the windows, at most the extent: the widest influence of any pixel.
        starts: int64 (P,), the first coordinate of the window of each of P pixels; windows lie
            inside the map, so at its edges they reach further than the influence does.
    """

    extent: int
    size: int
    starts: Tensor

    @classmethod
    def of_pixels(cls, extent: int) -> "Windows":
        """Return the windows of the image itself: every pixel is one."""
        return cls(extent, 1, torch.arange(extent))

    @classmethod
    def around(cls, first: Tensor, last: Tensor, extent: int) -> "Windows":
        """Return the smallest windows of one size that hold given intervals, int64 (P,) each."""
        size = min(extent, max(1, int((last - first).max()) + 1))
        return cls(extent, size, first.clamp(0, extent - size))

    def joined(self, other: "Windows") -> "Windows":
        """Return windows that hold both, for maps of one extent."""
        if self.same_as(other):
            return self
        ends = torch.maximum(self.starts + self.size, other.starts + other.size)
        return Windows.around(torch.minimum(self.starts, other.starts), ends - 1, self.extent)

    def same_as(self, other: "Windows") -> bool:
        """Tell whether these are the same windows."""
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
        starts, back = windows.starts.unique(return_inverse=True)
        inside = (taps >= starts[:, None, None]) & (taps < starts[:, None, None] + windows.size)
        touched = inside.any(2)  # (P, outputs)
        first = touched.int().argmax(1)
        last = extent - 1 - touched.flip(1).int().argmax(1)
        # A stride wider than the kernel may step over a window: any place will do for that one.
        nowhere = ~touched.any(1)
        somewhere = (starts // self.stride).clamp(max=extent - 1)
        first, last = first.where(~nowhere, somewhere), last.where(~nowhere, somewhere)
        return Windows.around(first[back], last[back], extent)

    def needed(self, output: Windows, extent: int) -> Tensor:
        """Return int64 (P, T): the input coordinates, or OUTSIDE, that output windows are made of.

        T is the side of the patch that gives a window of that size without padding.
        """
        length = (output.size - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        first = output.starts * self.stride - self.padding
        return self._inside(first[:, None] + torch.arange(length), extent)

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
