"""Denoisers, one a file: networks that map images (N, C, H, W) in [0, 1] to restored ones."""

from typing import TYPE_CHECKING, Any

from pixguard.defences.denoisers.registry import DENOISERS

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DENOISERS", "build_denoiser"]


def build_denoiser(name: str, channels: int, **parameters: Any) -> "nn.Module":
    """Return a denoiser with fresh weights, on the CPU; torch's own generator draws them.

    Args:
        name: in :data:`DENOISERS`.
        channels: of the images, 1 or 3.
        parameters: arguments of the denoiser's builder beyond ``channels``.

    Raises:
        UsageError: no denoiser has that name.
    """
    denoiser: nn.Module = DENOISERS.load(name)(channels, **parameters)
    return denoiser
