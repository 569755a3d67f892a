"""BruSLeAttack: which pixels matter is learned as a distribution over them (black-box).

Vo, Abbasnejad, Ranasinghe 2024, "BruSLeAttack: A Query-Efficient Score-Based Black-Box Sparse
Adversarial Attack" (ICLR); constants and schedule as in the authors' code
(BruSLiAttack/BruSLiAttack.github.io).

Of every pixel the attack knows two counts: how often it was tried or given up, and how often giving
it up was no gain. Their quotient is the mean of a Dirichlet posterior. Pixels are kept by it, and
new ones drawn by it times how far their colour is from the clean one. Colours come from a synthetic
image, each channel of each pixel 0 or 255, drawn once for an attempt.

Three choices differ: a synthetic colour never equals the clean one, so that every candidate changes
k pixels; the loss is the margin of the logits in place of that of the probabilities; and pixels are
drawn one by one, without replacement, in place of numpy's sampler.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.philox import unit_interval
from pixguard.attacks.engine.sampling import (
    corner_colours,
    draw_corners,
    draw_places,
    positions_of,
    words_for,
)
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import BudgetOptions

POPULATION = 10
"""Random candidates, of which the best is the first to be kept."""
RATE = 0.05
"""The share of the pixels that is replaced at first; at least one is."""
RATE_POWER = 0.24
RATE_BASE = 0.997
"""After q queries the share is multiplied by the mean of (q + 1)^-power and base^(q + 1)."""
PRIOR = 0.01
"""Added to both counts."""


class BruSLeSearch(Search):
    """BruSLeAttack of k pixels, one query at a time."""

    options: BudgetOptions
    candidates_per_step = 1
    most_slots = 32
    """Every step weighs all pixels of every image in double precision."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the constants of the method."""
        return {
            **super().parameters(),
            "population": POPULATION,
            "rate": RATE,
            "rate_power": RATE_POWER,
            "rate_base": RATE_BASE,
            "prior": PRIOR,
        }

    def allocate(self, arena: Arena) -> None:
        """Prepare the synthetic image uint8 (S, H W) and both counts int32 (S, H W)."""
        self._arena = arena
        slots, height, self._width, self._channels = arena.images.shape
        device, self._places = arena.images.device, height * self._width
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._query = torch.zeros(slots, dtype=torch.int64, device=device)
        self._corners = torch.zeros(slots, self._places, dtype=torch.uint8, device=device)
        self._tried, self._needed = (
            torch.zeros(slots, self._places, dtype=torch.int32, device=device) for _ in range(2)
        )
        replaced = self._schedule()
        self._most_replaced, self._replaced = max(replaced), torch.tensor(replaced, device=device)
        self._incumbents = Incumbents(slots, self.pixels, self._channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts: draw their synthetic images."""
        self._keys[slots] = keys
        self._query[slots] = 0
        self._tried[slots], self._needed[slots] = 0, 0
        self._incumbents.forget(slots)
        # Words of many large images at once would fill the memory.
        for slot in slots[:, None].unbind():
            words = words_for(self._keys[slot], self._query[slot], 1, self._places)[:, 0]
            own = self._arena.images[slot].flatten(1, 2)
            self._corners[slot] = draw_corners(words, own).to(torch.uint8)

    def ask(self) -> Candidates:
        """Return random pixels at first, then the best ones with some of them replaced."""
        k = self.pixels
        words = words_for(self._keys, self._query + 1, 1, 2 * k)[:, 0]
        first = self._query < POPULATION
        initial = draw_places(words[:, :k], words[:, :0], self._places)
        held = initial.where(first[:, None], self._held())
        value = (self._needed + PRIOR) / (self._tried + PRIOR).double()
        held = held.gather(1, draw_weighted(words[:, :k], value.gather(1, held)))
        outside = (value * self._distance()).scatter(1, held, 0.0)
        fresh = draw_weighted(words[:, k : k + self._most_replaced], outside)
        replaced = self._replaced[self._query.clamp(max=len(self._replaced) - 1)].where(~first, 0)
        rank = torch.arange(k, device=words.device) - (k - replaced)[:, None]
        self._given_up = rank >= 0
        self._parent = held
        places = fresh.gather(1, rank.clamp(min=0)).where(self._given_up, held)
        colours = corner_colours(self._corners.gather(1, places).long(), self._channels)
        self._last = Candidates(positions_of(places, self._width)[:, None], colours[:, None])
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Count what was tried and what was needed; keep the candidate if it is better."""
        positions = self._last.positions[:, 0]
        places = positions[..., 0] * self._width + positions[..., 1]
        better = fitness < self._incumbents.fitness[:, None]
        given_up = self._given_up.int()
        self._tried.scatter_add_(1, places, torch.ones_like(given_up))
        self._tried.scatter_add_(1, self._parent, given_up)
        self._needed.scatter_add_(1, self._parent, given_up.masked_fill(better, 0))
        self._incumbents.update(self._last, fitness.where(better, torch.inf))
        self._query += 1

    def state(self) -> dict[str, Tensor]:
        """Return the queries made, the synthetic image, both counts and the best."""
        return {
            "keys": self._keys,
            "query": self._query,
            "corners": self._corners,
            "tried": self._tried,
            "needed": self._needed,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)

    def _held(self) -> Tensor:
        positions = self._incumbents.positions
        return positions[..., 0] * self._width + positions[..., 1]

    def _distance(self) -> Tensor:
        """Return int64 (S, H W): how far each synthetic colour is from the clean one, in levels."""
        colours = corner_colours(self._corners.long(), self._channels).long()
        return (colours - self._arena.images.flatten(1, 2).long()).abs().sum(-1)

    def _schedule(self) -> list[int]:
        """Return how many pixels are replaced after 0, 1, 2, ... queries."""
        most = self._places - self.pixels
        shares = [
            RATE * ((q + 1) ** -RATE_POWER + RATE_BASE ** (q + 1)) / 2
            for q in range(self.options.queries)
        ]
        return [min(max(int(self.pixels * s), 1), most) for s in shares]


def draw_weighted(words: Tensor, weights: Tensor) -> Tensor:
    """Draw indices one by one, without replacement, each in the proportion of what is left.

    Args:
        words: int64 (S, n), uniform 32-bit words.
        weights: float64 (S, P), at least n of each row positive.

    Returns:
        int64 (S, n).
    """
    drawn = []
    for word in words.unbind(1):
        sums = weights.cumsum(1)
        point = unit_interval(word)[:, None] * sums[:, -1:]
        index = torch.searchsorted(sums, point, right=True).clamp(max=weights.shape[1] - 1)
        weights = weights.scatter(1, index, 0.0)
        drawn.append(index)
    return torch.cat(drawn, 1)
