"""Box-constrained L-BFGS: the first adversarial attack on deep networks (white-box).

Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus 2014, "Intriguing Properties of Neural
Networks" (ICLR), section 4.1: of changes r with x + r in [0, 1], that of the least

    c |r|^2 + cross-entropy(x + r, l),

l the target, or else the nearest rival of the clean decision; SciPy's L-BFGS-B (Zhu, Byrd, Lu,
Nocedal 1997) finds it. In the Euclidean norm c is searched for by bisection, as there: larger where
the change fools but is too long, smaller where it does not fool; each change is cut to the distance
and asked for. In the largest norm the distance is part of the box, and c is 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import fmin_l_bfgs_b
from torch import Tensor

from pixguard.attacks.dense_options import DenseStepsOptions
from pixguard.attacks.engine.dense import DenseSearch
from pixguard.attacks.engine.search import Arena

FIRST_WEIGHT = 0.1
"""The first c; it grows and shrinks tenfold until it is bracketed, then by halves."""
RUNS = 10
MOST_EVALUATIONS = 2
"""Gradients of a run at most, in its steps: line searches take more than one a step."""


class LBFGSSearch(DenseSearch):
    """L-BFGS; a run of at most ``steps`` iterations for each query."""

    options: DenseStepsOptions

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the number of runs."""
        return {**super().parameters(), "runs": self.most_queries(0, 0), "weight": FIRST_WEIGHT}

    def most_queries(self, height: int, width: int) -> int:
        """One a run."""
        return 1 if self.norm == "linf" else RUNS

    def allocate(self, arena: Arena) -> None:
        """Prepare rivals int64 (S,), and c with its bracket float64 (S,)."""
        super().allocate(arena)
        assert arena.losses is not None
        self._losses = arena.losses
        slots, device = len(arena.images), arena.images.device
        self._rival = torch.zeros(slots, dtype=torch.int64, device=device)
        self._weight, self._low, self._high = (
            torch.zeros(slots, dtype=torch.float64, device=device) for _ in range(3)
        )

    def state(self) -> dict[str, Tensor]:
        """Return the bracket, too."""
        own = {"weight": self._weight, "low": self._low, "high": self._high}
        return {**super().state(), "rival": self._rival, **own}

    def _begin(self, slots: Tensor) -> None:
        self._rival[slots] = self._losses.rivals(slots, self._clean(slots))[:, 0]
        self._weight[slots] = 0.0 if self.norm == "linf" else FIRST_WEIGHT
        self._low[slots] = 0.0
        self._high[slots] = torch.inf

    def _move(self, slots: Tensor) -> None:
        for slot in slots[:, None].unbind():
            point = self._minimise(slot)
            self._point[slot] = self._inside(slot, point)
            if self.norm == "l2":
                margin, _ = self._arena.gradient(slot, point)
                self._bisect(int(slot), fools=bool(margin < 0))

    def _minimise(self, slot: Tensor) -> Tensor:
        """Return the point of least cost, float32 (1, C, H, W), for a slot int64 (1,)."""
        clean = self._clean(slot)
        start: NDArray[np.float64] = clean.double().flatten().cpu().numpy()
        weight = float(self._weight[slot])
        reach = self.radius if self.norm == "linf" else 1.0
        low, high = (start - reach).clip(0, 1), (start + reach).clip(0, 1)
        loss = self._losses.towards(self._rival)

        def cost(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            image = torch.from_numpy(values).float().to(clean.device).view_as(clean)
            value, gradient = self._arena.gradient(slot, image, loss)
            change = values - start
            total = float(value) + weight * float(np.square(change).sum())
            slope = gradient.double().flatten().cpu().numpy() + 2 * weight * change
            return total, slope

        found, _, _ = fmin_l_bfgs_b(
            cost,
            start,
            bounds=np.stack([low, high], axis=1),
            maxiter=self.options.steps,
            maxfun=MOST_EVALUATIONS * self.options.steps,
        )
        return torch.from_numpy(found).float().to(clean.device).view_as(clean)

    def _bisect(self, slot: int, *, fools: bool) -> None:
        """Choose the next c of a slot; what fools within the distance has ended the attempt."""
        (self._low if fools else self._high)[slot] = self._weight[slot]
        low, high = float(self._low[slot]), float(self._high[slot])
        if high == float("inf"):
            self._weight[slot] = 10 * low
        elif low == 0.0:
            self._weight[slot] = high / 10
        else:
            self._weight[slot] = (low + high) / 2
