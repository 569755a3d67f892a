"""Attacks made of others, one after the other, on what still stands."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.search import Arena, Candidates, Search, make_search
from pixguard.attacks.registry import AttackEntry
from pixguard.config.settings import Settings


class ChainSearch(Search):
    """Parts of one query a step, each of which begins anew."""

    candidates_per_step = 1
    most_slots = 32
    """As for sigma-zero: gradients are most of the work, eight at a time."""

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        self._parts = [
            make_search(name, own, pixels=pixels or 1, channels=channels)
            for name, own in self.plan(options)
        ]
        super().__init__(entry, options, pixels, channels)

    @staticmethod
    @abstractmethod
    def plan(options: Any) -> Sequence[tuple[str, Settings]]:
        """Return the attacks, by name, with their options."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the options, and the parts with theirs."""
        parts = [
            {"name": p.record.name, "version": p.record.version, **p.record.parameters}
            for p in self._parts
        ]
        return {**super().parameters(), "parts": parts}

    def most_queries(self, height: int, width: int) -> int:
        """Return those of all parts."""
        return sum(part.most_queries(height, width) for part in self._parts)

    def allocate(self, arena: Arena) -> None:
        """Prepare every part, and how far slots are, in queries, int64 (S,)."""
        slots, height, width, channels = arena.images.shape
        device, places = arena.images.device, self.pixels or height * width
        budgets = [part.most_queries(height, width) for part in self._parts]
        for part in self._parts:
            part.allocate(arena)
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._query = torch.zeros(slots, dtype=torch.int64, device=device)
        self._ends = torch.tensor(budgets, device=device).cumsum(0)
        self._last = Candidates(
            torch.zeros(slots, 1, self.pixels, 2, dtype=torch.int64, device=device),
            torch.zeros(slots, 1, places, channels, dtype=torch.uint8, device=device),
        )
        self._incumbents = Incumbents(slots, self.pixels, channels, device)
        self._incumbents.colours = torch.zeros_like(self._last.colours[:, 0])

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts with the first part."""
        self._keys[slots] = keys
        self._query[slots] = 0
        self._incumbents.forget(slots)
        self._begin(0, slots)

    def ask(self) -> Candidates:
        """Return what the part of each slot asks for."""
        running, last = self._running(), self._last
        for index in sorted(set(running.tolist())):
            asked = self._parts[index].ask()
            its = (running == index)[:, None, None, None]
            last = Candidates(
                asked.positions.where(its, last.positions), asked.colours.where(its, last.colours)
            )
        self._last = last
        return last

    def tell(self, fitness: Tensor) -> None:
        """Tell each part of its slots; where it is done, begin the next one."""
        running = self._running()
        self._incumbents.update(self._last, fitness)
        for index in sorted(set(running.tolist())):
            self._parts[index].tell(fitness.where((running == index)[:, None], torch.inf))
        self._query += 1
        answered = fitness[:, 0].isfinite()
        for index, part in enumerate(self._parts):
            over = answered & (running == index) & (self._query >= self._ends[index])
            for slot in (answered & (running == index) & ~over).nonzero().flatten().tolist():
                over[slot] = bool(part.is_done(slot))
            if over.any():
                self._query[over] = self._ends[index]
                if index + 1 < len(self._parts):
                    self._begin(index + 1, over.nonzero().flatten())

    def is_done(self, slot: int) -> bool | None:
        """Tell whether the last part of a slot is done."""
        return int(self._query[slot]) >= int(self._ends[-1])

    def state(self) -> dict[str, Tensor]:
        """Return the state of every part, how far a slot is, and the best."""
        parts = {
            f"{index}.{name}": rows
            for index, part in enumerate(self._parts)
            for name, rows in part.state().items()
        }
        return {"keys": self._keys, "query": self._query, **parts, **self._incumbents.state()}

    def allows(self, images: Tensor, candidates: Candidates) -> Tensor:
        """Tell which candidates the parts may make: all the same; see :meth:`Search.allows`."""
        return self._parts[0].allows(images, candidates)

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin of all parts."""
        return self._incumbents.best(slot)

    def _running(self) -> Tensor:
        """Return int64 (S,): which part a slot is at; the last one once all are at their end."""
        running = torch.searchsorted(self._ends, self._query, right=True)
        return running.clamp(max=len(self._parts) - 1)

    def _begin(self, index: int, slots: Tensor) -> None:
        """Begin a part, with a random stream of its own."""
        keys = self._keys[slots]
        self._parts[index].start(slots, keys ^ torch.tensor([0, index], device=keys.device))
