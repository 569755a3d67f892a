"""The alarm of the repair (ours): how far the pixel stands out that does so most.

Its threshold is taken from clean validation images, at the share of false alarms that is allowed.
"""

from torch import Tensor

from pixguard.config import DenoiserSettings, DetectorSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.repair import Repair
from pixguard.defences.detectors.alarm import Alarm, require_validation
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.training import train_denoiser
from pixguard.models.training_loop import Fit, Made, Workplace


class RepairDetector(Alarm):
    """A repair whose highest score raises an alarm above a threshold.

    Args:
        channels: of the images, 1 or 3.
        denoiser: which repair: a :class:`~pixguard.defences.denoisers.repair.Repair` by name.
    """

    def __init__(self, channels: int, denoiser: str = "repair") -> None:
        super().__init__()
        repair = build_denoiser(denoiser, channels)
        assert isinstance(repair, Repair)
        self.repair = repair

    def highest(self, images: Tensor) -> Tensor:
        """See :class:`~pixguard.defences.detectors.alarm.Alarm`."""
        return self.repair.highest(images)


def train(
    images_train: Images, images_val: Images, settings: DetectorSettings, at: Workplace
) -> Made:
    """Train the predictor, where there is one, and take the threshold from validation images.

    See :class:`pixguard.defences.detectors.training.Trainer`.

    Raises:
        UsageError: there are no validation images.
    """
    options = DETECTORS[settings.name].settled(settings.options)
    require_validation(images_val)
    detector = RepairDetector(images_train.shape[-1], options.scorer)
    fit = Fit((), 0.0, True, len(images_train))
    if options.scorer != "repair":
        own = DenoiserSettings(options.scorer, epochs=settings.epochs, seed=settings.seed)
        made = train_denoiser(own, images_train, images_val, at)
        fit = made.fit
        assert isinstance(made.module, Repair)
        detector.repair = made.module
    if fit.finished:
        detector.settle(images_val, options.false_alarms, at)
    return Made(detector, fit, {"denoiser": options.scorer})
