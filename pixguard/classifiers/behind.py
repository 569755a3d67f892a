"""A classifier behind what is done to its images first, a denoiser or a resize, as one module."""

from typing import Any

import torch
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier

PROBE_SIDE = 32
"""Of the image that tells whether a step has a gradient."""


class _AsIfIdentity(torch.autograd.Function):
    """Hands on what a step made of images, and the gradient as if it had left them as they are."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, made: Tensor) -> Tensor:
        return made.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Behind(nn.Module):
    def __init__(self, step: nn.Module, classifier: Classifier, bpda: bool) -> None:
        super().__init__()
        self.step = step
        self.classifier = classifier
        self.bpda = bpda

    def forward(self, images: Tensor) -> Tensor:
        made = self.step(images).clamp(0, 1)
        if self.bpda:
            made = _AsIfIdentity.apply(images, made)
        logits: Tensor = self.classifier(made)
        return logits


def behind(classifier: Classifier, step: nn.Module) -> Classifier:
    """Return a classifier that decides on what a step makes of the image, clipped to [0, 1].

    Its gradient is the step's own where that has one. Where it has none, or none but zeros, it is
    that of a step that changes nothing (backward pass differentiable approximation: Athalye,
    Carlini, Wagner 2018), and :func:`is_bpda` tells so. Both parts are shared, not copied. As
    restored images are clipped, too, a success against a classifier behind a denoiser is a failure
    of recovery.

    Args:
        classifier: maps float32 images (N, C, H, W) in [0, 1] to logits (N, L); its task and
            thresholds are kept.
        step: maps images (N, C, H, W) in [0, 1] to images of that many channels, on the same
            device.

    Returns:
        In evaluation mode. Its own normalisation does nothing: that of ``classifier`` comes after
        the step.
    """
    whole = Classifier(
        _Behind(step, classifier, not has_gradient(step, classifier)),
        classifier.task,
        classifier.label_count,
        mean=(0.0,) * classifier.channels,
        std=(1.0,) * classifier.channels,
    )
    whole.to(classifier.mean.device)
    whole.thresholds.copy_(classifier.thresholds)
    return whole.eval()


def is_bpda(classifier: Classifier) -> bool:
    """Tell whether gradients pass what stands before a classifier as if it changed nothing."""
    return any(isinstance(module, _Behind) and module.bpda for module in classifier.modules())


def has_gradient(step: nn.Module, classifier: Classifier) -> bool:
    """Tell whether a step before a classifier has a gradient that is finite and not zero.

    One image of noise is tried, with a random direction of what the step makes of it.
    """
    stream, device = torch.Generator().manual_seed(0), classifier.mean.device
    shape = (1, classifier.channels, PROBE_SIDE, PROBE_SIDE)
    image = torch.rand(shape, generator=stream).to(device)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = image.clone().requires_grad_()
        made = step(leaf)
        if not made.requires_grad:
            return False
        weights = torch.rand(made.shape, generator=stream).to(device)
        (gradient,) = torch.autograd.grad((made * weights).sum(), leaf, allow_unused=True)
    return gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())
