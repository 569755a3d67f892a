"""Sparse-AutoAttack: Sparse-PGD in both forms, then Sparse-RS, on what still stands (white-box).

The order of Zhong, Huang, Liu 2024, "Towards Efficient Training and Evaluation of Robust Models
against l0 Bounded Adversarial Perturbations" (ICML; CityU-MLO/sPGD). There each part has 10,000
iterations or queries; here the three share one budget equally, so that an attempt compares with
others.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.search import Arena, Candidates, Search, make_search
from pixguard.attacks.registry import AttackEntry, BudgetOptions, SparsePGDOptions


class SparseAASearch(Search):
    """Parts of one query a step, one after the other; each begins anew."""

    options: BudgetOptions
    candidates_per_step = 1
    most_slots = 32
    """As for sigma-zero: gradients are most of the work, eight at a time."""

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        third = options.queries // 3
        rest = BudgetOptions(queries=options.queries - 2 * third)
        parts: list[tuple[str, BudgetOptions]] = [("sparse-rs", rest)]
        if third:  # of a budget of two nothing is to be shared
            projected = SparsePGDOptions(queries=third, gradient="projected")
            unprojected = SparsePGDOptions(queries=third, gradient="unprojected")
            parts = [("spgd", projected), ("spgd", unprojected), *parts]
        self._parts = [
            make_search(name, own, pixels=pixels, channels=channels) for name, own in parts
        ]
        self._budgets = [own.queries for _, own in parts]
        super().__init__(entry, options, pixels, channels)

    def parameters(self) -> Mapping[str, Any]:
        """Return the options, and the parts with theirs."""
        parts = [
            {"name": p.record.name, "version": p.record.version, **p.record.parameters}
            for p in self._parts
        ]
        return {**super().parameters(), "parts": parts}

    def allocate(self, arena: Arena) -> None:
        """Prepare every part, and queries made int64 (S,)."""
        slots, device = len(arena.images), arena.images.device
        for part in self._parts:
            part.allocate(arena)
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._query = torch.zeros(slots, dtype=torch.int64, device=device)
        self._ends = torch.tensor(self._budgets, device=device).cumsum(0)
        self._last = Candidates(
            torch.zeros(slots, 1, self.pixels, 2, dtype=torch.int64, device=device),
            torch.zeros(slots, 1, self.pixels, self.channels, dtype=torch.uint8, device=device),
        )
        self._incumbents = Incumbents(slots, self.pixels, self.channels, device)

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
        """Tell each part of its slots; where its budget is spent, begin the next one."""
        running = self._running()
        self._incumbents.update(self._last, fitness)
        for index in sorted(set(running.tolist())):
            self._parts[index].tell(fitness.where((running == index)[:, None], torch.inf))
        self._query += 1
        answered = fitness[:, 0].isfinite()
        for index in range(1, len(self._parts)):
            due = answered & (self._query == self._ends[index - 1])
            if due.any():
                self._begin(index, due.nonzero().flatten())

    def state(self) -> dict[str, Tensor]:
        """Return the state of every part, queries made and the best."""
        parts = {
            f"{index}.{name}": rows
            for index, part in enumerate(self._parts)
            for name, rows in part.state().items()
        }
        return {"keys": self._keys, "query": self._query, **parts, **self._incumbents.state()}

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
