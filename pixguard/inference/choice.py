"""Which evaluator, and which precision, for a classifier on a device."""

from collections.abc import Callable

import torch

from pixguard.classifiers.classifier import Classifier
from pixguard.config import EvaluatorName, PrecisionName
from pixguard.inference.base import Evaluator
from pixguard.inference.dense import DenseEvaluator, automatic_batch


def choose_evaluator(
    classifier: Classifier,
    height: int,
    width: int,
    device: torch.device,
    *,
    evaluator: EvaluatorName = "auto",
    precision: PrecisionName = "auto",
    batch: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Evaluator:
    """Return the evaluator for candidates on images of a size.

    Args:
        classifier: in evaluation mode, on the device.
        height: of the images, in pixels.
        width: of the images, in pixels.
        device: where to compute.
        evaluator: ``auto`` takes delta where the classifier allows it.
        precision: ``auto`` takes what the device is fastest in.
        batch: candidates evaluated at a time; None: by the device's memory.
        say: told why something asked for is not what is taken.
    """
    return DenseEvaluator(classifier, batch or automatic_batch(device, max(height, width)))
