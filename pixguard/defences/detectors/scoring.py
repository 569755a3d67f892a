"""Scores of images, each taken as if the image were alone."""

import torch
from torch import Tensor, nn

from pixguard.classifiers.evaluation import plain_float32
from pixguard.models.inputs import plain_layout


def score_images(detector: nn.Module, images: Tensor) -> Tensor:
    """Return the scores of images, float64 (N,), which depend on nothing but image and weights.

    Args:
        detector: in evaluation mode, on the images' device.
        images: float32 (N, C, H, W) in [0, 1].
    """
    with torch.inference_mode(), plain_float32(images.device):
        scores = [detector(plain_layout(image[None])) for image in images]
    return torch.cat(scores) if scores else torch.zeros(0, dtype=torch.float64)
