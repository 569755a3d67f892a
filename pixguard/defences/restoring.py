"""Running a denoiser over images."""

import torch
from torch import Tensor, nn

from pixguard.models.memory import with_room


def restore(denoiser: nn.Module, images: Tensor, *, batch: int) -> Tensor:
    """Return restored images, float32 (N, C, H, W), clipped to [0, 1].

    The denoiser is run in evaluation mode, without gradients, and put back into its own mode.

    Args:
        denoiser: maps (n, C, H, W) to (n, C, H, W).
        images: float32 (N, C, H, W) in [0, 1], on the denoiser's device.
        batch: images at a time, at least 1; fewer where memory does not do for them.
    """
    mode = denoiser.training
    denoiser.eval()

    def lower() -> bool:
        nonlocal batch
        can, batch = batch > 1, max(1, batch // 2)
        return can

    def all_parts() -> Tensor:
        restored = torch.empty_like(images)
        for start in range(0, len(images), batch):
            part = slice(start, start + batch)
            restored[part] = denoiser(images[part]).clamp(0, 1)
        return restored

    try:
        with torch.inference_mode():
            return with_room(all_parts, lower)
    finally:
        denoiser.train(mode)
