"""Weights of ImageNet as the start of a training: torchvision's own, or a file of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from pixguard.config.training import TORCHVISION
from pixguard.errors import PixguardError, UsageError, reason
from pixguard.models.weights import read_weights, without_wrappers
from pixguard.words import shell_word

_OLD_NAMES = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
"""torchvision's own files of DenseNets hold ``norm.1`` for ``norm1``."""


def load_pretrained(
    network: nn.Module, architecture: str, given: str, say: Callable[[str], None]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Load weights into one of torchvision's networks, all but the last layer.

    The last layer is the one whose size depends on the number of classes; it stays as it was.

    Args:
        network: torchvision's, for images of three channels, of any number of classes.
        architecture: its name.
        given: ``torchvision`` for its own weights, or a file that holds a state dict of such a
            network, for any number of classes; it is never unpickled into code.
        say: told which weights they are.

    Returns:
        Mean and standard deviation, by channel, that the weights want images normalised with; of a
        file they are taken to be those of torchvision's weights.

    Raises:
        UsageError: more than its last layer depends on the number of classes, or a file is of
            another network.
        PixguardError: they cannot be read, or are not on this machine and cannot be downloaded.
    """
    import torchvision

    weights = torchvision.models.get_model_weights(architecture).DEFAULT
    if given == TORCHVISION:
        whose, hint = f"torchvision's weights {weights}", "leave `pretrained=...` out"
        _make_sure_of(weights)
        # Built by torchvision once more: it knows the old names that some files hold.
        state = torchvision.models.get_model(architecture, weights=weights).state_dict()
    else:
        whose = f"the weights {shell_word(given)}"
        hint = "`architecture=...` as the file is of, or another file"
        state = {_OLD_NAMES.sub(r"\1\2.", n): t for n, t in read_weights(Path(given)).items()}
    say(f"begins with {whose}")
    own = network.state_dict()
    state = without_wrappers(state, set(own))
    fitting = {n: t for n, t in state.items() if n in own and t.shape == own[n].shape}
    left = {name.rpartition(".")[0] for name in set(own) - set(fitting)}
    if len(left) > 1:
        raise UsageError(
            f"{whose} fit {architecture} of {len(fitting)} tensors only: more than "
            f"its last layer differs ({', '.join(sorted(left)[:3])}, ...)",
            hint,
        )
    # Layers beside the network, which help to train it and are no part of it, may be left out.
    more = sorted(n for n in set(state) - set(own) if not n.lower().startswith("aux"))
    kinds = [n for n, t in fitting.items() if t.is_floating_point() != own[n].is_floating_point()]
    if more or kinds:
        told = f"has layers that it lacks: {more[0]}" if more else f"{kinds[0]} is of integers"
        raise UsageError(f"{whose} are not of {architecture}: the file {told}", hint)
    network.load_state_dict(own | fitting)
    transforms = weights.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def _make_sure_of(weights: Any) -> None:
    """Download the weights if they are not here, and see that they are tensors and nothing else."""
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(weights.url).path).name)
    try:
        weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except Exception as error:  # no network, no space, a damaged file
        raise PixguardError(
            f"the weights {weights} could not be read or downloaded ({reason(error)})",
            f"where there is a network, download {weights.url}, and put the file at {path}",
        ) from error
