"""From which probability on a label is given: chosen on images that were not trained on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ThresholdRule = Literal["f1", "youden"]
_INSIDE = 1e-6
"""How far from 0 and 1 a threshold stays: attacks measure distances to it in logits."""


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """The threshold of one label.

    Attributes:
        threshold: in (0, 1), a float32.
        positives: images with the label, among those that it was chosen on.
        value: what the rule comes to at the threshold: the F1 score, or Youden's J; None where the
            images have no such label, or nothing else, and the threshold is the one before.
    """

    threshold: float
    positives: int
    value: float | None


def choose_thresholds(
    rule: ThresholdRule,
    probabilities: NDArray[np.float64],
    truth: NDArray[np.bool_],
    before: NDArray[np.float32],
) -> list[ChosenThreshold]:
    """Return the threshold of each label that a rule finds best, each label by itself.

    ``f1`` maximises 2 TP / (2 TP + FP + FN), ``youden`` J = sensitivity + specificity - 1 (W. J.
    Youden, Cancer 3 (1950), 32-35). Thresholds lie halfway between neighbouring probabilities; of
    several that are equally good the highest is taken, which gives the label least often.

    Args:
        rule: what is maximised.
        probabilities: float64 (N, L), of each label on each image.
        truth: bool (N, L), whether the image has it.
        before: float32 (L,), kept for a label that no image has, or every one.

    Raises:
        ValueError: the shapes differ.
    """
    if probabilities.shape != truth.shape or before.shape != probabilities.shape[1:]:
        raise ValueError(f"{probabilities.shape} probabilities of {truth.shape} labels")
    return [
        _choose(rule, probabilities[:, label], truth[:, label], float(before[label]))
        for label in range(len(before))
    ]


def _choose(
    rule: ThresholdRule, scores: NDArray[np.float64], has: NDArray[np.bool_], before: float
) -> ChosenThreshold:
    positives, count = int(has.sum()), len(has)
    if positives in (0, count):
        return ChosenThreshold(before, positives, None)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits_of_first = np.concatenate([[0], np.cumsum(has[order])])
    between = (ranked + np.append(ranked[1:], 0.0)) / 2
    thresholds = np.clip(between, _INSIDE, 1 - _INSIDE).astype(np.float32)
    # What a threshold gives is counted as it stands, rounded and inside its bounds.
    given = np.searchsorted(-ranked, -thresholds.astype(np.float64), side="right")
    hits = hits_of_first[given]
    if rule == "f1":
        values = 2 * hits / (given + positives)
    else:
        values = hits / positives - (given - hits) / (count - positives)
    best = int(np.argmax(values))
    return ChosenThreshold(float(thresholds[best]), positives, float(values[best]))
