"""A classifier behind a denoiser does what the denoiser and the classifier do one after another."""

import pytest
import torch
from torch import fx, nn

from pixguard.classifiers.behind import behind, is_bpda
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.restoring import restore


def parts(name: str, task: str = "multi-class") -> tuple[Classifier, nn.Module]:
    torch.manual_seed(0)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    classifier = Classifier(SmallCNN(3, 4), task, 4, mean, std, threshold=0.3).eval()
    return classifier, build_denoiser(name, 3).eval()


@pytest.mark.parametrize("name", DENOISERS.names)
def test_it_restores_clips_and_classifies(name: str) -> None:
    classifier, denoiser = parts(name)
    images = torch.rand(3, 3, 13, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = classifier(restore(denoiser, images, batch=3))
        assert torch.equal(behind(classifier, denoiser)(images), expected)


def test_what_a_denoiser_puts_out_of_range_is_clipped() -> None:
    class Brighter(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * 4 - 1

    classifier, _ = parts("identity")
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    clipped = classifier((images * 4 - 1).clamp(0, 1))
    assert torch.equal(behind(classifier, Brighter())(images), clipped)


def test_the_decision_rule_is_the_classifiers() -> None:
    classifier, denoiser = parts("identity", "multi-label")
    classifier.thresholds.copy_(torch.tensor([0.1, 0.4, 0.5, 0.9]))
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(2))
    whole = behind(classifier, denoiser)
    assert whole.decide(logits) == classifier.decide(logits)
    assert (whole.task, whole.label_count, whole.channels) == ("multi-label", 4, 3)
    assert not whole.training


@pytest.mark.parametrize("name", DENOISERS.names)
def test_gradients_pass_through_the_denoiser(name: str) -> None:
    classifier, denoiser = parts(name)
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(behind(classifier, denoiser)(images)[0, 0], images)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


@pytest.mark.parametrize("name", ["identity", "noise2noise"])
def test_it_can_be_traced_where_the_denoiser_can(name: str) -> None:
    classifier, denoiser = parts(name)
    whole = behind(classifier, denoiser)
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(4))
    assert torch.equal(fx.symbolic_trace(whole)(images), whole(images))


class Rounded(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * 8).round() / 8


class Detached(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.detach() * 0.5


@pytest.mark.parametrize("step", [Rounded(), Detached()])
def test_where_a_defence_has_no_gradient_that_of_the_identity_stands_in(step: nn.Module) -> None:
    classifier, _ = parts("identity")
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    whole, leaf = behind(classifier, step), images.clone().requires_grad_()
    assert is_bpda(whole)
    assert torch.equal(whole(leaf), classifier(step(images))), "the answer is the defended one"
    (found,) = torch.autograd.grad(whole(leaf)[:, 0].sum(), leaf)
    restored = step(images).detach().requires_grad_()
    (expected,) = torch.autograd.grad(classifier(restored)[:, 0].sum(), restored)
    assert found.any() and torch.equal(found, expected)


@pytest.mark.parametrize("name", DENOISERS.names)
def test_every_denoiser_has_a_gradient_of_its_own(name: str) -> None:
    classifier, denoiser = parts(name)
    whole, image = behind(classifier, denoiser), torch.rand(1, 3, 12, 12, requires_grad=True)
    assert not is_bpda(whole)
    (found,) = torch.autograd.grad(whole(image)[:, 0].sum(), image)
    (own,) = torch.autograd.grad(classifier(denoiser(image).clamp(0, 1))[:, 0].sum(), image)
    assert found.any() and torch.equal(found, own)
