"""Exhaustive search: the true answer to whether one pixel is enough.

It asks for every candidate of a stated space, so that its failure is a proof for that space. A
candidate that leaves the image as it is counts as one of the space, and never succeeds.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.sampling import corner_colours, positions_of
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.pairs import PairSearch
from pixguard.attacks.proving import ProvingSearch
from pixguard.attacks.registry import AttackEntry
from pixguard.errors import UsageError

LEVELS = 256
STEP = 512
"""Candidates a step where all values are covered."""
REFINED = 16
"""Pixels of lowest margin at a corner whose channels are searched through afterwards."""


def _extremes_first() -> list[int]:
    """Return all levels: black, white, then by halving what lies between (bits reversed)."""
    inner = sorted(range(1, LEVELS - 1), key=lambda level: int(f"{level:08b}"[::-1], 2))
    return [0, LEVELS - 1, *inner]


def _opposites(count: int) -> list[int]:
    """Return all corners, each followed by its opposite; black and white come first."""
    return [corner for near in range(count // 2) for corner in (near, count - 1 - near)]


class ExhaustiveSearch(Search):
    """All candidates of one pixel, in an order that tends to meet a flip early.

    ``all-values`` (grayscale): every (pixel, value), at extreme values first, and at all pixels
    before the next value. ``corners``: every (pixel, corner colour); then, at the 16 pixels of
    lowest margin, all values of each channel while the others stay at that pixel's best corner.
    Only what a step needs is computed, from its number: 12.8 million candidates take no memory.
    """

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        self.space = options.space or ("all-values" if channels == 1 else "corners")
        if self.space == "all-values" and channels != 1:
            raise UsageError(
                "a pixel in colour has 16.7 million values: too many to try them all",
                "`by=bounds` proves them; the space corners covers extreme colours and their "
                "refinement",
            )
        super().__init__(entry, options, pixels, channels)
        # A refined pixel takes one whole step, so that no step is cut short but the last corners'.
        self.candidates_per_step = LEVELS * channels if self.space == "corners" else STEP

    @classmethod
    def variant(cls, options: Any, pixels: int) -> type[Search]:
        """Return the search by proof, where that is asked for, or that over pairs."""
        if pixels == 2:
            return PairSearch
        if options.by == "candidates":
            return cls
        if options.space == "corners":
            raise UsageError(
                "bounds prove all values of a pixel, not its corners",
                "take the default space, or `by=candidates`",
            )
        return ProvingSearch

    def parameters(self) -> Mapping[str, Any]:
        """Return what is covered, and how far it is refined."""
        refined = {"refined_pixels": REFINED} if self.space == "corners" else {}
        return {"space": self.space, **refined}

    def most_queries(self, height: int, width: int) -> int:
        """Return the size of the space, with refinement."""
        places = height * width
        if self.space == "all-values":
            return places * LEVELS
        corners = places * (1 << self.channels)
        return corners + min(REFINED, places) * LEVELS * self.channels

    def allocate(self, arena: Arena) -> None:
        """Prepare steps int64 (S,) and, for corners, their margins float64 (S, H W 2**C)."""
        slots, height, self._width, self._channels = arena.images.shape
        device = arena.images.device
        self._places = height * self._width
        self._step = torch.zeros(slots, dtype=torch.int64, device=device)
        self._individual = torch.arange(self.candidates_per_step, device=device)
        self._levels = torch.tensor(_extremes_first(), device=device)
        self._incumbents = Incumbents(slots, 1, self._channels, device)
        if self.space == "all-values":
            self._total = self._places * LEVELS
            return
        corners = 1 << self._channels
        self._total = self._places * corners
        self._corners = torch.tensor(_opposites(corners), device=device)
        # The last column takes what lies beyond the space.
        self._margins = torch.zeros(slots, self._total + 1, dtype=torch.float64, device=device)
        self._refined = torch.zeros(
            slots, min(REFINED, self._places), 2, dtype=torch.int64, device=device
        )

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts; nothing is random."""
        self._step[slots] = 0
        self._incumbents.forget(slots)

    def ask(self) -> Candidates:
        """Return the next part of the space."""
        number = self._number()
        left = (self._total - number[:, 0]).clamp(0, self.candidates_per_step)
        number = number.clamp(max=self._total - 1)
        place, colour = number % self._places, number // self._places
        if self.space == "all-values":
            colours = self._levels[colour].to(torch.uint8)[..., None]
        else:
            colours = corner_colours(self._corners[colour], self._channels)
            place, colours, left = self._refine(place, colours, left)
        self._last = Candidates(
            positions_of(place, self._width)[:, :, None], colours[:, :, None], left
        )
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best and, for corners, all margins until the best pixels are known."""
        self._incumbents.update(self._last, fitness)
        number = self._number()
        self._step += 1
        if self.space == "corners":
            asked = number[:, 0] < self._total
            self._margins.scatter_(
                1,
                number.clamp(max=self._total),
                fitness.where(asked[:, None], torch.inf),
            )
            self._rank(asked & (self._step * self.candidates_per_step >= self._total))

    def state(self) -> dict[str, Tensor]:
        """Return the steps made and the best and, for corners, what to refine."""
        state = {"step": self._step, **self._incumbents.state()}
        if self.space == "corners":
            state |= {"margins": self._margins, "refined": self._refined}
        return state

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)

    def _number(self) -> Tensor:
        """Return int64 (S, P): which of the space this step's candidates are."""
        return self._step[:, None] * self.candidates_per_step + self._individual

    def _rank(self, done: Tensor) -> None:
        """Choose the pixels to refine in the slots bool (S,) whose corners are done."""
        for slot in done.nonzero().flatten().tolist():
            margins = self._margins[slot, :-1].view(-1, self._places)
            lowest, order = margins.min(0)
            place = lowest.argsort(stable=True)[: self._refined.shape[1]]
            self._refined[slot] = torch.stack([place, self._corners[order[place]]], -1)

    def _refine(self, place: Tensor, colours: Tensor, left: Tensor) -> tuple[Tensor, ...]:
        """Put the refinement of one pixel in the place of slots whose corners are done."""
        rank = self._step - -(-self._total // self.candidates_per_step)
        refining = (rank >= 0) & (rank < self._refined.shape[1])
        slot = torch.arange(len(rank), device=rank.device)
        pixel = self._refined[slot, rank.clamp(0, self._refined.shape[1] - 1)]
        corner = corner_colours(pixel[:, 1, None].expand_as(place), self._channels)
        channel, level = self._individual // LEVELS, self._individual % LEVELS
        varied = torch.arange(self._channels, device=rank.device) == channel[:, None]
        value = self._levels[level].to(torch.uint8)[:, None]
        return (
            pixel[:, :1].where(refining[:, None], place),
            value.where(varied, corner).where(refining[:, None, None], colours),
            left.masked_fill(refining, self.candidates_per_step),
        )
