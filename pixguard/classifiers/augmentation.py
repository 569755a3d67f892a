"""Training images changed at random, on the device: moved about, or with attacked-like pixels."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

MOST_DEGREES = 10.0
MOST_SHIFT = 1 / 16
"""Of a side. Small, so that a finding at the border stays in the image."""


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images flipped left to right half of the time, turned and shifted a little.

    Never upside down: layers of a retina and chests have a top.

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        generator: on the images' device; the only source of chance.
    """
    count, _, height, width = images.shape
    draws = torch.rand(count, 4, generator=generator, device=images.device)
    flip = torch.where(draws[:, 0] < 0.5, -1.0, 1.0)
    angle = (draws[:, 1] * 2 - 1) * math.radians(MOST_DEGREES)
    shift = (draws[:, 2:] * 2 - 1) * 2 * MOST_SHIFT  # the grid is 2 wide
    cosine, sine = angle.cos(), angle.sin()
    ratio = height / width  # a turn must not shear images that are not square
    rows = [
        torch.stack([cosine * flip, -sine * ratio, shift[:, 0]], dim=1),
        torch.stack([sine * flip / ratio, cosine, shift[:, 1]], dim=1),
    ]
    grid = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    found = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return found.clamp(0, 1)


def with_random_pixels(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Return images of which the first half has pixels changed, as an attack changes them.

    Places are drawn without search, distinct in an image. A colour is, half of the time each, a
    corner of the colour cube (what attacks end at) or any of its 8-bit values.

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        pixels: how many an image, at most H * W.
        generator: on the images' device; the only source of chance.
    """
    half, channels = len(images) // 2, images.shape[1]
    device = images.device
    flat = images.flatten(2).clone()
    ranks = torch.rand(half, flat.shape[2], generator=generator, device=device)
    places = ranks.topk(pixels, dim=1).indices
    shape = (half, channels, pixels)
    any_value = torch.randint(0, 256, shape, generator=generator, device=device) / 255
    corner = torch.randint(0, 2, shape, generator=generator, device=device).float()
    extreme = torch.rand(half, 1, pixels, generator=generator, device=device) < 0.5
    colours = torch.where(extreme, corner, any_value)
    flat[:half].scatter_(2, places[:, None].expand(shape), colours)
    return flat.view_as(images)
