import math

import pytest
import torch

from pixguard.attacks.engine.objectives import (
    change_argmax,
    change_label_set,
    flip_label,
    misclassify,
    reach_target,
)
from pixguard.classifiers.classifier import Classifier


def classifier(task: str, labels: int) -> Classifier:
    return Classifier(torch.nn.Identity(), task, labels, (0.5,), (0.5,))


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def evaluate(objective, task, probabilities, clean, focus):
    rows = [[math.log(p) if task == "multi-class" else logit(p) for p in probabilities]]
    fitness, success = objective.judge(
        classifier(task, len(probabilities)),
        torch.tensor(rows),
        torch.tensor([clean], dtype=torch.bool),
        torch.tensor([focus]),
    )
    return pytest.approx(fitness.item(), abs=1e-6), success.item()


@pytest.mark.parametrize(
    ("objective", "task", "probabilities", "clean", "focus", "fitness", "success"),
    [
        (misclassify, "multi-class", [0.6, 0.3, 0.1], [1, 0, 0], 0, 0.6, False),
        (misclassify, "multi-class", [0.4, 0.5, 0.1], [1, 0, 0], 0, 0.4, True),
        (reach_target, "multi-class", [0.6, 0.3, 0.1], [1, 0, 0], 2, 0.9, False),
        (reach_target, "multi-class", [0.2, 0.1, 0.7], [1, 0, 0], 2, 0.3, True),
        # Label 1 is nearest to its threshold of 0.5: 0.5 - 0.4 away.
        (change_label_set, "multi-label", [0.9, 0.4, 0.2], [1, 0, 0], 0, 0.1, False),
        (change_label_set, "multi-label", [0.9, 0.55, 0.2], [1, 0, 0], 0, -0.05, True),
        (change_label_set, "multi-label", [0.3, 0.4, 0.2], [1, 0, 0], 0, -0.2, True),
        (flip_label, "multi-label", [0.9, 0.4, 0.7], [1, 0, 0], 0, 0.4, False),
        (flip_label, "multi-label", [0.9, 0.4, 0.7], [1, 0, 0], 2, -0.2, True),
        (change_argmax, "multi-label", [0.9, 0.4, 0.7], [1, 0, 1], 0, 0.2, False),
        (change_argmax, "multi-label", [0.6, 0.4, 0.7], [1, 0, 1], 0, -0.1, True),
    ],
)
def test_by_hand(objective, task, probabilities, clean, focus, fitness, success):
    assert evaluate(objective, task, probabilities, clean, focus) == (fitness, success)


def test_a_saturated_classifier_still_has_an_order():
    """In float32 the softmax of both rows is exactly 1."""
    logits = torch.tensor([[30.0, 0.0], [30.5, 0.0]])
    clean = torch.tensor([[True, False]] * 2)
    model = classifier("multi-class", 2)
    assert (logits.softmax(1)[:, 0] == 1).all()
    fitness, _ = misclassify.judge(model, logits, clean, torch.tensor([0, 0]))
    assert fitness[0] < fitness[1]
