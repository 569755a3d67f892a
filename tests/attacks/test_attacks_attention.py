"""The attention attack: Grad-CAM against class activation maps, and where it looks."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from pixguard.attacks import Attention as AttentionAttack
from pixguard.attacks.engine.attention import Attention
from pixguard.attacks.engine.objectives import misclassify
from pixguard.classifiers.classifier import Classifier

SIDE = 12


class Pooled(nn.Module):
    """Two feature maps of half the side, pooled, and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.maps = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.ReLU(inplace=True))
            self.last = nn.Linear(2, 3)

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.last(self.maps(images).mean((2, 3)))
        return answers


def pictures(count: int) -> Tensor:
    stream = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 1, SIDE, SIDE), generator=stream, dtype=torch.uint8)


def test_of_a_pooled_network_it_is_the_class_activation_map() -> None:
    """Selvaraju et al. 2017, appendix A: there Grad-CAM and CAM are the same but for a factor."""
    network = Pooled()
    classifier = Classifier(network, "multi-class", 3, (0.0,), (1.0,)).eval()
    images = pictures(3).float() / 255
    with torch.no_grad():
        logits, maps = network(images), network.maps(images)
    labels = logits.argmax(1)
    other = logits.scatter(1, labels[:, None], -torch.inf).argmax(1)
    clean = nn.functional.one_hot(labels, 3).bool()
    found = Attention(classifier, misclassify, clean, labels)(torch.arange(3), images)
    weights = (network.last.weight[labels] - network.last.weight[other]).detach()
    cam = (weights[:, :, None, None] * maps).sum(1, keepdim=True).relu() / maps[0, 0].numel()
    assert cam.flatten(1).any(1).any()
    expected = interpolate(cam, (SIDE, SIDE), mode="bilinear")[:, 0]
    for index in range(3):
        if cam[index].any():
            assert torch.allclose(found[index], expected[index], atol=1e-6)


def test_without_feature_maps_it_is_the_gradient() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    classifier = Classifier(network, "multi-class", 2, (0.0,), (1.0,)).eval()
    clean, focus = torch.tensor([[True, False]]), torch.tensor([0])
    images = pictures(1).float() / 255
    (found,) = Attention(classifier, misclassify, clean, focus)(torch.tensor([0]), images)
    weights = network[1].weight  # type: ignore[union-attr]
    assert torch.allclose(found.flatten(), (weights[0] - weights[1]).abs(), atol=1e-6)


def test_it_changes_attended_pixels_alone() -> None:
    network, images = Pooled(), pictures(6)
    with torch.no_grad():
        labels = network(images.float() / 255).argmax(1)
    result = AttentionAttack(network, pixels=2, attended=9, queries=300)(images, labels)
    classifier = Classifier(network, "multi-class", 3, (0.0,), (1.0,)).eval()
    clean = nn.functional.one_hot(labels, 3).bool()
    maps = Attention(classifier, misclassify, clean, labels)(torch.arange(6), images.float() / 255)
    first = maps.flatten(1).argsort(dim=1, descending=True, stable=True)[:, :9]
    places = result.pixels[..., 0] * SIDE + result.pixels[..., 1]
    for index in range(6):
        assert set(places[index].tolist()) <= set(first[index].tolist())
