"""What a resize does to the windows of changed pixels, along one axis."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pixguard.inference.geometry import Windows


@dataclass(frozen=True, slots=True)
class Weights:
    """A resize along an axis, float64 (outputs, inputs): every output a sum over inputs.

    Every output takes from some input.
    """

    matrix: Tensor

    def _span(self) -> tuple[Tensor, Tensor]:
        """Return int64 (outputs,), ascending: between which inputs each output takes its own.

        The filter has zeros inside: those of an output may begin behind those of the next.
        """
        taken = self.matrix != 0
        first = taken.int().argmax(1)
        last = self.matrix.shape[1] - 1 - taken.flip(1).int().argmax(1)
        return first.flip(0).cummin(0).values.flip(0), last.cummax(0).values

    def reach(self, windows: Windows, extent: int) -> Windows:
        """Return the windows of the output, of an extent, that those of the input influence."""
        first, last = self._span()
        touched = (first <= windows.last[:, None]) & (last >= windows.first[:, None])
        begin = touched.int().argmax(1)
        end = extent - 1 - touched.flip(1).int().argmax(1)
        # An enlargement or a cut may leave a pixel out: any place will do for that one.
        nowhere = ~touched.any(1)
        return Windows(extent, begin.where(~nowhere, 0), end.where(~nowhere, 0))

    def needed(self, output: Windows, extent: int) -> Tensor:
        """Return int64 (P, T): the input coordinates that output windows are made of."""
        first, last = self._span()
        begin, end = first[output.starts], last[output.starts + output.size - 1]
        length = int((end - begin).max()) + 1
        return begin.clamp(max=extent - length)[:, None] + torch.arange(length)

    def between(self, output: Windows) -> Tensor:
        """Return float64 (P, t, T): what each place of a window takes of its patch."""
        inputs = self.needed(output, self.matrix.shape[1])
        return self.matrix[output.coordinates()[:, :, None], inputs[:, None, :]]


def resample(patches: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Return windows (M, C, t, u), channels last, of patches (M, C, T, U), channels last.

    Args:
        patches: of the input.
        rows: (M, t, T), the weights along the first axis.
        cols: (M, u, U), along the second.
    """
    channels = patches.shape[1]
    lines = rows @ patches.permute(0, 2, 3, 1).flatten(2)
    windows: Tensor = cols[:, None] @ lines.view(*lines.shape[:2], -1, channels)
    return windows.permute(0, 3, 1, 2)
