"""What an attack wants of the classifier: a fitness to minimise, and when it has succeeded.

Each function takes logits float32 (N, L), the clean decision bool (N, L) and a *focus* int64 (N,)
(the class that the objective is about).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pixguard.classifiers.classifier import Classifier
from pixguard.inference.decision import Wanted
from pixguard.records import Task

Judge = Callable[[Classifier, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
Margin = Callable[[Classifier, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Objective:
    """An aim of an attack, in three forms.

    Attributes:
        judge: returns the *probability* fitness float64 (N,), by which differential evolution
            selects (the paper, section 3.1.1), and success bool (N,).
        margin: returns float64 (N,), how far the logits are from a success: differentiable, not
            saturated where the classifier is sure; at most zero on a success, and above otherwise.
        entropy: returns float64 (N,), the cross-entropy to the target, or minus that to the clean
            decision: as the margin, without its kinks.
        wanted: returns what of the logits must stay positive for there to be no success, given a
            clean decision bool (L,) and its focus.
    """

    judge: Judge
    margin: Margin
    entropy: Margin
    wanted: Callable[[Classifier, Tensor, int], Wanted]


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


def _away(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    """Minus the cross-entropy to the focus."""
    return _at(logits.double().log_softmax(1), focus)


def _towards(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    """The cross-entropy to the focus."""
    return -_away(classifier, logits, clean, focus)


def _away_by_label(classifier: Classifier, logits: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N, L): minus each label's binary cross-entropy to the clean decision."""
    return logsigmoid(_logit_distances(classifier, logits, clean))


def _away_of_labels(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    return _away_by_label(classifier, logits, clean).sum(1)


def _away_of_label(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    return _at(_away_by_label(classifier, logits, clean), focus)


def _misclassify(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    probabilities = classifier.probabilities(logits)
    return _at(probabilities, focus), probabilities.argmax(1) != focus


def _leads(classifier: Classifier, clean: Tensor, focus: int) -> Wanted:
    """The focus leads each other class."""
    every = torch.eye(len(clean), device=clean.device)
    others = [label for label in range(len(clean)) if label != focus]
    return Wanted(every[focus] - every[others], torch.zeros(len(others), device=clean.device))


def _lags(classifier: Classifier, clean: Tensor, focus: int) -> Wanted:
    """Some class leads the focus."""
    leads = _leads(classifier, clean, focus)
    return Wanted(-leads.weights, leads.offsets, every=False)


def _stay(classifier: Classifier, clean: Tensor, focus: int) -> Wanted:
    """Each label stays on its side of its threshold."""
    side = torch.where(clean, 1.0, -1.0)
    thresholds = classifier.thresholds.double().logit().float()
    return Wanted(torch.diag(side), -side * thresholds)


def _stays(classifier: Classifier, clean: Tensor, focus: int) -> Wanted:
    """The focus stays on its side of its threshold."""
    every = _stay(classifier, clean, focus)
    return Wanted(every.weights[focus, None], every.offsets[focus, None])


misclassify = Objective(_misclassify, _lead, _away, _leads)
"""Non-targeted, multi-class: minimise the probability of the true class, the focus."""


def _reach_target(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    probabilities = classifier.probabilities(logits)
    return 1 - _at(probabilities, focus), probabilities.argmax(1) == focus


reach_target = Objective(_reach_target, _deficit, _towards, _lags)
"""Targeted, multi-class: minimise one minus the probability of the target, the focus."""


def _change_label_set(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    fitness = _probability_distances(classifier, logits, clean).amin(1)
    return fitness, (classifier.indicators(logits) != clean).any(1)


def _nearest_label(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    return _logit_distances(classifier, logits, clean).amin(1)


change_label_set = Objective(_change_label_set, _nearest_label, _away_of_labels, _stay)
"""Multi-label: any label flips; the label nearest to its threshold leads. No focus."""


def _flip_label(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    changed = classifier.indicators(logits) != clean
    return _at(_probability_distances(classifier, logits, clean), focus), _at(changed, focus)


def _one_label(classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor) -> Tensor:
    return _at(_logit_distances(classifier, logits, clean), focus)


flip_label = Objective(_flip_label, _one_label, _away_of_label, _stays)
"""Multi-label: one given label, the focus, flips."""


def _change_argmax(
    classifier: Classifier, logits: Tensor, clean: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    probabilities = classifier.probabilities(logits)
    fitness = _at(probabilities, focus) - _best_other(probabilities, focus)
    return fitness, probabilities.argmax(1) != focus


change_argmax = Objective(_change_argmax, _lead, _away, _leads)
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
