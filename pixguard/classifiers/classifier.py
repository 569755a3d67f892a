"""The module under attack: a network with its normalisation and its decision rule."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pixguard.records import LabelSet, Task


@dataclass(frozen=True, slots=True)
class Decision:
    """A classifier's decision on one image: the label set, its confidence in [0, 1]."""

    label_set: LabelSet
    confidence: float


class Classifier(nn.Module):
    """Maps float32 images (N, C, H, W) in [0, 1] to logits (N, L); normalises inside.

    Attributes:
        network: maps normalised images (N, C, H, W) to logits (N, L).
        task: multi-class (softmax, argmax) or multi-label (sigmoid, ``thresholds``).
        thresholds: (L,), a label is given when its probability reaches its threshold.
    """

    mean: Tensor
    std: Tensor
    thresholds: Tensor

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        label_count: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.label_count = label_count
        self.channels = len(mean)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.register_buffer("thresholds", torch.full((label_count,), threshold))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, L) for float32 images (N, C, H, W) in [0, 1]."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return float64 probabilities (N, L).

        In float32 the softmax of a confident network saturates at 1 and a search over it sees
        only ties; float64 keeps the order of the float32 logits up to margins of about 36.
        """
        wide = logits.double()
        return wide.softmax(dim=1) if self.task == "multi-class" else wide.sigmoid()

    def indicators(self, logits: Tensor) -> Tensor:
        """Return the decision as bool (N, L): one-hot for multi-class, thresholded otherwise."""
        probabilities = self.probabilities(logits)
        if self.task == "multi-class":
            return torch.nn.functional.one_hot(probabilities.argmax(1), self.label_count).bool()
        return probabilities >= self.thresholds.double()

    def confidence(self, logits: Tensor, indicators: Tensor) -> Tensor:
        """Return float64 (N,): the confidence in given decisions, bool (N, L) or (1, L).

        Multi-class: the probability of the class. Multi-label: the smallest probability, over
        the labels, of that label's decision.
        """
        probabilities = self.probabilities(logits)
        if self.task == "multi-class":
            return (probabilities * indicators).sum(1)
        return torch.where(indicators, probabilities, 1 - probabilities).amin(1)

    def decide(self, logits: Tensor) -> list[Decision]:
        """Return the decisions for logits (N, L)."""
        indicators = self.indicators(logits)
        confidences = self.confidence(logits, indicators).tolist()
        return [
            Decision(tuple(int(o) for o in row.nonzero().flatten()), float(confidence))
            for row, confidence in zip(indicators.cpu(), confidences, strict=True)
        ]
