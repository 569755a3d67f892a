"""The resize before a classifier that is attacked at the images' own sizes, as part of it.

The loader resizes bytes with Pillow: twice bicubic, antialiased, rounded to 8 bits after each
direction. Here the same filter is a product with two matrices in floating point: differentiable,
exact in what a changed pixel reaches, and without the atomic sums of a library's backward pass;
clipped to [0, 1] but not rounded, for rounding has no gradient. So a decision through it may differ
from that on the image as loaded (on 1 of 928 blood cells, by a small CNN at 28 pixels; gray levels
differ by at most 2.5): whoever attacks through it judges the clean images through it, too.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from pixguard.classifiers.behind import behind
from pixguard.classifiers.classifier import Classifier

FILTER = "bicubic"
"""What the record of an attack calls the resize."""
_SHARPNESS = -0.5
_SUPPORT = 2.0


def resampling_matrix(extent: int, size: int) -> Tensor:
    """Return float64 (size, extent): what each output along an axis takes of each input.

    Bicubic (Keys 1981, a = -0.5), widened by the factor of a reduction: Pillow's ``BICUBIC``
    before its coefficients are rounded. Of equal extents it is the identity.
    """
    scale = extent / size
    widening = max(scale, 1.0)
    centres = (torch.arange(size, dtype=torch.float64)[:, None] + 0.5) * scale
    places = torch.arange(extent, dtype=torch.float64)
    first = (centres - _SUPPORT * widening + 0.5).clamp(min=0).floor()
    last = (centres + _SUPPORT * widening + 0.5).floor()
    weights = _cubic((places - centres + 0.5) / widening)
    weights = weights.where((places >= first) & (places < last), 0.0)
    return weights / weights.sum(1, keepdim=True)


def _cubic(distance: Tensor) -> Tensor:
    x, a = distance.abs(), _SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


@lru_cache(maxsize=64)
def _matrix(extent: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # one made inside could not be differentiated through later
        return resampling_matrix(extent, size).to(device, dtype)


class Resize(nn.Module):
    """Maps images (N, C, H, W) of any size to (N, C, size, size), whatever their proportions.

    Values may leave the range of the input: the filter overshoots at edges.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return the resized images, in their dtype."""
        height, width = images.shape[-2:]
        with torch.autocast(images.device.type, enabled=False):  # pixels are never rounded
            rows = _matrix(height, self.size, images.dtype, images.device)
            cols = _matrix(width, self.size, images.dtype, images.device)
            return rows @ (images @ cols.T)


def at_native_size(classifier: Classifier, size: int) -> Classifier:
    """Return a classifier of images of any size: resized to ``size``, clipped, then classified."""
    return behind(classifier, Resize(size))
