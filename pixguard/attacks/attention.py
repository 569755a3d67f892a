"""Pixels by attention, colours by search: after PIAA (white-box choice, black-box search).

Liu et al. 2022 let an attention map of the classifier choose the pixels, and search for colours
there. Here the map is Grad-CAM (:mod:`pixguard.attacks.engine.attention`), once, of the clean
image; a candidate takes k of the ``attended`` most attended pixels at random, every other one in
extreme colours, the others in uniform ones. Their network, map and evolution are others: this is
after PIAA, and what it finds says nothing of theirs.
"""

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
from pixguard.attacks.registry import AttentionOptions
from pixguard.errors import UsageError


class AttentionSearch(Search):
    """Random colours at attended pixels; the map is not counted among the queries."""

    options: AttentionOptions
    candidates_per_step = 100

    def most_queries(self, height: int, width: int) -> int:
        """See :meth:`Search.most_queries`.

        Raises:
            UsageError: fewer pixels are attended than are to be changed.
        """
        if self.options.attended < self.pixels:
            raise UsageError(
                f"of {self.options.attended} attended pixels no {self.pixels} can be changed",
                f"`attended={10 * self.pixels}`",
            )
        return super().most_queries(height, width)

    def allocate(self, arena: Arena) -> None:
        """Prepare the attended places int64 (S, A), the most attended first."""
        self._arena = arena
        slots, height, self._width, self._channels = arena.images.shape
        device = arena.images.device
        self._count = min(self.options.attended, height * self._width)
        self._places = torch.zeros(slots, self._count, dtype=torch.int64, device=device)
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._step = torch.zeros(slots, dtype=torch.int64, device=device)
        self._incumbents = Incumbents(slots, self.pixels, self._channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts: look at the clean image, and rank its pixels."""
        self._keys[slots] = keys
        self._step[slots] = 0
        self._incumbents.forget(slots)
        assert self._arena.attention is not None
        clean = self._arena.images[slots].permute(0, 3, 1, 2).float() / 255.0
        maps = self._arena.attention(slots, clean).flatten(1)
        order = maps.argsort(dim=1, descending=True, stable=True)
        self._places[slots] = order[:, : self._count]

    def ask(self) -> Candidates:
        """Return the next candidates, in the last step only what is left."""
        count, pixels = self.candidates_per_step, self.pixels
        words = words_for(self._keys, self._step, count, pixels * (2 + self._channels))
        none = torch.empty(len(words), count, 0, dtype=torch.int64, device=words.device)
        ranks = draw_places(words[..., :pixels], none, self._count)
        places = self._places[:, None].expand(-1, count, -1).gather(2, ranks)
        positions = positions_of(places, self._width)
        slot = torch.arange(len(places), device=places.device)[:, None, None]
        clean = self._arena.images[slot, positions[..., 0], positions[..., 1]]
        corners = draw_corners(words[..., pixels : 2 * pixels], clean)
        extreme = corner_colours(corners, self.channels)
        uniform = (words[..., 2 * pixels :] >> 24).to(torch.uint8).view_as(extreme)
        every_other = (torch.arange(count, device=places.device) % 2 == 0)[:, None, None]
        left = (self.options.queries - self._step * count).clamp(0, count)
        self._last = Candidates(positions, extreme.where(every_other, uniform), left)
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best."""
        self._incumbents.update(self._last, fitness)
        self._step += 1

    def state(self) -> dict[str, Tensor]:
        """Return the attended places, the steps made and the best."""
        return {
            "keys": self._keys,
            "places": self._places,
            "step": self._step,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)
