"""Pixels for adversarial training: found, few, and without a trace in the classifier."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pixguard.attacks.hardening import BUDGETS, with_found_pixels
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.config import TrainSettings
from pixguard.models.seeding import seeded
from support import run, run_json, write_slopes


def classifier(task: str = "multi-class") -> Classifier:
    with seeded(2):
        network = SmallCNN(1, 3)
        network.head.weight.data *= 30
    return Classifier(network, task, 3, (0.5,), (0.5,)).train()  # type: ignore[arg-type]


def images() -> Tensor:
    return torch.rand(8, 1, 12, 12, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3


def found(model: Classifier, labels: Tensor, search: str, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return with_found_pixels(model, images(), labels, stream, search=search, pixels=2)


def decided(model: Classifier, some: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        logits = model((some * 255).round() / 255)
    model.train()
    return logits


@pytest.mark.parametrize("search", BUDGETS)
def test_two_pixels_of_half_of_the_images_and_they_cost_confidence(search: str) -> None:
    model = classifier()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    labels = decided(model, images()).argmax(1)
    labels[1] = (labels[1] + 1) % 3  # decided wrong as it is
    after = found(model, labels, search)
    assert model.training and all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    before = (images() * 255).round() / 255
    changed = (after[:4] != before[:4]).flatten(1).sum(1).tolist()
    assert changed[1] == 0 and all(1 <= n <= 2 for n in changed[:1] + changed[2:])
    assert torch.equal(after[4:], images()[4:])
    rows = [0, 2, 3]
    confidence = [
        decided(model, some)[rows].softmax(1)[range(3), labels[rows]] for some in (before, after)
    ]
    assert (confidence[1] < confidence[0]).all()
    assert torch.equal(found(model, labels, search), after)


def test_a_multi_label_classifier_is_searched_too() -> None:
    model = classifier("multi-label")
    labels = model.indicators(decided(model, images())).long()
    after = found(model, labels, "corner")
    assert (after[:4] != images()[:4]).any() and torch.equal(after[4:], images()[4:])


def test_a_batch_of_one_is_left_alone() -> None:
    model, one = classifier(), images()[:1]
    stream = torch.Generator().manual_seed(0)
    same = with_found_pixels(model, one, torch.tensor([0]), stream, search="corner", pixels=1)
    assert same is one


@pytest.mark.usefixtures("in_an_empty_folder")
def test_training_on_found_pixels_is_another_training() -> None:
    write_slopes(Path("slopes"))
    train = "train --dataset slopes --data-dir slopes --size 8 --model small-cnn --epochs 1"
    few = f"{train} --limit 12 --batch-size 6"
    weights = [run_json(few + more)["weights"] for more in (
        " --adversarial 1", " --adversarial 1 --adversarial-search corner",
    )]  # fmt: skip
    assert weights[0] != weights[1]
    again = run_json(f"{few} --adversarial 1 --adversarial-search corner --resume")
    assert again["already_trained"]
    refused = run(f"{few} --adversarial-search spgd", code=2)
    assert "has no pixels to look for" in " ".join(refused.output.split())
    assert "adversarial_search" not in TrainSettings().identity()
