"""Detectors, one a file: networks that map images (N, C, H, W) in [0, 1] to scores float64 (N,)."""

from typing import TYPE_CHECKING, Any

from pixguard.defences.detectors.registry import DETECTORS

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DETECTORS", "build_detector"]


def build_detector(name: str, channels: int, **parameters: Any) -> "nn.Module":
    """Return a detector that awaits its weights.

    Args:
        name: in :data:`DETECTORS`.
        channels: of the images, 1 or 3.
        parameters: arguments of the detector's builder beyond ``channels``.

    Raises:
        UsageError: no detector has that name.
    """
    detector: nn.Module = DETECTORS.load(name)(channels, **parameters)
    return detector
