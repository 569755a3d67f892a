"""Convolutions on maps that are smaller than the kernel, as products with one matrix.

On a map of 2 x 2 most taps of a 3 x 3 kernel see only padding. Written out as a matrix from all
inputs to all outputs, the layer needs 16 products for a pair of channels and not 36; on a map of a
single place 1 and not 9. ResNet50 ends there on images of 28 and 64 pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixguard.inference.operations import Shape


class MapMatrix:
    """A convolution on maps of one size: (N, C, H, W) to (N, C', H', W'), both channels last."""

    def __init__(self, convolution: nn.Conv2d, shape: Shape) -> None:
        """``shape`` is (1, C, H, W), that of the input."""
        weight = convolution.weight
        _, channels, height, width = shape
        size = channels * height * width
        basis = torch.eye(size, dtype=weight.dtype, device=weight.device)
        basis = basis.view(size, height, width, channels).permute(0, 3, 1, 2)
        bias, convolution.bias = convolution.bias, None
        answers = convolution(basis).permute(0, 2, 3, 1)
        convolution.bias = bias
        self._outputs = answers.shape[1:]
        self._matrix = answers.flatten(1).T.contiguous()
        places = self._outputs[0] * self._outputs[1]
        self._bias = None if bias is None else bias.repeat(places)

    @staticmethod
    def pays_for(module: nn.Module | None, shape: Shape) -> bool:
        """Tell whether a module is a convolution with more taps than its map has places."""
        if not isinstance(module, nn.Conv2d) or module.groups != 1:
            return False
        places = shape[2] * shape[3]
        return places == 1 or places < module.kernel_size[0] * module.kernel_size[1]

    def __call__(self, maps: Tensor) -> Tensor:
        """Return the convolution of maps (N, C, H, W)."""
        rows = maps.to(self._matrix.dtype).permute(0, 2, 3, 1).flatten(1)
        products = F.linear(rows, self._matrix, self._bias)
        return products.view(-1, *self._outputs).permute(0, 3, 1, 2)
