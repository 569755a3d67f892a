"""Sparse-RS, the published black-box baseline for perturbations of few pixels.

Croce, Andriushchenko, Singh, Flammarion, Hein 2022, "Sparse-RS: a versatile framework for
query-efficient sparse black-box adversarial attacks" (AAAI), the L0 version in pixel space; alpha
and its schedule as in the authors' code (fra31/sparse-rs: 0.3, scaled to the budget).

Two choices differ from it. A margin that stays the same is accepted, so that a plateau can be
crossed; and a colour is drawn among the corners that differ from the clean pixel's, so that every
candidate changes k pixels.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.sampling import (
    corner_colours,
    draw_corners,
    draw_places,
    positions_of,
    words_for,
)
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import BudgetOptions

ALPHA = 0.3
"""The share of the pixels that is replaced at the very start."""

SCHEDULE_QUERIES = 10_000
SCHEDULE_BOUNDS = (0, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
SCHEDULE_DIVISORS = (1, 2, 4, 5, 6, 8, 10, 12, 15, 20)
"""Alpha is divided by the divisor after as many bounds as the query number exceeds, both scaled
to a budget of 10,000 queries."""


DRAWN_AHEAD = 64
"""Queries for which random words are drawn at a time: a step is too small to pay for Philox."""


class SparseRSSearch(Search):
    """Random search with the best candidate so far, one query at a time."""

    options: BudgetOptions
    candidates_per_step = 1

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and alpha."""
        return {**super().parameters(), "alpha": ALPHA}

    def allocate(self, arena: Arena) -> None:
        """Prepare keys int64 (S, 2) and queries made (S,)."""
        self._images = arena.images
        slots, height, self._width, channels = arena.images.shape
        device, self._places = arena.images.device, height * self._width
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._query = torch.zeros(slots, dtype=torch.int64, device=device)
        self._bounds = torch.tensor(SCHEDULE_BOUNDS, device=device)
        self._words = torch.zeros(
            slots, DRAWN_AHEAD, 3 * self.pixels, dtype=torch.int64, device=device
        )
        free = self._places - self.pixels
        replaced = [max(int(ALPHA / d * self.pixels), 1) for d in SCHEDULE_DIVISORS]
        self._replaced = torch.tensor(replaced, device=device).clamp(max=free)
        self._most_replaced = min(replaced[0], free)
        self._incumbents = Incumbents(slots, self.pixels, channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts."""
        self._keys[slots] = keys
        self._query[slots] = 0
        self._incumbents.forget(slots)

    def ask(self) -> Candidates:
        """Return k random pixels at first, then the best ones with some of them replaced."""
        first = self._query == 0
        words = self._next_words()
        initial = draw_pixels(self._images, words)
        held = self._incumbents
        scaled = self._query * SCHEDULE_QUERIES // self.options.queries
        replaced = self._replaced[torch.searchsorted(self._bounds, scaled)]
        places = (held.positions[..., 0] * self._width + held.positions[..., 1])[:, None]
        places, colours = replace_pixels(
            self._images, places, held.colours[:, None], words, replaced, self._most_replaced
        )
        mask = first[:, None, None]
        self._last = Candidates(
            positions_of(initial[0].where(mask, places), self._width),
            initial[1].where(mask[..., None], colours),
        )
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Accept the candidate unless its margin is higher."""
        self._incumbents.update(self._last, fitness)
        self._query += 1

    def state(self) -> dict[str, Tensor]:
        """Return the queries made, the words drawn ahead and the best."""
        return {
            "keys": self._keys,
            "query": self._query,
            "words": self._words,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the last candidate accepted."""
        return self._incumbents.best(slot)

    def _next_words(self) -> Tensor:
        """Return this query's words int64 (S, 1, 3 k); drawn for many queries at a time."""
        place = self._query % DRAWN_AHEAD
        spent = (place == 0).nonzero().flatten()
        if len(spent):
            block = self._query[spent] // DRAWN_AHEAD
            self._words[spent] = words_for(self._keys[spent], block, DRAWN_AHEAD, 3 * self.pixels)
        return self._words[torch.arange(len(place), device=place.device), place][:, None]


def draw_pixels(images: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Draw distinct pixels and corner colours that change them.

    Args:
        images: uint8 (S, H, W, C), clean.
        words: int64 (S, P, 3 k), uniform 32-bit words; the last two thirds are used.

    Returns:
        places int64 (S, P, k) and colours uint8 (S, P, k, C).
    """
    slots, height, width, _ = images.shape
    _, place_words, colour_words = words.chunk(3, dim=-1)
    places = draw_places(place_words, place_words[..., :0], height * width)
    pixels = images.reshape(slots, height * width, -1)
    return places, _changing_colours(pixels, places, colour_words)


def replace_pixels(
    images: Tensor, places: Tensor, colours: Tensor, words: Tensor, replaced: Tensor, most: int
) -> tuple[Tensor, Tensor]:
    """Replace some of the k pixels, chosen at random, by others at other places.

    Args:
        images: uint8 (S, H, W, C), clean.
        places: int64 (S, P or 1, k), distinct.
        colours: uint8 (S, P or 1, k, C).
        words: int64 (S, P, 3 k), uniform 32-bit words.
        replaced: int64 (S,), how many pixels of a slot's candidates are replaced.
        most: the largest of ``replaced``; an image has at least k + most pixels.

    Returns:
        places int64 (S, P, k) and colours uint8 (S, P, k, C).
    """
    slots, height, width, _ = images.shape
    order_words, place_words, colour_words = words.chunk(3, dim=-1)
    rank = order_words.argsort(dim=-1, stable=True).argsort(dim=-1)
    taken = places.expand_as(rank)
    fresh = draw_places(place_words[..., :most], taken, height * width)
    chosen = rank < replaced[:, None, None]
    places = fresh.gather(-1, rank.clamp(max=most - 1)).where(chosen, taken)
    new = _changing_colours(images.reshape(slots, height * width, -1), places, colour_words)
    return places, new.where(chosen[..., None], colours)


def _changing_colours(pixels: Tensor, places: Tensor, words: Tensor) -> Tensor:
    slot = torch.arange(len(places), device=places.device)[:, None, None]
    clean = pixels[slot, places]
    return corner_colours(draw_corners(words, clean), clean.shape[-1])
