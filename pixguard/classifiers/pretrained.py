"""Weights that torchvision publishes, as the start of a training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from pixguard.errors import PixguardError, UsageError, reason


def load_pretrained(
    network: nn.Module, architecture: str, say: Callable[[str], None]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Load torchvision's weights into one of its networks, all but the last layer.

    The last layer is the one whose size depends on the number of classes; it stays as it was.

    Args:
        network: torchvision's, for images of three channels, of any number of classes.
        architecture: its name.
        say: told which weights they are.

    Returns:
        Mean and standard deviation, by channel, that the weights want images normalised with.

    Raises:
        UsageError: more than its last layer depends on the number of classes.
        PixguardError: they are not on this machine and cannot be downloaded.
    """
    import torchvision

    weights = torchvision.models.get_model_weights(architecture).DEFAULT
    say(f"begins with torchvision's weights {weights}")
    _make_sure_of(weights)
    # Built by torchvision once more: it knows the old names that some files hold.
    state = torchvision.models.get_model(architecture, weights=weights).state_dict()
    own = network.state_dict()
    fitting = {n: t for n, t in state.items() if n in own and t.shape == own[n].shape}
    left = {name.rpartition(".")[0] for name in set(own) - set(fitting)}
    if len(left) > 1:
        raise UsageError(
            f"torchvision's weights fit {architecture} of {len(fitting)} tensors only: more than "
            f"its last layer differs ({', '.join(sorted(left)[:3])}, ...)",
            "leave `pretrained=True` out",
        )
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
