"""Noise by name: what denoisers are trained against and judged by.

Every kind adds more noise at a higher level and none at level 0; what a level is, each function
says. Images stay in [0, 1] and on their device, and the generator decides alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pixguard.errors import UsageError
from pixguard.registry import suggestion

Noise = Callable[[Tensor, float | Tensor, torch.Generator], Tensor]
IMPULSE = "impulse"
K_PIXEL = "k-pixel"


def impulse_noise(
    images: Tensor,
    level: float | Tensor,
    generator: torch.Generator,
    *,
    per_channel: bool = False,
) -> Tensor:
    """Return images in which pixels are replaced by uniform random colours.

    Random-valued impulse noise (paper, section 3.1.2).

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: probability in [0, 1] that a pixel is replaced; a number, or (N,), one an image.
        generator: on the images' device; the only source of randomness.
        per_channel: decide for each channel of a pixel apart, not for all together.

    Returns:
        float32 (N, C, H, W) in [0, 1].
    """
    count, channels, height, width = images.shape
    draws = _uniform(images, (count, channels if per_channel else 1, height, width), generator)
    colours = _uniform(images, images.shape, generator)
    return torch.where(draws < _by_image(level, images), colours, images)


def salt_and_pepper_noise(
    images: Tensor, level: float | Tensor, generator: torch.Generator
) -> Tensor:
    """Return images in which pixels become black or white, all channels of a pixel together.

    Fixed-valued impulse noise (Gonzalez and Woods, Digital Image Processing, section 5.2).

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: probability in [0, 1] that a pixel is replaced, half the time by 0 and half by 1; a
            number, or (N,), one an image.
        generator: on the images' device.
    """
    count, _, height, width = images.shape
    draws = _uniform(images, (count, 1, height, width), generator)
    levels = _by_image(level, images)
    white = (draws < levels / 2).to(images.dtype)
    return torch.where(draws < levels, white, images)


def gaussian_noise(images: Tensor, level: float | Tensor, generator: torch.Generator) -> Tensor:
    """Return images plus white Gaussian noise, independent in every channel, clipped to [0, 1].

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: standard deviation as a share of the data range: sigma 25 of images from 0 to 255
            (Zhang et al. 2017) is 25 / 255 = 0.098; a number, or (N,), one an image.
        generator: on the images' device.
    """
    draws = torch.randn(images.shape, generator=generator, dtype=images.dtype, device=images.device)
    return (images + _by_image(level, images) * draws).clamp(0, 1)


def poisson_noise(images: Tensor, level: float | Tensor, generator: torch.Generator) -> Tensor:
    """Return what a detector would have counted, independent in every channel, clipped to [0, 1].

    A value x becomes P / L with P drawn from the Poisson distribution of mean L x, where L is the
    count at full intensity (Lehtinen et al. 2018, section 3.2, without their noise at zero).

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: standard deviation at full intensity, as a share of the data range: L = 1 / level^2,
            so that 0.1 is a hundred counts; at intensity x it is level * sqrt(x). A number, or
            (N,), one an image.
        generator: on the images' device.
    """
    levels = _by_image(level, images)
    peak = levels.clamp_min(torch.finfo(images.dtype).eps).square().reciprocal()
    counted = (torch.poisson(images * peak, generator=generator) / peak).clamp(0, 1)
    return torch.where(levels > 0, counted, images)


def k_pixel_noise(images: Tensor, level: float | Tensor, generator: torch.Generator) -> Tensor:
    """Return images in which exactly k pixels, drawn at random, have uniform random colours.

    What a k-pixel attack may change, at places and in colours that nobody chose.

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: k, a whole number from 0 to H * W; a number, or (N,), one an image.
        generator: on the images' device.

    Raises:
        UsageError: an image has fewer than k pixels.
    """
    count, _, height, width = images.shape
    most = int(level.max()) if isinstance(level, Tensor) else int(level)
    if most > height * width:
        raise UsageError(
            f"images of {height} x {width} have no {most} pixels to replace",
            f"`noise={height * width}` or less",
        )
    draws = _uniform(images, (count, height * width), generator)
    chosen = draws.topk(most, dim=1, largest=False).indices
    ranks = torch.arange(most, device=images.device)
    wanted = ranks < _by_image(level, images).reshape(-1, 1)
    mask = torch.zeros(draws.shape, dtype=torch.bool, device=images.device)
    mask.scatter_(1, chosen, wanted.expand(count, most))
    colours = _uniform(images, images.shape, generator)
    return torch.where(mask.reshape(count, 1, height, width), colours, images)


NOISES: dict[str, Noise] = {
    IMPULSE: impulse_noise,
    "salt-and-pepper": salt_and_pepper_noise,
    "gaussian": gaussian_noise,
    "poisson": poisson_noise,
    K_PIXEL: k_pixel_noise,
}


def add_noise(
    kind: str, images: Tensor, level: float | Tensor, generator: torch.Generator
) -> Tensor:
    """Return images with noise of a kind.

    Args:
        kind: one of :data:`NOISES`.
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: in the units of the kind; a number, or (N,), one an image.
        generator: on the images' device; the only source of randomness.

    Returns:
        float32 (N, C, H, W) in [0, 1].
    """
    return NOISES[kind](images, level, generator)


def check_noise(kind: str, level: float) -> None:
    """Raise if a noise has no such kind or level.

    Raises:
        UsageError: with what the level of that kind is.
    """
    if kind not in NOISES:
        raise UsageError(f"there is no noise named {kind!r}", suggestion(kind, NOISES))
    if kind == K_PIXEL:
        if level < 1 or not float(level).is_integer():
            raise UsageError(
                f"the level of k-pixel noise is a number of pixels, not {level:g}",
                "`noise=1`, or another whole number",
            )
    elif not 0 <= level <= 1:
        raise UsageError(
            f"the level of {kind} noise is a share from 0 to 1, not {level:g}",
            "`noise=0.1`; a sigma on the scale of 0 to 255 is to be divided by 255",
        )


def _by_image(level: float | Tensor, images: Tensor) -> Tensor:
    """Return levels (N, 1, 1, 1), or (1, 1, 1, 1), on the images' device."""
    return torch.as_tensor(level, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)


def _uniform(images: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=images.dtype, device=images.device)
