"""Square Attack: random squares, kept where they help (black-box).

Andriushchenko, Croce, Flammarion, Hein 2020, "Square Attack: a Query-efficient Black-box
Adversarial Attack via Random Search" (ECCV): algorithm 1 with the sampling of algorithm 2 in the
largest norm, and of algorithm 3 in the Euclidean one. A square's side falls with the number of
queries as there, from a share of the image of 0.8, as in AutoAttack. Minimised is the margin.

In the largest norm every value of a square goes to one of the two ends of the distance, one sign
for each channel (all the others, where the square would stay as it is), and the first image is made
of vertical stripes. In the Euclidean norm a square gets a bump that is positive in one half and
negative in the other, and the length that another square loses.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.dense_options import SquareOptions
from pixguard.attacks.engine.dense import DenseSearch, lengths
from pixguard.attacks.engine.philox import below
from pixguard.attacks.engine.sampling import words_for
from pixguard.attacks.engine.search import Arena

FIRST_SHARE = 0.8
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries: after how many the share of the image is halved again."""
WORDS = 8
"""Random words of a query: two places, a turn, and a sign a channel."""
LEAST_SIDE = 3
"""Of a square in the Euclidean norm: smaller ones have no two halves."""


class SquareSearch(DenseSearch):
    """Square Attack; a step is one query."""

    options: SquareOptions

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the first share of the image."""
        return {**super().parameters(), "first_share": FIRST_SHARE}

    def most_queries(self, height: int, width: int) -> int:
        """The budget."""
        return int(self.options.queries)

    def allocate(self, arena: Arena) -> None:
        """Prepare the best point of each slot float32 (S, C, H, W), and its margin float64 (S,)."""
        super().allocate(arena)
        self._kept = torch.zeros_like(self._point)
        self._margin = torch.zeros(len(self._point), dtype=torch.float64, device=self._point.device)

    def state(self) -> dict[str, Tensor]:
        """Return the best points, too."""
        return {**super().state(), "kept": self._kept, "margin": self._margin}

    def tell(self, fitness: Tensor) -> None:
        """Keep a point whose image has a lower margin than the one before."""
        told = fitness[:, 0]
        better = told.isfinite() & (told < self._margin)
        self._margin = told.where(better, self._margin)
        self._kept = self._point.where(better[:, None, None, None], self._kept)
        super().tell(fitness)

    def _begin(self, slots: Tensor) -> None:
        self._margin[slots] = torch.inf
        self._kept[slots] = self._point[slots]

    def _move(self, slots: Tensor) -> None:
        drawn = words_for(self._keys[slots], self._iteration[slots], 1, WORDS)[:, 0]
        # One by one: squares of two slots differ in size and place.
        for slot, words in zip(slots[:, None].unbind(), drawn.unbind(), strict=True):
            clean = self._clean(slot)[0]
            is_first = not int(self._iteration[slot])
            if is_first:
                words = words_for(self._keys[slot], self._iteration[slot], 1, clean.numel())[0, 0]
            change = self._kept[slot][0] - clean
            if is_first:
                change = (self._stripes if self.norm == "linf" else self._bumps)(clean, words)
            elif self.norm == "linf":
                change = self._signs(slot, clean, change, words)
            else:
                change = self._bump(slot, change, words)
            if self.norm == "l2":
                change = self.radius * change / lengths(change[None])[0].clamp(min=1e-12)
            self._point[slot] = self._inside(slot, (clean + change)[None])

    def _stripes(self, clean: Tensor, words: Tensor) -> Tensor:
        channels, _, width = clean.shape
        signs = signs_of(words[: channels * width]).view(channels, 1, width)
        return (self.radius * signs).expand_as(clean)

    def _signs(self, slot: Tensor, clean: Tensor, change: Tensor, words: Tensor) -> Tensor:
        channels = len(change)
        side = self._side(int(self._iteration[slot]), least=1)
        row, col = self._corner(words[:2], side)
        signs = signs_of(words[2 : 2 + channels]).view(channels, 1, 1)
        changed = change.clone()
        window = (slice(None), slice(row, row + side), slice(col, col + side))
        ends = (clean[window] + self.radius * signs).clamp(0.0, 1.0)
        stays = bool(((clean + change)[window] - ends).abs().amax() < 1e-6)
        changed[window] = self.radius * (-signs if stays else signs)
        return changed

    def _bumps(self, clean: Tensor, words: Tensor) -> Tensor:
        """Return bumps all over the image, each a fifth of its height."""
        channels, height, width = clean.shape
        side, change = max(1, height // 5), torch.zeros_like(clean)
        shape = bump(side).to(clean.device)
        tiles = [(r, c) for r in range(0, height - side + 1, side)
                 for c in range(0, width - side + 1, side)]  # fmt: skip
        signs = signs_of(words[: channels * len(tiles)]).view(len(tiles), channels, 1, 1)
        for (row, col), sign in zip(tiles, signs, strict=True):
            change[:, row : row + side, col : col + side] = shape * sign
        return change

    def _bump(self, slot: Tensor, change: Tensor, words: Tensor) -> Tensor:
        channels, side = len(change), self._side(int(self._iteration[slot]), least=LEAST_SIDE)
        row, col = self._corner(words[:2], side)
        other_row, other_col = self._corner(words[2:4], side)
        signs = signs_of(words[5 : 5 + channels]).view(channels, 1, 1)
        shape = bump(side).to(change.device)
        new = (shape.T if int(words[4]) & 1 else shape) * signs
        changed, squares = change.double(), change.double().square()
        both = torch.zeros_like(change[0], dtype=torch.bool)
        both[row : row + side, col : col + side] = True
        both[other_row : other_row + side, other_col : other_col + side] = True
        window = changed[:, row : row + side, col : col + side]
        new = new + window / each_length(window)
        # What the two squares held, and what clipping to [0, 1] left unused.
        unused = max(0.0, self.radius**2 - float(squares.sum())) / channels
        held = torch.stack([squares[c][both].sum() for c in range(channels)]).view(-1, 1, 1)
        changed = changed.clone()
        changed[:, other_row : other_row + side, other_col : other_col + side] = 0.0
        changed[:, row : row + side, col : col + side] = (
            new / each_length(new) * (held + unused).sqrt()
        )
        return changed.float()

    def _side(self, query: int, least: int) -> int:
        """Return the side of the square of a query, in pixels."""
        of_ten_thousand = query * 10_000 // self.options.queries
        share = FIRST_SHARE / 2 ** sum(of_ten_thousand > after for after in HALVED_AFTER)
        side = max(least, round(math.sqrt(share * self._height * self._width)))
        return min(side, self._height, self._width)

    def _corner(self, words: Tensor, side: int) -> tuple[int, int]:
        """Return the place (row, col) of a square, uniform among those inside the image."""
        row, col = words
        return (
            int(below(row, self._height - side + 1)),
            int(below(col, self._width - side + 1)),
        )


def signs_of(words: Tensor) -> Tensor:
    """Map 32-bit words to -1.0 or 1.0."""
    return (words & 1).float() * 2.0 - 1.0


def each_length(windows: Tensor) -> Tensor:
    """Return the Euclidean length of each channel of a window (C, h, w), at least 1e-12."""
    each = [channel.contiguous().square().sum().sqrt() for channel in windows]
    return torch.stack(each).view(-1, 1, 1).clamp(min=1e-12)


def bump(side: int) -> Tensor:
    """Return the bump of a square, float64 (side, side), of length 1.

    Andriushchenko et al. 2020, section 3.4: the upper half is a sum of nested rectangles around its
    middle, the n-th of weight 1 / n^2, the lower half minus such a sum. A side of one is one.
    """
    upper = side // 2
    if not upper:
        return torch.ones(side, side, dtype=torch.float64)
    halves = [_nested(upper, side), -_nested(side - upper, side)]
    whole = torch.cat(halves)
    return whole / whole.square().sum().sqrt()


def _nested(height: int, width: int) -> Tensor:
    rows = (torch.arange(height) - height // 2).abs()[:, None]
    cols = (torch.arange(width) - width // 2).abs()[None]
    # A place at distance d from the middle lies in all rectangles from the d-th on.
    distance, count = torch.maximum(rows, cols), max(height, width) // 2 + 1
    weights = torch.tensor([1 / n**2 for n in range(1, count + 1)], dtype=torch.float64)
    summed = weights.flip(0).cumsum(0).flip(0)
    half = summed[distance.clamp(max=count - 1)]
    return half / half.square().sum().sqrt()
