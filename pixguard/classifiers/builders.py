"""Architecture name -> classifier: the paper's networks, torchvision's, timm's, and a small CNN.

torchvision is imported where its networks are asked for: it takes longer than all of torch. timm is
optional; its names begin with ``timm/``.
"""

import difflib
import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.pretrained import load_pretrained
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.errors import UsageError
from pixguard.models.seeding import seeded
from pixguard.records import DatasetInfo

SMALL_CNN = "small-cnn"
COLOURS = 3
TIMM = "timm/"
TIMM_INSTALL = "pip install timm"

# Their training-time side outputs would be a second kind of result, which the paper has no use for.
_NO_AUXILIARY = {"aux_logits": False, "init_weights": True}
_SPECIAL_ARGUMENTS = {"googlenet": _NO_AUXILIARY, "inception_v3": _NO_AUXILIARY}


def architecture_names() -> list[str]:
    """Return the names that :func:`build_classifier` knows, the small CNN first."""
    import torchvision

    return [SMALL_CNN, *torchvision.models.list_models(module=torchvision.models)]


def canonical_name(architecture: str) -> str:
    """Return the one name of an architecture: a plain name that only timm knows gets its prefix.

    Raises:
        UsageError: there is no such architecture, or timm is not installed.
    """
    if architecture == SMALL_CNN or architecture in architecture_names():
        return architecture
    name = architecture.removeprefix(TIMM)
    installed = importlib.util.find_spec("timm") is not None
    if architecture.startswith(TIMM) and not installed:
        raise UsageError(f"{architecture} needs timm, which is not installed", TIMM_INSTALL)
    known = architecture_names()
    if installed:
        timm = _timm()
        if timm.is_model(name):
            return TIMM + name
        known += timm.list_models()
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "one of small-cnn, resnet50, ..."
    more = "" if installed else f"; for timm's: {TIMM_INSTALL}"
    raise UsageError(f"there is no architecture {architecture!r}", hint + more)


def build_classifier(
    architecture: str,
    info: DatasetInfo,
    *,
    seed: int = 0,
    pretrained: str | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Classifier:
    """Return a classifier for a dataset, on the CPU.

    Images are normalised with mean 0.5 and standard deviation 0.5 a channel, to [-1, 1], or as the
    weights want it that training begins with. The paper's networks are ``resnet50`` and
    ``densenet121`` (sections 3.2.2 and 4.3).

    Args:
        architecture: what :func:`canonical_name` takes.
        info: gives the task, the channels, the number of labels and the side in pixels.
        seed: of the initial weights; torch's own generators are left as they were.
        pretrained: load these weights, all but the last layer: torchvision's own, or a file.
        say: told which weights they are.

    Raises:
        UsageError: there is no such architecture, it cannot take images of this shape, or it has
            no pretrained weights.
        PixguardError: the pretrained weights cannot be had.
    """
    architecture = canonical_name(architecture)
    if pretrained and (architecture == SMALL_CNN or architecture.startswith(TIMM)):
        raise UsageError(
            f"only torchvision's networks have pretrained weights; {architecture} is none",
            "`architecture=resnet50`, or leave `pretrained=...` out",
        )
    if info.channels not in (1, COLOURS):
        raise UsageError(
            f"classifiers take images of 1 or {COLOURS} channels; {info.name!r} has "
            f"{info.channels}",
            "convert the images to grayscale or RGB",
        )
    with seeded(seed):
        network = _build_network(architecture, info.channels, info.label_count, info.size)
    half = (0.5,) * COLOURS
    mean, std = half, half
    if pretrained:
        mean, std = load_pretrained(network, architecture, pretrained, say)
    if info.channels == 1:
        # One normalisation before weights that were summed over the colours.
        mean, std = (sum(mean) / COLOURS,), (sum(std) / COLOURS,)
        if not architecture.startswith(TIMM) and architecture != SMALL_CNN:
            _take_grayscale(network)
    network.eval()
    if not _takes(network, info.channels, info.size):
        larger = [size for size in (28, 64, 128, 224) if _takes(network, info.channels, size)]
        raise UsageError(
            f"{architecture} cannot take images of {info.size}x{info.size} pixels",
            f"`size={larger[0]}`, or another `architecture=...`"
            if larger
            else "another `architecture=...`",
        )
    return Classifier(network, info.task, info.label_count, mean=mean, std=std).eval()


def _build_network(architecture: str, channels: int, label_count: int, size: int) -> nn.Module:
    """Return a network; torchvision's takes three channels."""
    if architecture == SMALL_CNN:
        return SmallCNN(channels, label_count)
    if architecture.startswith(TIMM):
        return _build_timm(architecture.removeprefix(TIMM), channels, label_count, size)
    import torchvision

    arguments = _SPECIAL_ARGUMENTS.get(architecture, {})
    network: nn.Module = torchvision.models.get_model(
        architecture, weights=None, num_classes=label_count, **arguments
    )
    return network


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise UsageError(f"timm cannot be imported: {error}", TIMM_INSTALL) from error
    return timm


def _build_timm(name: str, channels: int, label_count: int, size: int) -> nn.Module:
    arguments = {"num_classes": label_count, "in_chans": channels}
    network: nn.Module = _timm().create_model(name, **arguments)
    if not _takes(network.eval(), channels, size):
        # Transformers are built for a size; convolutional networks do not know the argument.
        try:
            network = _timm().create_model(name, img_size=size, **arguments)
        except (TypeError, ValueError, RuntimeError, AssertionError):
            return network
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
