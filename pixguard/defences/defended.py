"""A classifier behind a denoiser, as one module: what an adaptive attack is up against."""

from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier


class _BehindDenoiser(nn.Module):
    """Restores, clips to [0, 1] as :func:`pixguard.defences.restoring.restore` does, classifies."""

    def __init__(self, denoiser: nn.Module, classifier: Classifier) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.denoiser(images).clamp(0, 1))
        return logits


def defended(classifier: Classifier, denoiser: nn.Module) -> Classifier:
    """Return a classifier that decides on what a denoiser makes of the image.

    A success against it is a failure of the denoiser's recovery, and the other way round. It is
    differentiable where the denoiser is. Both parts are shared, not copied.

    Args:
        classifier: maps float32 images (N, C, H, W) in [0, 1] to logits (N, L); its task and
            thresholds are kept.
        denoiser: maps images (N, C, H, W) in [0, 1] to restored ones, on the same device.

    Returns:
        In evaluation mode. Its own normalisation does nothing: that of ``classifier`` comes after
        the denoiser.
    """
    whole = Classifier(
        _BehindDenoiser(denoiser, classifier),
        classifier.task,
        classifier.label_count,
        mean=(0.0,) * classifier.channels,
        std=(1.0,) * classifier.channels,
    )
    whole.to(classifier.mean.device)
    whole.thresholds.copy_(classifier.thresholds)
    return whole.eval()
