"""Random search: the floor that every other search must beat."""

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.sampling import draw_places, positions_of, words_for
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import BudgetOptions


class RandomSearch(Search):
    """Independent candidates: k distinct pixels and all their colour values uniform."""

    options: BudgetOptions
    candidates_per_step = 100

    def allocate(self, arena: Arena) -> None:
        """Prepare keys int64 (S, 2) and steps (S,)."""
        slots, self._height, self._width, self._channels = arena.images.shape
        device = arena.images.device
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._step = torch.zeros(slots, dtype=torch.int64, device=device)
        self._incumbents = Incumbents(slots, self.pixels, self._channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts."""
        self._keys[slots] = keys
        self._step[slots] = 0
        self._incumbents.forget(slots)

    def ask(self) -> Candidates:
        """Return the next independent candidates, in the last step only what is left."""
        count, pixels = self.candidates_per_step, self.pixels
        words = words_for(self._keys, self._step, count, pixels * (1 + self._channels))
        none = torch.empty(len(words), count, 0, dtype=torch.int64, device=words.device)
        places = draw_places(words[..., :pixels], none, self._height * self._width)
        colours = (words[..., pixels:] >> 24).to(torch.uint8)
        left = (self.options.queries - self._step * count).clamp(0, count)
        self._last = Candidates(
            positions_of(places, self._width),
            colours.view(*places.shape, self._channels),
            left,
        )
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best."""
        self._incumbents.update(self._last, fitness)
        self._step += 1

    def state(self) -> dict[str, Tensor]:
        """Return the steps made and the best."""
        return {
            "keys": self._keys,
            "step": self._step,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)
