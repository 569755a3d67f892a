"""Trigger detection (Wang et al. 2021): the pixel whose repair shakes the classifier most.

Each pixel in turn takes the median of its neighbours, and the classifier is asked again. The score
is the largest fall of its confidence in what it decides on the whole image: an attacked decision
hangs on one pixel. Inferred: the median, and that only falls count. All pixels of an image are
one-pixel candidates, so that the delta evaluator does what an attack has it do.
"""

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.config import DetectorSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers.layers import select
from pixguard.defences.denoisers.repair import neighbours
from pixguard.defences.detectors.alarm import Alarm, require_validation
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import choose_evaluator
from pixguard.models.training_loop import Fit, Made, Workplace


class TriggerDetector(Alarm):
    """Asks a classifier about an image without each of its pixels.

    Args:
        channels: of the images, 1 or 3.
        classifier: in evaluation mode, on the device of the images. It is no part of the state
            dict: its weights are stored once, and found by their hash.
    """

    def __init__(self, channels: int, classifier: Classifier) -> None:
        super().__init__()
        self._asked = (classifier,)  # in a tuple it is no submodule
        self._evaluators: dict[tuple[int, int], Evaluator] = {}

    def highest(self, images: Tensor) -> Tensor:
        """Return the largest fall of the confidence, float64 (N,), at least 0.

        Every image is judged alone.
        """
        return torch.stack([self._largest_fall(image[None]) for image in images])

    def _largest_fall(self, image: Tensor) -> Tensor:
        (classifier,) = self._asked
        low, high = select(neighbours(image), (3, 4))
        colours, before = (((low + high) / 2)[0] * 255).round(), (image[0] * 255).round()
        positions = (colours != before).any(0).nonzero()  # (n, 2)
        logits = classifier(image)
        decided = classifier.indicators(logits)
        confidence = classifier.confidence(logits, decided)[0]
        if not len(positions):
            return torch.zeros_like(confidence)
        evaluator = self._evaluator(*image.shape[2:])
        evaluator.load(0, image[0])
        found = evaluator.logits(
            torch.zeros(len(positions), dtype=torch.int64, device=image.device),
            positions[:, None],
            colours[:, positions[:, 0], positions[:, 1]].T.to(torch.uint8)[:, None],
        )
        least = classifier.confidence(found, decided).amin()
        return (confidence - least).clamp(min=0)

    def _evaluator(self, height: int, width: int) -> Evaluator:
        """Return the evaluator of a size, in float32, made when it is first needed."""
        if (height, width) not in self._evaluators:
            (classifier,) = self._asked
            made = choose_evaluator(
                classifier, height, width, classifier.mean.device, precision="float32"
            )
            made.allocate(1, height, width, 1)
            self._evaluators[height, width] = made
        return self._evaluators[height, width]


def train(
    images_train: Images,
    images_val: Images,
    settings: DetectorSettings,
    at: Workplace,
    *,
    classifier: Classifier,
) -> Made:
    """Take the threshold from validation images; there is nothing to train.

    See :class:`pixguard.defences.detectors.training.Trainer`.

    Raises:
        UsageError: there are no validation images.
    """
    options = DETECTORS[settings.name].settled(settings.options)
    require_validation(images_val)
    detector = TriggerDetector(images_train.shape[-1], classifier)
    at.display.say(f"asking the classifier about each pixel of {len(images_val)} clean images")
    detector.settle(images_val, options.false_alarms, at)
    return Made(detector, Fit((), 0.0, True, len(images_train)), {"classifier": options.classifier})
