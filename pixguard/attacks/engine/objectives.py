"""What an attack wants of the classifier: a fitness to minimise, and when it has succeeded.

Each function takes logits float32 (N, L), the clean decision bool (N, L) and a *focus* int64 (N,)
(the class that the objective is about).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.records import Task

Judge = Callable[[Classifier, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
Margin = Callable[[Classifier, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Objective:
    """An aim of an attack, in two forms.

    Attributes:
        judge: returns the *probability* fitness float64 (N,), by which differential evolution
            selects (the paper, section 3.1.1), and success bool (N,).
        margin: returns float64 (N,), how far the logits are from a success: differentiable, not
            saturated where the classifier is sure; at most zero on a success, and above otherwise.
    """

    judge: Judge
    margin: Margin


def _at(values: Tensor, focus: Tensor) -> Tensor:
    return values.gather(1, focus[:, None])[:, 0]


def _best_other(values: Tensor, focus: Tensor) -> Tensor:
    return values.scatter(1, focus[:, None], -torch.inf).amax(1)


def _lead(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    """How far the focus leads every other class."""
    wide = logits.double()
    return _at(wide, focus) - _best_other(wide, focus)


def _deficit(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    """How far the focus lags behind the leading class."""
    return -_lead(classifier, logits, clean, focus)


def _distances(values: Tensor, thresholds: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N, L): how far each label is from flipping, negative once it has."""
    distance = values - thresholds
    return torch.where(clean, distance, -distance)


def _probability_distances(classifier: Classifier, logits: Tensor, clean: Tensor) -> Tensor:
    return _distances(classifier.probabilities(logits), classifier.thresholds.double(), clean)


def _logit_distances(classifier: Classifier, logits: Tensor, clean: Tensor) -> Tensor:
    return _distances(logits.double(), classifier.thresholds.double().logit(), clean)


def _misclassify(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    probabilities = classifier.probabilities(logits)
    return _at(probabilities, focus), probabilities.argmax(1) != focus


misclassify = Objective(_misclassify, _lead)
"""Non-targeted, multi-class: minimise the probability of the true class, the focus."""


def _reach_target(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    probabilities = classifier.probabilities(logits)
    return 1 - _at(probabilities, focus), probabilities.argmax(1) == focus


reach_target = Objective(_reach_target, _deficit)
"""Targeted, multi-class: minimise one minus the probability of the target, the focus."""


def _change_label_set(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    fitness = _probability_distances(classifier, logits, clean).amin(1)
    return fitness, (classifier.indicators(logits) != clean).any(1)


def _nearest_label(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    return _logit_distances(classifier, logits, clean).amin(1)


change_label_set = Objective(_change_label_set, _nearest_label)
"""Multi-label: any label flips; the label nearest to its threshold leads. No focus."""


def _flip_label(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    changed = classifier.indicators(logits) != clean
    return _at(_probability_distances(classifier, logits, clean), focus), _at(changed, focus)


def _one_label(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    return _at(_logit_distances(classifier, logits, clean), focus)


flip_label = Objective(_flip_label, _one_label)
"""Multi-label: one given label, the focus, flips."""


def _change_argmax(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    probabilities = classifier.probabilities(logits)
    fitness = _at(probabilities, focus) - _best_other(probabilities, focus)
    return fitness, probabilities.argmax(1) != focus


change_argmax = Objective(_change_argmax, _lead)
"""Multi-label: the most probable label is no longer the clean image's, the focus."""


def choose_objective(task: Task, *, targeted: bool, argmax: bool = False) -> Objective:
    """Return the objective for a task and a goal.

    ``argmax`` is a definition of success for non-targeted attacks on several labels: the most
    probable one changes. Otherwise any change of the label set counts.
    """
    if task == "multi-class":
        return reach_target if targeted else misclassify
    if targeted:
        return flip_label
    return change_argmax if argmax else change_label_set
