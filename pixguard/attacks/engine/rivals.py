"""Dense attacks that go against one rival of the clean decision after the other."""

import torch
from torch import Tensor

from pixguard.attacks.engine.dense import DenseSearch
from pixguard.attacks.engine.search import Arena

MOST_RIVALS = 9
"""As in AutoAttack (Croce, Hein 2020): the nearest ones."""


class RivalSearch(DenseSearch):
    """A dense attack that makes a run of ``options.steps`` steps against each rival."""

    @property
    def is_targeted(self) -> bool:
        """Whether it does; else there is one run, against no rival."""
        return True

    def most_queries(self, height: int, width: int) -> int:
        """One a step, for every rival that there may be."""
        return int(self.options.steps) * (MOST_RIVALS if self.is_targeted else 1)

    def allocate(self, arena: Arena) -> None:
        """Prepare rivals int64 (S, R), and the one of the run int64 (S,)."""
        super().allocate(arena)
        assert arena.losses is not None
        self._losses = arena.losses
        slots, device = len(arena.images), arena.images.device
        runs = min(MOST_RIVALS, self._losses.most_rivals) if self.is_targeted else 1
        self._rivals = torch.zeros(slots, runs, dtype=torch.int64, device=device)
        self._rival = torch.zeros(slots, dtype=torch.int64, device=device)

    def state(self) -> dict[str, Tensor]:
        """Return rivals, too."""
        return {**super().state(), "rivals": self._rivals, "rival": self._rival}

    @property
    def _end(self) -> int:
        return int(self.options.steps) * self._rivals.shape[1]

    def is_done(self, slot: int) -> bool | None:
        """Tell whether the last rival of a slot has had its steps."""
        return int(self._iteration[slot]) >= self._end

    def tell(self, fitness: Tensor) -> None:
        """Keep the best; see :meth:`DenseSearch.tell`."""
        super().tell(fitness)
        self._due &= self._iteration < self._end

    def _begin(self, slots: Tensor) -> None:
        if self.is_targeted:
            found = self._losses.rivals(slots, self._clean(slots))
            self._rivals[slots] = found[:, : self._rivals.shape[1]]

    def _fresh(self, slots: Tensor) -> Tensor:
        """Return which of slots (n,) begin a run now, with its rival: bool (n,)."""
        fresh: Tensor = self._iteration[slots] % int(self.options.steps) == 0
        if self.is_targeted:
            own = slots[fresh]
            run = self._iteration[own] // int(self.options.steps)
            self._rival[own] = self._rivals[own].gather(1, run[:, None])[:, 0]
        return fresh
