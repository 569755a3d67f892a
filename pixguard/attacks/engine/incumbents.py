"""The best candidate that each slot of a search has had."""

import torch
from torch import Tensor

from pixguard.attacks.engine.search import Candidates


class Incumbents:
    """Holds one candidate a slot, and takes a better one in its place.

    Attributes:
        positions: int64 (S, k, 2).
        colours: uint8 (S, k, C).
        fitness: float64 (S,), infinite where there was none yet.
    """

    def __init__(self, slots: int, pixels: int, channels: int, device: torch.device) -> None:
        self.positions = torch.zeros(slots, pixels, 2, dtype=torch.int64, device=device)
        self.colours = torch.zeros(slots, pixels, channels, dtype=torch.uint8, device=device)
        self.fitness = torch.full((slots,), torch.inf, dtype=torch.float64, device=device)

    def state(self) -> dict[str, Tensor]:
        """Return all there is to a slot's candidate; see :meth:`Search.state`."""
        return {
            "best_positions": self.positions,
            "best_colours": self.colours,
            "best_fitness": self.fitness,
        }

    def forget(self, slots: Tensor) -> None:
        """Take whatever comes next in slots int64 (n,)."""
        self.fitness[slots] = torch.inf

    def update(self, candidates: Candidates, fitness: Tensor) -> None:
        """Keep the fittest of each slot's candidates unless it is worse than the one held.

        Args:
            candidates: of S slots.
            fitness: float64 (S, P), infinite for candidates that do not count. Of equal ones the
                first is taken.
        """
        least = fitness.amin(1)
        first = (fitness == least[:, None]).long().argmax(1)
        slot = torch.arange(len(first), device=first.device)
        better = least.isfinite() & (least <= self.fitness)
        self.fitness = least.where(better, self.fitness)
        mask = better[:, None, None]
        self.positions = candidates.positions[slot, first].where(mask, self.positions)
        self.colours = candidates.colours[slot, first].where(mask, self.colours)

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return positions (k, 2) and colours (k, C) of a slot's candidate."""
        return self.positions[slot].clone(), self.colours[slot].clone()
