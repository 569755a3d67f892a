"""Denoisers by name: modules that map images (N, C, H, W) in [0, 1] to restored ones.

Every denoiser takes any height and width from 8 pixels; all but ``identity`` and ``median`` have
to be trained first (:func:`pixguard.defences.training.train_denoiser`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from pixguard.defences.denoisers.autoencoder import autoencoder
from pixguard.defences.denoisers.dae import DenoisingAutoencoder
from pixguard.defences.denoisers.identity import Identity
from pixguard.defences.denoisers.median import Median
from pixguard.defences.denoisers.median_cnn import MedianCNN
from pixguard.defences.denoisers.noise2noise import Noise2Noise
from pixguard.errors import UsageError

Builder = Callable[..., nn.Module]


def registry(entries: Iterable[tuple[str, Builder]]) -> dict[str, Builder]:
    """Return builders by name.

    Raises:
        ValueError: a name is used twice.
    """
    builders: dict[str, Builder] = {}
    for name, builder in entries:
        if name in builders:
            raise ValueError(f"two denoisers are named {name!r}")
        builders[name] = builder
    return builders


_BUILDERS = registry(
    [
        ("identity", Identity),
        ("median", Median),
        ("autoencoder", autoencoder),
        ("dae", DenoisingAutoencoder),
        ("noise2noise", Noise2Noise),
        ("median-cnn", MedianCNN),
    ]
)

NAMES: tuple[str, ...] = tuple(_BUILDERS)
TRAINED: frozenset[str] = frozenset(NAMES) - {"identity", "median"}


def build_denoiser(name: str, channels: int, **parameters: Any) -> nn.Module:
    """Return a denoiser with fresh weights.

    Args:
        name: one of :data:`NAMES`.
        channels: of the images, 1 or 3.
        parameters: arguments of the denoiser's builder beyond ``channels``.

    Raises:
        UsageError: no denoiser has that name.
    """
    if name not in _BUILDERS:
        raise UsageError(
            f"there is no denoiser named {name!r}", f"choose one of: {', '.join(NAMES)}"
        )
    return _BUILDERS[name](channels, **parameters)
