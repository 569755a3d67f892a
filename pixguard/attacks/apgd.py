"""Auto-PGD: projected gradient descent with momentum and a step that adapts (white-box).

Croce, Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
Parameter-free Attacks" (ICML), algorithm 1 with its constants: the step begins at twice the
distance, and is halved at checkpoints where too few steps lowered the loss, or neither step nor
best loss has changed since the last; then it goes on from the best point. Momentum 0.75.

Two losses, both minimised: minus the cross-entropy, once; or the targeted difference-of-logits
ratio, once for each of the nine nearest rivals of the clean decision (APGD-T), with ``steps``
gradients each. Where there are fewer than four classes the ratio is not defined: there, and for
labels that may be given together, the plain difference takes its place.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.dense_options import APGDOptions
from pixguard.attacks.engine.losses import Loss
from pixguard.attacks.engine.rivals import MOST_RIVALS, RivalSearch
from pixguard.attacks.engine.search import Arena

MOMENTUM = 0.75
FIRST_CHECK, CHECK_SHRINKS, LEAST_CHECK = 22, 3, 6
"""Percent of all steps: until the first checkpoint, how much shorter each next one is, and the
least."""
ENOUGH = 0.75
"""The share of steps of a period that must have lowered the loss."""


class APGDSearch(RivalSearch):
    """APGD; a step costs one gradient and one query."""

    options: APGDOptions

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the constants that may differ between versions."""
        return {**super().parameters(), "momentum": MOMENTUM, "most_rivals": MOST_RIVALS}

    @property
    def is_targeted(self) -> bool:
        """Whether the loss names a rival."""
        return self.options.loss == "targeted-dlr"

    def allocate(self, arena: Arena) -> None:
        """Prepare what a run remembers: points, losses, steps and counts of each slot."""
        super().allocate(arena)
        slots, device = len(arena.images), arena.images.device
        self._checks = checkpoints(self.options.steps)
        self._before, self._best_point, self._best_gradient, self._gradient = (
            torch.zeros_like(self._point) for _ in range(4)
        )
        self._loss, self._best_loss, self._checked_loss, self._length, self._checked_length = (
            torch.zeros(slots, dtype=torch.float64, device=device) for _ in range(5)
        )
        self._lowered = torch.zeros(slots, dtype=torch.int64, device=device)

    def state(self) -> dict[str, Tensor]:
        """Return all that a run remembers."""
        return {
            **super().state(),
            "before": self._before,
            "best_point": self._best_point,
            "best_gradient": self._best_gradient,
            "gradient": self._gradient,
            "loss": self._loss,
            "best_loss": self._best_loss,
            "checked_loss": self._checked_loss,
            "length": self._length,
            "checked_length": self._checked_length,
            "lowered": self._lowered,
        }

    def _move(self, slots: Tensor) -> None:
        is_fresh = self._fresh(slots)
        if len(fresh := slots[is_fresh]):
            self._restart(fresh)
        if len(going := slots[~is_fresh]):
            self._adapt(going)
        self._advance(slots)

    def _restart(self, slots: Tensor) -> None:
        """Begin a run at a random point."""
        point = self._random_points(slots)
        loss, gradient = self._evaluate(slots, point)
        self._point[slots] = self._before[slots] = self._best_point[slots] = point
        self._gradient[slots] = self._best_gradient[slots] = gradient
        for kept in (self._loss, self._best_loss, self._checked_loss):
            kept[slots] = loss
        self._length[slots] = self._checked_length[slots] = 2 * self.radius
        self._lowered[slots] = 0

    def _evaluate(self, slots: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        loss: Loss = self._losses.entropy
        if self.is_targeted:
            loss = self._losses.dlr(self._rival)
        values, gradient = self._arena.gradient(slots, points, loss)
        return values, gradient

    def _adapt(self, slots: Tensor) -> None:
        """Look at the point of the last step; at a checkpoint, perhaps halve the step."""
        loss, gradient = self._evaluate(slots, self._point[slots])
        self._lowered[slots] += (loss < self._loss[slots]).long()
        self._loss[slots], self._gradient[slots] = loss, gradient
        better = loss < self._best_loss[slots]
        own = slots[better]
        self._best_loss[own] = loss[better]
        self._best_point[own], self._best_gradient[own] = self._point[own], gradient[better]
        done = (self._iteration[slots] % self.options.steps).tolist()
        for slot, steps in zip(slots.tolist(), done, strict=True):
            if steps in self._checks:
                self._check(slot, self._checks[steps])

    def _check(self, slot: int, period: int) -> None:
        too_few = int(self._lowered[slot]) < ENOUGH * period
        same_step = bool(self._length[slot] == self._checked_length[slot])
        stuck = same_step and bool(self._best_loss[slot] == self._checked_loss[slot])
        self._checked_length[slot] = self._length[slot]
        self._checked_loss[slot] = self._best_loss[slot]
        self._lowered[slot] = 0
        if too_few or stuck:
            self._length[slot] /= 2
            self._loss[slot] = self._best_loss[slot]
            self._gradient[slot] = self._best_gradient[slot]
            self._point[slot] = self._best_point[slot]

    def _advance(self, slots: Tensor) -> None:
        """Take a step with momentum; a run's first has none."""
        point, before = self._point[slots], self._before[slots]
        length = self._length[slots].float().view(-1, 1, 1, 1)
        ahead = self._inside(slots, point + length * self._downhill(self._gradient[slots]))
        is_first = (self._iteration[slots] % self.options.steps == 0).view(-1, 1, 1, 1)
        mixed = point + MOMENTUM * (ahead - point) + (1 - MOMENTUM) * (point - before)
        self._before[slots] = point
        self._point[slots] = self._inside(slots, ahead.where(is_first, mixed))


def checkpoints(steps: int) -> dict[int, int]:
    """Return the steps at which a run is looked at, each with how many there were since the last.

    Croce, Hein 2020, section 3.2: each period is 0.03 shorter than the one before it, of all steps,
    and at least 0.06.
    """
    found, share, period, last = dict[int, int](), 0, FIRST_CHECK, 0
    while share < 100:
        share += period
        at = -(-share * steps // 100)
        if last < at < steps:
            found[at], last = at - last, at
        period = max(period - CHECK_SHRINKS, LEAST_CHECK)
    return found
