"""Convolutions on maps that are smaller than the kernel, as products with one matrix.

On a map of 2 x 2 most taps of a 3 x 3 kernel see only padding. Written out as a matrix from all
inputs to all outputs, the layer needs 16 products for a pair of channels and not 36; on a map of a
single place 1 and not 9. ResNet50 ends there on images of 28 and 64 pixels.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixguard.inference.operations import Shape


class MapMatrix:
    """A convolution on maps of one size: (N, C, H, W) to (N, C', H', W'), both channels last."""

    def __init__(self, convolution: nn.Conv2d, shape: Shape, shape_out: Shape) -> None:
        """``shape`` is (1, C, H, W), that of the input; ``shape_out`` that of the output."""
        weight, bias = convolution.weight, convolution.bias
        _, outputs, height_out, width_out = shape_out
        _, channels, height, width = shape
        with torch.inference_mode(False):  # bounds are differentiated
            matrix = weight.new_zeros(height_out, width_out, outputs, height, width, channels)
        rows, cols = (
            _taps(out, size, convolution, axis)
            for axis, (out, size) in enumerate(((height_out, height), (width_out, width)))
        )
        for (row_out, row_tap, row), (col_out, col_tap, col) in itertools.product(rows, cols):
            matrix[row_out, col_out, :, row, col] = weight[:, :, row_tap, col_tap]
        self._outputs = (height_out, width_out, outputs)
        with torch.inference_mode(False):
            self._matrix = matrix.flatten(3).flatten(0, 2)
            self._bias = None if bias is None else bias.repeat(height_out * width_out)

    @staticmethod
    def pays_for(module: nn.Module | None, shape: Shape) -> bool:
        """Tell whether a module is a convolution with more taps than its map has places."""
        if not isinstance(module, nn.Conv2d) or module.groups != 1:
            return False
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            return False
        places = shape[2] * shape[3]
        return places == 1 or places < module.kernel_size[0] * module.kernel_size[1]

    def __call__(self, maps: Tensor) -> Tensor:
        """Return the convolution of maps (N, C, H, W)."""
        return self._product(maps, self._matrix, self._bias)

    def without_bias(self, maps: Tensor) -> Tensor:
        """Return the convolution of maps (N, C, H, W), less the bias."""
        return self._product(maps, self._matrix, None)

    def of_sizes(self, maps: Tensor) -> Tensor:
        """Return how large the outputs can be, less the bias, with inputs of at most these."""
        return self._product(maps, self._matrix.abs(), None)

    def _product(self, maps: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
        rows = maps.to(matrix.dtype).permute(0, 2, 3, 1).flatten(1)
        products = F.linear(rows, matrix, bias)
        return products.view(-1, *self._outputs).permute(0, 3, 1, 2)


def _taps(outputs: int, size: int, convolution: nn.Conv2d, axis: int) -> list[tuple[int, int, int]]:
    """Return (output, tap, input) along an axis for every tap that does not see padding."""
    stride, padding = convolution.stride[axis], int(convolution.padding[axis])
    dilation, kernel = convolution.dilation[axis], convolution.kernel_size[axis]
    return [
        (output, tap, place)
        for output in range(outputs)
        for tap in range(kernel)
        if 0 <= (place := output * stride - padding + tap * dilation) < size
    ]
