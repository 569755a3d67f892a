"""What a detector's trainer gets, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from pixguard.config import DetectorSettings
from pixguard.datasets.base import Images
from pixguard.models.training_loop import Fit, Workplace


@dataclass(frozen=True, slots=True)
class TrainedDetector:
    """A detector after its training.

    Attributes:
        network: with its weights, on any device.
        fit: what the training came to; ``fit.seconds`` is all of it.
        parameters: arguments of its builder beyond ``channels``; counts among them are told.
    """

    network: nn.Module
    fit: Fit
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Trainer(Protocol):
    """Trains a detector on the images of its normal class."""

    def __call__(
        self, images_train: Images, images_val: Images, settings: DetectorSettings, at: Workplace
    ) -> TrainedDetector:
        """Train, going on from the workplace's checkpoint where there is one.

        Args:
            images_train: uint8 (N, H, W, C), of the normal class.
            images_val: uint8 (M, H, W, C), likewise; M may be 0.
            settings: with the detector's own options.
            at: where, who watches, and who may stop it: then ``fit.finished`` is False and the
                network must not be used.
        """
