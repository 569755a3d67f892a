"""What searches draw with, and how they name the colours at the corners of the colour cube.

A *place* is a pixel's number in its image, row * width + col. A *corner* is a colour whose channels
are all 0 or 255, named by a number below 2**C whose bit c tells channel c.
"""

import torch
from torch import Tensor

from pixguard.attacks.engine.philox import below, philox
from pixguard.errors import UsageError


def words_for(keys: Tensor, steps: Tensor, individuals: int, count: int) -> Tensor:
    """Draw the random words of one step of every slot.

    Args:
        keys: int64 (S, 2), the words of each attempt's key.
        steps: int64 (S,), how many steps each attempt has made.
        individuals: how many candidates draw, each from a stream of its own.
        count: words that a candidate needs.

    Returns:
        int64 (S, individuals, count) in [0, 2**32).
    """
    block = torch.arange(-(-count // 4), device=keys.device)
    individual = torch.arange(individuals, device=keys.device)[:, None]
    words = philox(
        (keys[:, 0, None, None], keys[:, 1, None, None]),
        (steps[:, None, None], individual, block, torch.zeros_like(block)),
    )
    return words.flatten(-2)[..., :count]


def draw_places(words: Tensor, taken: Tensor, places: int) -> Tensor:
    """Draw places that differ from each other and from those taken; all others equally likely.

    Args:
        words: int64 (..., n), uniform 32-bit words.
        taken: int64 (..., m), places that differ from each other.
        places: number of places of an image, at least n + m.

    Returns:
        int64 (..., n).
    """
    fresh = taken.shape[-1]
    for word in words.unbind(-1):
        place = below(word, places - taken.shape[-1])
        # Step over the taken places in ascending order: place becomes the place-th free one.
        for other in taken.sort(dim=-1).values.unbind(-1):
            place = place + (place >= other).long()
        taken = torch.cat([taken, place[..., None]], dim=-1)
    return taken[..., fresh:]


def corner_colours(corners: Tensor, channels: int) -> Tensor:
    """Return the colours uint8 (..., C) of corners int64 (...)."""
    bits = corners[..., None] >> torch.arange(channels, device=corners.device) & 1
    return (bits * 255).to(torch.uint8)


def corners_of(colours: Tensor) -> Tensor:
    """Return the corners int64 (...) that colours uint8 (..., C) are; 2**C where they are none."""
    channels = colours.shape[-1]
    bits = (colours == 255).long() << torch.arange(channels, device=colours.device)
    return bits.sum(-1).where(((colours == 0) | (colours == 255)).all(-1), 1 << channels)


def draw_corners(words: Tensor, colours: Tensor) -> Tensor:
    """Draw corners, uniformly among those that differ from colours.

    Args:
        words: int64 (...), uniform 32-bit words.
        colours: uint8 (..., C), of the clean image.

    Returns:
        int64 (...).
    """
    own, count = corners_of(colours), 1 << colours.shape[-1]
    drawn = below(words, count - 1).where(own < count, below(words, count))
    return drawn + (drawn >= own).long()


def positions_of(places: Tensor, width: int) -> Tensor:
    """Return (row, col) int64 (..., 2) of places int64 (...)."""
    return torch.stack([places // width, places % width], dim=-1)


def check_room(pixels: int, height: int, width: int) -> None:
    """Refuse images that have no other pixels than those that an attempt changes.

    Raises:
        UsageError: an image has ``pixels`` pixels or fewer.
    """
    if height * width <= pixels:
        raise UsageError(
            f"an image of {height} x {width} pixels is too small to change {pixels} of them",
            "`pixels=...` with a smaller number",
        )
