"""A classifier behind what is done to its images first, a denoiser or a resize, as one module."""

from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier


class _Behind(nn.Module):
    def __init__(self, step: nn.Module, classifier: Classifier) -> None:
        super().__init__()
        self.step = step
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.step(images).clamp(0, 1))
        return logits


def behind(classifier: Classifier, step: nn.Module) -> Classifier:
    """Return a classifier that decides on what a step makes of the image, clipped to [0, 1].

    It is differentiable where the step is. Both parts are shared, not copied. As restored images
    are clipped, too, a success against a classifier behind a denoiser is a failure of recovery.

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
        _Behind(step, classifier),
        classifier.task,
        classifier.label_count,
        mean=(0.0,) * classifier.channels,
        std=(1.0,) * classifier.channels,
    )
    whole.to(classifier.mean.device)
    whole.thresholds.copy_(classifier.thresholds)
    return whole.eval()
