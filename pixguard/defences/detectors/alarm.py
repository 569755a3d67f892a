"""What detectors of changed pixels share: an alarm above a threshold of clean images."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from pixguard.datasets.base import Images
from pixguard.defences.alarm import alarm_threshold
from pixguard.errors import UsageError
from pixguard.models.training_loop import Workplace


class Alarm(nn.Module, ABC):
    """A detector that says how suspicious an image's most suspicious pixel is."""

    threshold: Tensor

    def __init__(self) -> None:
        super().__init__()
        # It stands with the weights: what has another threshold is another detector.
        self.register_buffer("threshold", torch.zeros((), dtype=torch.float64))

    @abstractmethod
    def highest(self, images: Tensor) -> Tensor:
        """Return the highest score of each image, float64 (N,), for images (N, C, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N,), float64, for images (N, C, H, W): above 0 an alarm."""
        return self.highest(images) - self.threshold

    def settle(self, images_val: Images, false_alarms: float, at: Workplace) -> None:
        """Take the threshold from clean validation images; the detector moves to the device.

        Args:
            images_val: uint8 (M, H, W, C), M at least 1.
            false_alarms: the share of them that may raise an alarm.
            at: where they are scored, and who is told that they are too few.
        """
        self.to(at.device).eval()
        if false_alarms * len(images_val) < 1:
            at.display.say(
                f"{len(images_val)} validation images cannot tell a rate below 1 in "
                f"{len(images_val)}: the threshold is the highest score of theirs"
            )
        self.threshold.fill_(alarm_threshold(self.highest, images_val, false_alarms, at.device))


def require_validation(images_val: Images) -> None:
    """Raise where there is nothing to take a threshold from.

    Raises:
        UsageError: there are no validation images.
    """
    if not len(images_val):
        raise UsageError(
            "the threshold of an alarm comes from clean validation images, and there are none",
            "choose a `split=...` that has them, or another `normal=...`",
        )
