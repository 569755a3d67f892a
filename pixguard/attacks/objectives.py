"""What an attack wants of the classifier: a fitness to minimise, and when it has succeeded.

Each objective takes logits float32 (N, L), the clean decision bool (N, L) and a *focus* int64 (N,)
(the class that the objective is about), and returns fitness float64 (N,) and success bool (N,).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier

Objective = Callable[[Classifier, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def _at(values: Tensor, focus: Tensor) -> Tensor:
    return values.gather(1, focus[:, None])[:, 0]


def misclassify(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    """Non-targeted, multi-class: minimise the probability of the true class, the focus."""
    probabilities = classifier.probabilities(logits)
    return _at(probabilities, focus), probabilities.argmax(1) != focus


def reach_target(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    """Targeted, multi-class: minimise one minus the probability of the target, the focus."""
    probabilities = classifier.probabilities(logits)
    return 1 - _at(probabilities, focus), probabilities.argmax(1) == focus


def _margins(classifier: Classifier, logits: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N, L): how far each label is from flipping, negative once it has."""
    distance = classifier.probabilities(logits) - classifier.thresholds.double()
    return torch.where(clean, distance, -distance)


def change_label_set(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    """Multi-label: any label flips; the label nearest to its threshold leads. No focus."""
    fitness = _margins(classifier, logits, clean).amin(1)
    return fitness, (classifier.indicators(logits) != clean).any(1)


def flip_label(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    """Multi-label: one given label, the focus, flips."""
    changed = classifier.indicators(logits) != clean
    return _at(_margins(classifier, logits, clean), focus), _at(changed, focus)


def change_argmax(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    """Multi-label: the most probable label is no longer the clean image's, the focus."""
    probabilities = classifier.probabilities(logits)
    others = probabilities.scatter(1, focus[:, None], -torch.inf)
    return _at(probabilities, focus) - others.amax(1), probabilities.argmax(1) != focus
