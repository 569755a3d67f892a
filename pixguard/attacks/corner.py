"""Ranked corner search: extreme colours in the order of what they promise, then in combination.

One pixel at a corner of the colour cube, a *single*, is ranked by one gradient of the clean image
(white-box), by that of a surrogate (black-box, in the manner of Papernot, McDaniel, Goodfellow
2016, "Transferability in Machine Learning"), or by the answers on a grid of pixels (black-box). For
more than one pixel the best singles are combined: two pixels in all pairs of the best, more by
taking the best together; what is left of the budget goes into random replacement as in Sparse-RS
(Croce et al. 2022), with a step's candidates drawn around the best one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.sampling import (
    corner_colours,
    corners_of,
    positions_of,
    words_for,
)
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import CornerOptions
from pixguard.attacks.sparse_rs import draw_pixels, replace_pixels
from pixguard.errors import UsageError

GRID_SHARE = 4
"""One in that many of the singles that the budget allows is asked for on the grid."""


class CornerSearch(Search):
    """Singles, their combinations, random replacement; a single is place * 2**C + corner.

    For k = 1 the search ends with the singles, each of which changes the image. For k > 1 at most
    half of the budget goes to singles, up to the first that flips the decision: they are asked for
    as k times the same pixel, and are no success, because a success changes k pixels. Where a list
    ends within a step, random replacement fills the step, so that the budget is spent in full
    steps.
    """

    options: CornerOptions
    candidates_per_step = 32

    @property
    def uses_gradients(self) -> bool:
        """Whether singles are ranked by the attacked classifier's gradient."""
        return bool(self.options.order == "gradient")

    def parameters(self) -> Mapping[str, Any]:
        """Return the options, of which the surrogate only where there is one."""
        options = super().parameters()
        return {name: options[name] for name in options if name != "surrogate" or options[name]}

    def most_queries(self, height: int, width: int) -> int:
        """Return the budget; for one pixel, at most the number of its corners."""
        budget = super().most_queries(height, width)
        return budget if self.pixels > 1 else self._most_singles(height * width << self.channels)

    def allocate(self, arena: Arena) -> None:
        """Prepare the lists of every slot and the answers to its singles."""
        self._arena = arena
        slots, self._height, self._width, self._channels = arena.images.shape
        device = arena.images.device
        self._space = self._height * self._width << self._channels
        singles = self._most_singles(self._space)
        pairs_from = (1 + math.isqrt(1 + 4 * (self.options.queries - singles))) // 2
        # Half of what is left goes to M (M - 1) / 2 pairs of the best M singles.
        self._best_singles = min(pairs_from, singles)
        combined = math.comb(self._best_singles, 2) if self.pixels == 2 else 1
        self._grid = self._grid_places(singles).to(device)

        def integers(*shape: int) -> Tensor:
            return torch.zeros(slots, *shape, dtype=torch.int64, device=device)

        self._keys, self._step = integers(2), integers()
        self._singles, self._single_count = integers(singles), integers()
        self._grid_count = integers()
        self._combined, self._combined_count = integers(combined, self.pixels), integers()
        self._combined_from = integers()
        # The last column takes the answers to all others.
        self._margins = torch.zeros(slots, singles + 1, dtype=torch.float64, device=device)
        self._individual = torch.arange(self.candidates_per_step, device=device)
        self._incumbents = Incumbents(slots, self.pixels, self._channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts: rank their singles, or choose those on the grid."""
        self._keys[slots] = keys
        self._step[slots] = 0
        self._combined_count[slots] = 0
        self._grid_count[slots] = 0
        self._incumbents.forget(slots)
        images = self._arena.images[slots]
        values = images.permute(0, 3, 1, 2).float() / 255.0
        gradients = values if (slope := self._slope()) is None else slope(slots, values)[1]
        for slot, image, gradient in zip(slots.tolist(), images, gradients, strict=True):
            changing = self._changing(image)
            if slope is not None:
                changing = changing[self._scores(image, gradient)[changing].argsort(stable=True)]
            else:
                on_grid = self._on_grid(changing)
                changing = torch.cat([changing[on_grid], changing[~on_grid]])
                # The grid ends with a step; the next singles in line fill it.
                steps = -(-int(on_grid.sum()) // self.candidates_per_step)
                self._grid_count[slot] = steps * self.candidates_per_step
            self._list_singles(slot, 0, changing)
        # Random replacement starts from these if a list ends before anything was combined.
        words = words_for(keys, self._step[slots], 1, 3 * self.pixels)
        places, colours = draw_pixels(images, words)
        self._incumbents.positions[slots] = positions_of(places[:, 0], self._width)
        self._incumbents.colours[slots] = colours[:, 0]

    def ask(self) -> Candidates:
        """Return the next of the lists, and random replacements beyond them."""
        asked = self._asked()
        most = self.options.queries if self.pixels > 1 else self._single_count
        left = (most - asked[:, 0]).clamp(0, self.candidates_per_step)
        slot = torch.arange(len(asked), device=asked.device)[:, None]
        single = self._singles[slot, asked.clamp(max=self._singles.shape[1] - 1)]
        listed = single[..., None].expand(-1, -1, self.pixels)
        if self.pixels == 1:
            self._last = Candidates(*self._decode(listed), left)
            return self._last
        place = asked - self._combined_from[:, None]
        combined = (place >= 0) & (place < self._combined_count[:, None])
        listed = self._combined[slot, place.clamp(0, self._combined.shape[1] - 1)].where(
            combined[..., None], listed
        )
        use = (combined | self._is_single(asked))[..., None, None]
        positions, colours = self._decode(listed)
        other_positions, other_colours = self._replaced()
        self._last = Candidates(
            positions.where(use, other_positions), colours.where(use, other_colours), left
        )
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the answers to singles; where a list has ended, make the next one."""
        asked = self._asked()
        single = self._is_single(asked)
        self._margins.scatter_(1, asked.where(single, self._margins.shape[1] - 1), fitness)
        counted = fitness.masked_fill(single, torch.inf) if self.pixels > 1 else fitness
        self._incumbents.update(self._last, counted)
        self._step += 1
        busy, after = fitness.isfinite().any(1), asked[:, -1] + 1
        more = after < self._single_count
        for slot in (busy & more & (after == self._grid_count)).nonzero().flatten().tolist():
            self._follow_grid(slot, int(after[slot]))
        if self.pixels == 1:
            return
        # A single that flips the decision needs no better one, only company.
        flipped = (single & (fitness < 0)).any(1)
        self._single_count = after.where(flipped & more, self._single_count)
        ended = busy & single[:, 0] & (after >= self._single_count)
        for slot in ended.nonzero().flatten().tolist():
            self._combine(slot)
            self._combined_from[slot] = after[slot]

    def state(self) -> dict[str, Tensor]:
        """Return the lists, the answers to singles and the best."""
        return {
            "keys": self._keys,
            "step": self._step,
            "singles": self._singles,
            "single_count": self._single_count,
            "grid_count": self._grid_count,
            "combined": self._combined,
            "combined_count": self._combined_count,
            "combined_from": self._combined_from,
            "margins": self._margins,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin that is no single, unless k is 1."""
        return self._incumbents.best(slot)

    def _slope(self) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
        """Return what gives the gradients to rank by; None: singles are ranked by answers.

        Raises:
            UsageError: they are to be a surrogate's, and the search has none.
        """
        if self.options.order == "grid":
            return None
        if self.options.order == "gradient":
            return self._arena.gradient
        if self._arena.transfer is None:
            raise UsageError("this search has no surrogate to rank by", "`order=grid`")
        return self._arena.transfer

    def _most_singles(self, space: int) -> int:
        return min(
            space, self.options.queries if self.pixels == 1 else max(self.options.queries // 2, 1)
        )

    def _asked(self) -> Tensor:
        """Return int64 (S, P): how many candidates a slot has asked for before each of these."""
        return self._step[:, None] * self.candidates_per_step + self._individual

    def _is_single(self, asked: Tensor) -> Tensor:
        return asked < self._single_count[:, None]

    def _decode(self, singles: Tensor) -> tuple[Tensor, Tensor]:
        corner = singles & ((1 << self._channels) - 1)
        positions = positions_of(singles >> self._channels, self._width)
        return positions, corner_colours(corner, self._channels)

    def _replaced(self) -> tuple[Tensor, Tensor]:
        """Return the best of each slot with one pixel replaced, in P random ways."""
        held = self._incumbents
        words = words_for(self._keys, self._step + 1, self.candidates_per_step, 3 * self.pixels)
        places, colours = replace_pixels(
            self._arena.images,
            (held.positions[..., 0] * self._width + held.positions[..., 1])[:, None],
            held.colours[:, None],
            words,
            torch.ones_like(self._step),
            1,
        )
        return positions_of(places, self._width), colours

    def _changing(self, image: Tensor) -> Tensor:
        """Return the singles that change an image uint8 (H, W, C), ascending."""
        own = corners_of(image).flatten()[:, None]
        corner = torch.arange(1 << self._channels, device=image.device)
        return (own != corner).flatten().nonzero().flatten()

    def _scores(self, image: Tensor, gradient: Tensor) -> Tensor:
        """Return float64 (singles,): how far the margin rises with each, to first order."""
        corner = torch.arange(1 << self._channels, device=image.device)
        new = corner_colours(corner, self._channels).double() / 255.0
        change = new - image.flatten(0, 1).double()[:, None] / 255.0
        return (gradient.flatten(1).T.double()[:, None] * change).sum(-1).flatten()

    def _list_singles(self, slot: int, start: int, singles: Tensor) -> None:
        """Let a slot's list go on with singles from a place on, as far as it reaches."""
        count = min(len(singles), self._singles.shape[1] - start)
        self._singles[slot, start : start + count] = singles[:count]
        self._single_count[slot] = start + count

    def _grid_places(self, singles: int) -> Tensor:
        """Return int64 (H W,): the place of the grid pixel nearest to each, in square cells."""
        stride = math.ceil(math.sqrt(GRID_SHARE * self._space / singles))
        row, col = (
            (torch.arange(side) // stride * stride + stride // 2).clamp(max=side - 1)
            for side in (self._height, self._width)
        )
        return (row[:, None] * self._width + col).flatten()

    def _on_grid(self, singles: Tensor) -> Tensor:
        place = singles >> self._channels
        return self._grid[place] == place

    def _follow_grid(self, slot: int, asked: int) -> None:
        """Rank the singles that a slot has not asked for by the answers on the grid.

        A single whose like was not asked for on the grid, because it changes nothing there, is
        among the last.
        """
        before = self._singles[slot, :asked]
        answers = torch.full((self._space,), torch.inf, dtype=torch.float64, device=before.device)
        answers[before] = self._margins[slot, :asked]
        rest = self._changing(self._arena.images[slot])
        new = torch.ones(self._space, dtype=torch.bool, device=before.device)
        new[before] = False
        rest = rest[new[rest]]
        corner = rest & ((1 << self._channels) - 1)
        like = (self._grid[rest >> self._channels] << self._channels) | corner
        self._list_singles(slot, asked, rest[answers[like].argsort(stable=True)])

    def _combine(self, slot: int) -> None:
        """List what the best singles of a slot give together."""
        count = int(self._single_count[slot])
        margins, order = self._margins[slot, :count].sort(stable=True)
        singles = self._singles[slot, order]
        if self.pixels == 2:
            best = min(self._best_singles, count)
            left, right = torch.triu_indices(best, best, 1, device=singles.device)
            apart = (singles[left] ^ singles[right]) >> self._channels != 0
            left, right = left[apart], right[apart]
            ranked = (margins[left] + margins[right]).argsort(stable=True)
            combined = torch.stack([singles[left], singles[right]], -1)[ranked]
        else:
            combined = self._together(singles)
        self._combined[slot, : len(combined)] = combined
        self._combined_count[slot] = len(combined)

    def _together(self, singles: Tensor) -> Tensor:
        """Return int64 (1, k), the first k singles at distinct places; (0, k) if there are not."""
        chosen: list[Tensor] = []
        while len(chosen) < self.pixels and len(singles):
            chosen.append(singles[0])
            singles = singles[(singles ^ singles[0]) >> self._channels != 0]
        if len(chosen) < self.pixels:
            return torch.empty(0, self.pixels, dtype=torch.int64, device=singles.device)
        return torch.stack(chosen)[None]
