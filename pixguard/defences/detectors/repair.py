"""The alarm of the repair (ours): how far the pixel stands out that does so most.

Its threshold is taken from clean validation images, at the share of false alarms that is allowed.
"""

import torch
from torch import Tensor, nn

from pixguard.config import DenoiserSettings, DetectorSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.repair import Repair, alarm_threshold
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.models.training_loop import Fit, Made, Workplace


class RepairDetector(nn.Module):
    """A repair whose highest score raises an alarm above a threshold.

    Args:
        channels: of the images, 1 or 3.
        denoiser: which repair: a :class:`~pixguard.defences.denoisers.repair.Repair` by name.
    """

    threshold: Tensor

    def __init__(self, channels: int, denoiser: str = "repair") -> None:
        super().__init__()
        repair = build_denoiser(denoiser, channels)
        assert isinstance(repair, Repair)
        self.repair = repair
        # It stands with the weights: what has another threshold is another detector.
        self.register_buffer("threshold", torch.zeros((), dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N,), float64, for images (N, C, H, W)."""
        return self.repair.highest(images) - self.threshold


def train(
    images_train: Images, images_val: Images, settings: DetectorSettings, at: Workplace
) -> Made:
    """Train the predictor, where there is one, and take the threshold from validation images.

    See :class:`pixguard.defences.detectors.training.Trainer`.

    Raises:
        UsageError: there are no validation images.
    """
    options = DETECTORS[settings.name].settled(settings.options)
    if not len(images_val):
        raise UsageError(
            "the threshold of an alarm comes from clean validation images, and there are none",
            "choose a `split=...` that has them, or another `normal=...`",
        )
    detector = RepairDetector(images_train.shape[-1], options.scorer)
    fit = Fit((), 0.0, True, len(images_train))
    if options.scorer != "repair":
        own = DenoiserSettings(options.scorer, epochs=settings.epochs, seed=settings.seed)
        made = train_denoiser(own, images_train, images_val, at)
        fit = made.fit
        assert isinstance(made.module, Repair)
        detector.repair = made.module
    if not fit.finished:
        return Made(detector, fit)
    detector.to(at.device).eval()
    if options.false_alarms * len(images_val) < 1:
        at.display.say(
            f"{len(images_val)} validation images cannot tell a rate below 1 in {len(images_val)}: "
            "the threshold is the highest score of theirs"
        )
    detector.threshold.fill_(
        alarm_threshold(detector.repair, images_val, options.false_alarms, at.device)
    )
    return Made(detector, fit, {"denoiser": options.scorer})
