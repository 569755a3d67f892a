"""Random-valued impulse noise (paper, section 3.1.2): what every denoiser is trained against."""

import torch
from torch import Tensor


def impulse_noise(
    images: Tensor,
    level: float | Tensor,
    generator: torch.Generator,
    *,
    per_channel: bool = False,
) -> Tensor:
    """Return images in which pixels are replaced by uniform random colours.

    Args:
        images: float32 (N, C, H, W) in [0, 1]; not changed.
        level: probability in [0, 1] that a pixel is replaced; a number, or (N,), one an image.
        generator: on the images' device; the only source of randomness.
        per_channel: decide for each channel of a pixel apart, not for all together.

    Returns:
        float32 (N, C, H, W) in [0, 1].
    """
    count, channels, height, width = images.shape
    levels = torch.as_tensor(level, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)
    draws = torch.rand(
        (count, channels if per_channel else 1, height, width),
        generator=generator,
        dtype=images.dtype,
        device=images.device,
    )
    colours = torch.rand(
        images.shape, generator=generator, dtype=images.dtype, device=images.device
    )
    return torch.where(draws < levels, colours, images)
