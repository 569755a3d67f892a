"""Sigma-zero: few changed pixels by gradient descent on a smoothed count of them (white-box).

Cinà, Villani, Pintor, Schönherr, Biggio, Pelillo 2025, "σ-zero: Gradient-based Optimization of
ℓ0-norm Adversarial Examples" (ICLR); Adam, the step's decay and all defaults as in the authors'
code (Cinofix/sigma-zero-adversarial-attack). Minimised is

    max(margin, 0) + 1/d sum_i |delta_i|^2 / (|delta_i|^2 + sigma),

its gradient scaled to a largest entry of 1; then what is changed by less than tau is set back, and
tau rises while the image is adversarial and falls while it is not.

Here a pixel counts once, whatever its channels: |delta_i| is its length over the channels where it
is counted (d pixels), and its largest channel where it is compared with tau. In grayscale both are
the paper's. The published attack looks for the fewest pixels; this one has k, and asks in every
iteration for the image with the k largest changes, rounded to 8 bits.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.sampling import positions_of
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import BudgetOptions

SIGMA = 1e-3
STEP = 1.0
LAST_STEP = STEP / 10
"""The step falls from the one to the other along half a cosine."""
THRESHOLD = 0.3
THRESHOLD_STEP = 0.01
"""Tau, and by which part of the step it changes."""
MOMENTS = (0.9, 0.999)
EPSILON = 1e-8
"""Adam's."""


class SigmaZeroSearch(Search):
    """Sigma-zero of k pixels; an iteration costs one gradient and one query."""

    options: BudgetOptions
    candidates_per_step = 1
    most_slots = 32
    """Gradients are most of the work, eight at a time whatever the number of slots: measured on two
    cores, 96 slots take 3 % less time than 32 (ResNet18, 64 x 64), or 17 % (small CNN, 28 x 28)."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the constants of the method."""
        return {
            **super().parameters(),
            "sigma": SIGMA,
            "step": STEP,
            "threshold": THRESHOLD,
            "threshold_step": THRESHOLD_STEP,
        }

    def allocate(self, arena: Arena) -> None:
        """Prepare changes and their moments float32 (S, C, H, W), and tau float32 (S,)."""
        self._arena = arena
        slots, height, self._width, channels = arena.images.shape
        device = arena.images.device
        self._change, self._first, self._second = (
            torch.zeros(slots, channels, height, self._width, device=device) for _ in range(3)
        )
        self._step = self._step_lengths().to(device)
        self._corrections = torch.tensor(
            [[1 - decay ** (i + 1) for i in range(self.options.queries)] for decay in MOMENTS],
            device=device,
        )
        self._tau = torch.zeros(slots, device=device)
        self._iteration = torch.zeros(slots, dtype=torch.int64, device=device)
        self._due = torch.zeros(slots, dtype=torch.bool, device=device)
        self._last = Candidates(
            torch.zeros(slots, 1, self.pixels, 2, dtype=torch.int64, device=device),
            torch.zeros(slots, 1, self.pixels, channels, dtype=torch.uint8, device=device),
        )
        self._incumbents = Incumbents(slots, self.pixels, channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts with the clean image; nothing is random."""
        for state in (self._change, self._first, self._second, self._iteration):
            state[slots] = 0
        self._tau[slots] = THRESHOLD
        self._due[slots] = True
        self._incumbents.forget(slots)

    def ask(self) -> Candidates:
        """Make an iteration in the slots that are due, and return the k largest changes."""
        slots = self._due.nonzero().flatten()
        if len(slots):
            self._iterate(slots)
            self._due[slots] = False
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best; who gets no finite answer is idle and makes no further iteration."""
        self._incumbents.update(self._last, fitness)
        self._iteration += 1
        self._due = fitness[:, 0].isfinite() & (self._iteration < self.options.queries)

    def state(self) -> dict[str, Tensor]:
        """Return changes, moments, tau and the best."""
        return {
            "change": self._change,
            "first": self._first,
            "second": self._second,
            "tau": self._tau,
            "iteration": self._iteration,
            "due": self._due,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)

    def _iterate(self, slots: Tensor) -> None:
        images = self._arena.images[slots].permute(0, 3, 1, 2).float() / 255.0
        change = self._change[slots]
        margin, gradient = self._arena.gradient(slots, images + change)
        adversarial = margin < 0
        descent = gradient.masked_fill(adversarial[:, None, None, None], 0.0)
        change = self._adam(slots, change, scaled(descent + count_gradient(change)))
        change = (images + change).clamp(0.0, 1.0) - images
        self._ask_for(slots, images, change, gradient)
        drift = THRESHOLD_STEP * self._step[self._iteration[slots] + 1]
        tau = (self._tau[slots] + drift.where(adversarial, -drift)).clamp(0.0, 1.0)
        small = change.abs().amax(1, keepdim=True) < tau[:, None, None, None]
        self._change[slots], self._tau[slots] = change.masked_fill(small, 0.0), tau

    def _step_lengths(self) -> Tensor:
        """Return float32 (queries + 1,), the length of the step in every iteration."""
        # A table, like Adam's corrections: a vectorised cosine may differ in its last bit with how
        # many slots are computed together.
        cosines = [
            math.cos(math.pi * i / self.options.queries) for i in range(self.options.queries + 1)
        ]
        return torch.tensor([LAST_STEP + (STEP - LAST_STEP) * (1 + c) / 2 for c in cosines])

    def _adam(self, slots: Tensor, change: Tensor, gradient: Tensor) -> Tensor:
        """Return the changes after one step of Adam (Kingma, Ba 2015)."""
        first_decay, second_decay = MOMENTS
        first = first_decay * self._first[slots] + (1 - first_decay) * gradient
        second = second_decay * self._second[slots] + (1 - second_decay) * gradient**2
        self._first[slots], self._second[slots] = first, second
        made = self._iteration[slots]
        first = first / self._corrections[0, made][:, None, None, None]
        second = second / self._corrections[1, made][:, None, None, None]
        step = self._step[made][:, None, None, None]
        return change - step * first / (second.sqrt() + EPSILON)

    def _ask_for(self, slots: Tensor, images: Tensor, change: Tensor, gradient: Tensor) -> None:
        """Put the k largest changes, before the small ones are set back, into the candidates.

        Adam makes its first steps equally long everywhere, so that many changes are equal: then
        those come first that lower the margin most, to first order.
        """
        levels = ((images + change) * 255.0).round().to(torch.uint8)
        moved = (levels.int() - (images * 255.0).round().int()).abs().amax(1).flatten(1)
        effect = (gradient * change).sum(1).flatten(1)
        order = effect.argsort(dim=1, stable=True)
        order = order.gather(1, moved.gather(1, order).argsort(dim=1, stable=True, descending=True))
        places = order[:, : self.pixels]
        # Not in place: those of the last step may still be in use as an outcome.
        self._last = Candidates(self._last.positions.clone(), self._last.colours.clone())
        self._last.positions[slots, 0] = positions_of(places, self._width)
        colours = levels.flatten(2).gather(2, places[:, None].expand(-1, levels.shape[1], -1))
        self._last.colours[slots, 0] = colours.transpose(1, 2)


def count_gradient(change: Tensor) -> Tensor:
    """Return the gradient of the smoothed share of changed pixels.

    Args:
        change: float32 (n, C, H, W).

    Returns:
        float32 (n, C, H, W).
    """
    pixels = change.shape[-2] * change.shape[-1]
    square = change.square().sum(1, keepdim=True)
    return 2 * SIGMA * change / (square + SIGMA) ** 2 / pixels


def scaled(gradient: Tensor) -> Tensor:
    """Return gradients (n, C, H, W), each divided by its largest entry."""
    return gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
