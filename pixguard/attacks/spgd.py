"""Sparse-PGD: projected gradient descent on colours and on where they stand (white-box).

Zhong, Huang, Liu 2024, "Towards Efficient Training and Evaluation of Robust Models against l0
Bounded Adversarial Perturbations" (ICML), and Zhong, Liu 2025, "Sparse-PGD: A Unified Framework for
Sparse Adversarial Perturbations Generation"; constants as in the authors' code (CityU-MLO/sPGD).

A change is a dense tensor of magnitudes times a mask. Of the mask there are logits: forward its k
largest are 1 and all others 0; backward it is their sigmoid, and magnitudes learn everywhere
(*unprojected*), or the same k ones, and only what is shown learns (*projected*). Magnitudes step by
the sign of their gradient, logits by its direction. A mask that stays the same for three iterations
is drawn anew.

The loss is the margin that every search here brings down, in the place of cross-entropy where the
classifier is sure and the margin where it is not: for two classes the steps are the same.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.philox import standard_normal, unit_interval
from pixguard.attacks.engine.sampling import positions_of, words_for
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import SparsePGDOptions

STEP = 0.25
"""Of a magnitude, in units of the pixels' range."""
MASK_STEP = 0.25
"""Of the logits, times the root of their number: their Euclidean step."""
PATIENCE = 3
SQUARINGS = 10
FINE = 1 << 20


class SparsePGDSearch(Search):
    """Sparse-PGD of k pixels; an iteration costs one gradient and one query.

    The first iteration of a mask shows it as it was drawn.
    """

    options: SparsePGDOptions
    candidates_per_step = 1
    most_slots = 32
    """As for sigma-zero: gradients are most of the work, eight at a time."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the constants of the method."""
        return {
            **super().parameters(),
            "step": STEP,
            "mask_step": MASK_STEP,
            "patience": PATIENCE,
        }

    def allocate(self, arena: Arena) -> None:
        """Prepare magnitudes float32 (S, C, H, W) and the logits of masks float32 (S, H W)."""
        self._arena = arena
        slots, height, self._width, channels = arena.images.shape
        device, self._places = arena.images.device, height * self._width
        self._magnitude = torch.zeros(slots, channels, height, self._width, device=device)
        self._logits = torch.zeros(slots, self._places, device=device)
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._iteration, self._stayed = (
            torch.zeros(slots, dtype=torch.int64, device=device) for _ in range(2)
        )
        self._due, self._drawn = (
            torch.zeros(slots, dtype=torch.bool, device=device) for _ in range(2)
        )
        self._last = Candidates(
            torch.zeros(slots, 1, self.pixels, 2, dtype=torch.int64, device=device),
            torch.zeros(slots, 1, self.pixels, channels, dtype=torch.uint8, device=device),
        )
        self._incumbents = Incumbents(slots, self.pixels, channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts with uniform magnitudes and a random mask."""
        self._keys[slots] = keys
        self._iteration[slots] = 0
        self._due[slots] = True
        self._incumbents.forget(slots)
        # Words of many large images at once would fill the memory.
        for slot in slots[:, None].unbind():
            image = self._images(slot)
            words = words_for(self._keys[slot], self._iteration[slot], 1, image.numel())
            uniform = unit_interval(words).float().view_as(image) * 2.0 - 1.0
            self._magnitude[slot] = (image + uniform).clamp(0.0, 1.0) - image
        self._draw_masks(slots)

    def ask(self) -> Candidates:
        """Make an iteration in the slots that are due, and return the image that is shown."""
        slots = self._due.nonzero().flatten()
        if len(slots):
            if len(moving := slots[~self._drawn[slots]]):
                self._iterate(moving)
            self._drawn[slots] = False
            self._show(slots)
            self._draw_masks(slots[self._stayed[slots] >= PATIENCE])
            self._due[slots] = False
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best; who gets no finite answer is idle and makes no further iteration."""
        self._incumbents.update(self._last, fitness)
        self._iteration += 1
        self._due = fitness[:, 0].isfinite() & (self._iteration < self.options.queries)

    def state(self) -> dict[str, Tensor]:
        """Return magnitudes, masks, how long these have stayed, and the best."""
        return {
            "keys": self._keys,
            "magnitude": self._magnitude,
            "logits": self._logits,
            "iteration": self._iteration,
            "stayed": self._stayed,
            "drawn": self._drawn,
            "due": self._due,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)

    def _images(self, slots: Tensor) -> Tensor:
        return self._arena.images[slots].permute(0, 3, 1, 2).float() / 255.0

    def _mask(self, slots: Tensor) -> Tensor:
        """Return bool (n, H W): the k largest logits of each slot."""
        chosen = chosen_places(self._logits[slots], self.pixels)
        return torch.zeros_like(self._logits[slots], dtype=torch.bool).scatter_(1, chosen, True)

    def _iterate(self, slots: Tensor) -> None:
        """Move logits and magnitudes against their gradients."""
        images, magnitude, logits = self._images(slots), self._magnitude[slots], self._logits[slots]
        mask = self._mask(slots)
        shown = mask.view(len(slots), 1, *images.shape[2:])
        _, gradient = self._arena.gradient(slots, images + magnitude * shown)
        sign = gradient.sign()
        if self.options.gradient == "projected":
            sign = sign * shown
        uphill = (gradient * magnitude).sum(1).flatten(1).double() * sigmoid_slope(logits)
        length = MASK_STEP * math.sqrt(self._places)
        self._logits[slots] = logits - (length * direction(uphill)).float()
        self._magnitude[slots] = (images + magnitude - STEP * sign).clamp(0.0, 1.0) - images
        stays = (self._mask(slots) == mask).all(1)
        self._stayed[slots] = (self._stayed[slots] + 1).where(stays, 0)

    def _draw_masks(self, slots: Tensor) -> None:
        """Draw masks, to be shown as they are in the next iteration."""
        for slot in slots[:, None].unbind():
            words = words_for(self._keys[slot], self._iteration[slot] + 1, 1, self._places)
            self._logits[slot] = standard_normal(words[0]).float()
        self._drawn[slots] = True
        self._stayed[slots] = 0

    def _show(self, slots: Tensor) -> None:
        """Put the chosen pixels, rounded to 8 bits, into the candidates."""
        places = chosen_places(self._logits[slots], self.pixels)
        levels = ((self._images(slots) + self._magnitude[slots]) * 255.0).round().to(torch.uint8)
        # Not in place: those of the last step may still be in use as an outcome.
        self._last = Candidates(self._last.positions.clone(), self._last.colours.clone())
        self._last.positions[slots, 0] = positions_of(places, self._width)
        colours = levels.flatten(2).gather(2, places[:, None].expand(-1, levels.shape[1], -1))
        self._last.colours[slots, 0] = colours.transpose(1, 2)


def chosen_places(logits: Tensor, pixels: int) -> Tensor:
    """Return the places int64 (n, k) of the k largest logits float (n, P), the largest first."""
    return logits.argsort(dim=1, descending=True, stable=True)[:, :pixels]


# A vectorised exponential or sum may differ in its last bit with how many slots are computed
# together; products, quotients and sums of integers do not.


def sigmoid_slope(logits: Tensor) -> Tensor:
    """Return the derivative of the sigmoid, to 1e-4 of its value, float64."""
    small = logits.abs().double().clamp(max=32.0) / (1 << SQUARINGS)
    power = 1.0 - small + small * small / 2.0 - small * small * small / 6.0
    for _ in range(SQUARINGS):
        power = power * power
    return power / ((1.0 + power) * (1.0 + power))


def direction(vectors: Tensor) -> Tensor:
    """Return float64 vectors (n, P), each of length 1 to six digits; zero where it has none."""
    most = vectors.abs().amax(1, keepdim=True)
    unit = (vectors / most.clamp(min=1e-300)).masked_fill(most < 1e-10, 0.0)
    whole = (unit * FINE).round().long()
    length = (whole * whole).sum(1, keepdim=True).double().sqrt() / FINE
    return unit / length.clamp(min=1.0)
