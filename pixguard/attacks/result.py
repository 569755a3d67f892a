"""What the Python API hands back, and how it comes about."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.engine.jobs import Outcome
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.models.inputs import to_unit_range


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack did to N images: tensors on the images' device.

    ``pixels`` and ``colours`` are those of the success or, without one, of the best candidate;
    ``confidence`` and ``predicted`` are judged with them in place, each image alone, in float32.
    Where an image was not attacked, ``pixels`` is -1, ``colours`` 0, and the other two are those
    of the clean image.

    Attributes:
        images: of the dtype and shape attacked: the adversarial image where the attack succeeded
            (floats are exactly the k / 255 that were judged), else the clean image, untouched.
        success: bool (N,), the image reaches the goal of the attack, judged from its 8 bits.
        attacked: bool (N,). Images that the classifier gets wrong by itself are not attacked (the
            paper, section 4.1.2), and those for which it gave an output that is not finite do not
            count: ``success.sum() / attacked.sum()`` is the success rate.
        pixels: int64 (N, k, 2), (row, col) of the changed pixels; of a dense attack none.
        colours: uint8 (N, k, C), their colours; of a dense attack (N, H W, C), row by row.
        queries: int64 (N,), candidates asked for, up to and including the success.
        distinct_queries: int64 (N,), those that differed; None where the attack does not count.
        confidence: float64 (N,) in [0, 1], what is left for the true class; multi-label: the
            smallest probability, over the labels, of the true state of that label.
        predicted: the decision, int64 (N,) classes; multi-label: bool (N, L).
    """

    images: Tensor
    success: Tensor
    attacked: Tensor
    pixels: Tensor
    colours: Tensor
    queries: Tensor
    distinct_queries: Tensor | None
    confidence: Tensor
    predicted: Tensor


class Draft:
    """The result as it grows, on the CPU: at first what the classifier says of the clean images."""

    def __init__(
        self,
        classifier: Classifier,
        stored: NDArray[np.uint8],
        truth: Tensor,
        pixels: int,
        counts_distinct: bool,
    ) -> None:
        count, height, width, channels = stored.shape
        self.stored, self.truth, self.broken = stored, truth, list[int]()
        self.undecided = list[int]()
        self._task = classifier.task
        self._adversarial = stored.copy()
        self._success = torch.zeros(count, dtype=torch.bool)
        self._pixels = torch.full((count, pixels, 2), -1)
        self._colours = torch.zeros(count, pixels or height * width, channels, dtype=torch.uint8)
        self._queries = torch.zeros(count, dtype=torch.int64)
        self._distinct = torch.zeros(count, dtype=torch.int64) if counts_distinct else None
        self._confidence = torch.zeros(count, dtype=torch.float64)
        self._predicted = torch.zeros_like(truth)
        device = classifier.mean.device
        for index in range(count):
            logits = canonical_logits(classifier, to_unit_range(stored[index][None], device))
            self._predicted[index] = classifier.indicators(logits)[0]
            true = truth[index][None].to(device)
            self._confidence[index] = classifier.confidence(logits, true)[0]
        self.attacked = (self._predicted == truth).all(1)

    def enter(self, index: int, outcome: Outcome) -> None:
        """Take the outcome of the attempt on one image."""
        if outcome.error is not None:
            self.attacked[index] = False
            self.broken.append(index)
        if outcome.undecided is not None:
            self.undecided.append(index)
        self._success[index] = outcome.success
        self._pixels[index] = torch.from_numpy(outcome.positions)
        self._colours[index] = torch.from_numpy(outcome.colours)
        self._queries[index] = outcome.queries
        if self._distinct is not None and outcome.distinct_queries is not None:
            self._distinct[index] = outcome.distinct_queries
        self._confidence[index] = outcome.true_confidence
        self._predicted[index] = False
        self._predicted[index, list(outcome.decision.label_set)] = True
        if not len(outcome.positions):
            self._adversarial[index] = outcome.colours.reshape(self.stored[index].shape)
            return
        rows, cols = outcome.positions.T
        self._adversarial[index, rows, cols] = outcome.colours

    def result(self, images: Tensor) -> AttackResult:
        """Return the result for the images that were handed in."""
        done = images.detach().clone()
        changed = torch.from_numpy(self._adversarial[self._success.numpy()]).permute(0, 3, 1, 2)
        if images.dtype != torch.uint8:
            changed = changed.to(images.dtype) / 255
        where = self._success.to(images.device)
        done[where] = changed.to(images.device)
        distinct, predicted = self._distinct, self._predicted
        if self._task == "multi-class":
            predicted = predicted.long().argmax(1)
        return AttackResult(
            images=done,
            success=where,
            attacked=self.attacked.to(images.device),
            pixels=self._pixels.to(images.device),
            colours=self._colours.to(images.device),
            queries=self._queries.to(images.device),
            distinct_queries=None if distinct is None else distinct.to(images.device),
            confidence=self._confidence.to(images.device),
            predicted=predicted.to(images.device),
        )
