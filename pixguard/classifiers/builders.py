"""Architecture name -> classifier: the paper's networks, torchvision's, and a small CNN.

torchvision is imported where its networks are asked for: it takes longer than all of torch.
"""

import difflib

import torch
from torch import nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.errors import UsageError
from pixguard.records import DatasetInfo

SMALL_CNN = "small-cnn"
COLOURS = 3

# Their training-time side outputs would be a second kind of result, which the paper has no use for.
_NO_AUXILIARY = {"aux_logits": False, "init_weights": True}
_SPECIAL_ARGUMENTS = {"googlenet": _NO_AUXILIARY, "inception_v3": _NO_AUXILIARY}


def architecture_names() -> list[str]:
    """Return the names that :func:`build_classifier` knows, the small CNN first."""
    import torchvision

    return [SMALL_CNN, *torchvision.models.list_models(module=torchvision.models)]


def build_classifier(architecture: str, info: DatasetInfo, *, seed: int = 0) -> Classifier:
    """Return an untrained classifier for a dataset, on the CPU.

    Images are normalised with mean 0.5 and standard deviation 0.5 a channel, to [-1, 1]. The
    paper's networks are ``resnet50`` and ``densenet121`` (sections 3.2.2 and 4.3).

    Args:
        architecture: one of :func:`architecture_names`.
        info: gives the task, the channels, the number of labels and the side in pixels.
        seed: of the initial weights; torch's own generators are left as they were.

    Raises:
        UsageError: there is no such architecture, or it cannot take images of this shape.
    """
    if architecture != SMALL_CNN and architecture not in architecture_names():
        close = difflib.get_close_matches(architecture, architecture_names(), n=5, cutoff=0.5)
        raise UsageError(
            f"there is no architecture {architecture!r}",
            f"did you mean {', '.join(close)}?" if close else "one of small-cnn, resnet50, ...",
        )
    if info.channels not in (1, COLOURS):
        raise UsageError(
            f"classifiers take images of 1 or {COLOURS} channels; {info.name!r} has "
            f"{info.channels}",
            "convert the images to grayscale or RGB",
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = _build_network(architecture, info.channels, info.label_count)
    network.eval()
    if not _takes(network, info.channels, info.size):
        larger = [size for size in (28, 64, 128, 224) if _takes(network, info.channels, size)]
        raise UsageError(
            f"{architecture} cannot take images of {info.size}x{info.size} pixels",
            f"--size {larger[0]}, or another --model" if larger else "choose another --model",
        )
    half = (0.5,) * info.channels
    return Classifier(network, info.task, info.label_count, mean=half, std=half).eval()


def _build_network(architecture: str, channels: int, label_count: int) -> nn.Module:
    if architecture == SMALL_CNN:
        return SmallCNN(channels, label_count)
    import torchvision

    arguments = _SPECIAL_ARGUMENTS.get(architecture, {})
    network: nn.Module = torchvision.models.get_model(
        architecture, weights=None, num_classes=label_count, **arguments
    )
    if channels == 1:
        _take_grayscale(network)
    return network


def _take_grayscale(network: nn.Module) -> None:
    """Make the first convolution take one channel, in place.

    Its weights are summed over the colours: the network then gives on a gray image what it gave
    on that image repeated in three channels, which suits trained weights as well as fresh ones.
    """
    name, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    )
    parent, _, attribute = name.rpartition(".")
    first.weight = nn.Parameter(first.weight.detach().sum(dim=1, keepdim=True))
    first.in_channels = 1
    setattr(network.get_submodule(parent), attribute, first)


def _takes(network: nn.Module, channels: int, size: int) -> bool:
    """Say whether a network in evaluation mode runs on images of a size, by running it on one.

    A run without computing, on torch's meta device, would load torch's compiler: that takes longer
    than the image.
    """
    try:
        with torch.inference_mode():
            network(torch.zeros(1, channels, size, size))
    except (RuntimeError, AssertionError, ValueError):
        return False
    return True
