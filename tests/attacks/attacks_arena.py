"""A place for searches to run in without a classifier."""

from typing import Any

import torch
from torch import Tensor

from pixguard.attacks import ATTACKS
from pixguard.attacks.engine.search import Arena, Search, make_search


def flat_gradient(slots: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ones(len(images), dtype=torch.float64), torch.zeros_like(images)


def arena(slots: int, side: int, channels: int) -> Arena:
    """Black images and a margin that nothing changes."""
    return Arena(torch.zeros(slots, side, side, channels, dtype=torch.uint8), flat_gradient)


def named(name: str, channels: int = 1, pixels: int = 1, **options: Any) -> Search:
    """A search by name, with options that differ from the defaults."""
    made = ATTACKS[name].options
    assert made is not None
    return make_search(name, made(**options), pixels=pixels, channels=channels)
