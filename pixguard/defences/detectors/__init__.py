"""Detectors by name: modules that map images (N, C, H, W) in [0, 1] to scores, float64 (N,).

The higher a score, the further an image is from what the detector was trained on; above 0 it
raises an alarm. A score is taken image by image (:func:`score_images`), so that it depends on
nothing but the image, the weights and the device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pixguard.classifiers.evaluation import plain_float32
from pixguard.defences.detectors.one_class_svm import OneClassSVMDetector
from pixguard.errors import UsageError
from pixguard.models.inputs import plain_layout

_BUILDERS: dict[str, Callable[..., nn.Module]] = {"one-class-svm": OneClassSVMDetector}

NAMES: tuple[str, ...] = tuple(_BUILDERS)


def build_detector(name: str, channels: int, **parameters: Any) -> nn.Module:
    """Return a detector that awaits its weights.

    Args:
        name: one of :data:`NAMES`.
        channels: of the images, 1 or 3.
        parameters: arguments of the detector's builder beyond ``channels``.

    Raises:
        UsageError: no detector has that name.
    """
    if name not in _BUILDERS:
        raise UsageError(
            f"there is no detector named {name!r}", f"choose one of: {', '.join(NAMES)}"
        )
    return _BUILDERS[name](channels, **parameters)


def score_images(detector: nn.Module, images: Tensor) -> Tensor:
    """Return the scores of images, float64 (N,), each as if it were alone.

    Args:
        detector: in evaluation mode, on the images' device.
        images: float32 (N, C, H, W) in [0, 1].
    """
    with torch.inference_mode(), plain_float32(images.device):
        scores = [detector(plain_layout(image[None])) for image in images]
    return torch.cat(scores) if scores else torch.zeros(0, dtype=torch.float64)
