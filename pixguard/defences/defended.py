"""A classifier behind a denoiser, as one module: what an adaptive attack is up against."""

from torch import nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.composing import behind


def defended(classifier: Classifier, denoiser: nn.Module) -> Classifier:
    """Return a classifier that decides on what a denoiser makes of the image.

    It clips as :func:`pixguard.defences.restoring.restore` does: a success against it is a failure
    of the denoiser's recovery, and the other way round. See
    :func:`pixguard.classifiers.composing.behind`.
    """
    return behind(classifier, denoiser)
