"""Exhaustive search over pairs of pixels at extreme values, where bounds rule most pairs out."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.pair_bounds import PairBounder
from pixguard.attacks.engine.sampling import check_room, positions_of
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import AttackEntry
from pixguard.errors import UsageError

FIRST = 2048
"""Pairs, of lowest predicted margin, that are evaluated before anything is bounded."""


class PairSearch(Search):
    """Every pair of pixels of a grayscale image, each black or white.

    With bounds, pairs come in the order of the margin that they would have if two changes added
    up, and those that bounds clear are left out. A failure says that no pair at extreme values
    flips; of the values between it says nothing.
    """

    candidates_per_step = 98
    most_slots = 1
    resumes = False

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        if channels != 1:
            raise UsageError(
                "two pixels in colour have 19.7 million pairs of extreme colours at 28 pixels: too "
                "many to try them all",
                "the attack corner searches among them; one pixel is covered in colour, too",
            )
        if options.space == "all-values":
            raise UsageError(
                "two pixels have too many pairs of values to try them all",
                "take the space corners: each pixel black or white",
            )
        super().__init__(entry, options, pixels, channels)

    @property
    def counts_distinct(self) -> bool:
        """The candidates, where bounds are asked for, too."""
        return self._bounded

    @property
    def _bounded(self) -> bool:
        return bool(self.options.by == "bounds")

    def parameters(self) -> Mapping[str, Any]:
        """Return what is covered, and how."""
        return {"space": "corners", **({"by": "bounds"} if self.options.by == "bounds" else {})}

    def most_queries(self, height: int, width: int) -> int:
        """Return the number of pairs; with bounds all of them may be left, and were bounded."""
        check_room(self.pixels, height, width)
        changes = 2 * height * width
        pairs = changes * (changes - 2) // 2
        return pairs * 2 + changes * 4 if self._bounded else pairs

    def allocate(self, arena: Arena) -> None:
        """Prepare for the slots of an arena."""
        slots, height, self._width, _ = arena.images.shape
        self._arena, self._device = arena, arena.images.device
        change = torch.arange(2 * height * self._width, device=self._device)
        self._numbers = change
        self._lists: list[list[Tensor]] = [[] for _ in range(slots)]
        self._bounders: list[PairBounder | None] = [None] * slots
        self._made = [0] * slots
        self._incumbents = Incumbents(slots, 2, 1, self._device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts; nothing is random."""
        self._incumbents.forget(slots)
        for slot in slots.tolist():
            bounder = self._arena.pairs(slot) if self._bounded else None
            self._bounders[slot], self._made[slot] = bounder, 0
            if bounder is None:
                first, second = torch.triu_indices(
                    len(self._numbers), len(self._numbers), 1, device=self._device
                )
                apart = first // 2 != second // 2
                self._lists[slot] = [first[apart], second[apart]]
            else:
                self._lists[slot] = list(bounder.best(FIRST))
                self._made[slot] = bounder.bounds

    def ask(self) -> Candidates:
        """Return the next pairs of each slot."""
        slots, most = len(self._lists), self.candidates_per_step
        pairs = torch.zeros(slots, most, 2, dtype=torch.int64, device=self._device)
        counts = torch.zeros(slots, dtype=torch.int64, device=self._device)
        for slot, own in enumerate(self._lists):
            if own:
                first, second = (part[:most] for part in own)
                pairs[slot, : len(first)] = torch.stack([first, second], 1)
                counts[slot] = len(first)
        colours = (pairs % 2 * 255).to(torch.uint8)[..., None]
        self._last = Candidates(positions_of(pairs // 2, self._width), colours, counts)
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best; once the most promising pairs are done, rule others out."""
        self._incumbents.update(self._last, fitness)
        for slot, own in enumerate(self._lists):
            if not own:
                continue
            self._lists[slot] = own = [part[self.candidates_per_step :] for part in own]
            bounder = self._bounders[slot]
            flipped = bool((fitness[slot] <= 0).any())
            if not len(own[0]) and bounder is not None and not flipped:
                bounder.rule_out()
                left = bounder.left()
                self._lists[slot] = [left.first, left.second]
                self._made[slot], self._bounders[slot] = left.bounds, None

    def state(self) -> dict[str, Tensor]:
        """Return the best: an attempt that is cut off begins again."""
        return self._incumbents.state()

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the pair of lowest margin that was asked for."""
        return self._incumbents.best(slot)

    def is_done(self, slot: int) -> bool | None:
        """Tell whether every pair was evaluated or ruled out."""
        own = self._lists[slot]
        return not own or (not len(own[0]) and self._bounders[slot] is None)

    def bounds_made(self, slot: int) -> int | None:
        """Return how much was bounded, and evaluated alone for that."""
        return self._made[slot] if self._bounded else None
