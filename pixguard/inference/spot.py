"""A chain of layers about one pixel: its first layer, and how errors cancel in the later ones.

The first layer is affine in the pixel's colour, so its rectifiers and maxima are convex, and their
relaxation is as good as their values at the corners of a box.

Errors are not carried from layer to layer by the sizes of weights alone. Between the layer where an
error arises and a later one the network is mostly linear: rectifiers let through what they let
through for most colours. So the products of the weights in between, with each rectifier at its mean
over a grid of colours, are made once for a pixel; errors cancel in them before their sizes are
taken. What a rectifier does otherwise in a box is an error of its own.
"""

import itertools
from functools import cached_property

import torch
from torch import Tensor

from pixguard.inference.affine import ROUNDING
from pixguard.inference.chain import Chain, Cleaned
from pixguard.inference.reach import Reach, reached

GRID = 4
"""Colours along each channel at which it is looked how often rectifiers let through."""
STEEP = 1e30
"""Makes a step of a number: 0 below zero, 1 above. (Comparisons take ten times as long.)"""


class Spot:
    """What does not depend on a box of colours.

    Attributes:
        reaches: of each layer.
        head: (L, n), what the values of the last reach add to the logits.
        logits: (L,), of the clean image.

    Args:
        chain: the network.
        cleaned: what it makes of the image.
        place: row and column of the pixel.
    """

    def __init__(self, chain: Chain, cleaned: Cleaned, place: tuple[int, int]) -> None:
        self.reaches = reached(chain, cleaned, place)
        first, last = self.reaches[0], self.reaches[-1]
        self.head, self.logits = chain.head[:, *last.inside].flatten(1), cleaned.logits
        own = cleaned.image[:, *place]
        self._channels, device = len(own), own.device
        basis = torch.diag(chain.scale)[:, None, None]
        slope = first.convolved(basis, first.layer.weight)  # (C, h, w, C')
        base = first.clean - (slope * own[:, None, None, None]).sum(0)
        zero = torch.zeros_like(first.after).flatten()
        # A value is the largest of P affine pieces, one of which is 0.
        pieces = [t.flatten() for t in first.taps(base)]
        self._base = torch.stack([*pieces, zero])  # (P, n)
        slopes = [t.flatten(1) for t in first.taps(slope)]
        self._slope = torch.stack([*slopes, zero.expand(self._channels, -1)], 1)  # (C, P, n)
        corners = list(itertools.product((-1.0, 1.0), repeat=self._channels))
        self._corners = torch.tensor(corners, device=device)

    def first(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (1 + C, M, n) after the first layer, and their errors (M, n).

        The values are at the centre of each box, and their slopes from there to its ends.

        Args:
            low: float32 (M, C), the least values of the pixel's channels, in [0, 1].
            high: float32 (M, C), the greatest.
        """
        middle, half = (low + high) / 2, (high - low) / 2
        channels, pieces, units = self._slope.shape
        centre = torch.addmm(self._base.flatten(), middle, self._slope.flatten(1))
        centre = centre.view(-1, pieces, units)
        ends = (self._corners[:, None] * half).flatten(0, 1)
        at = (ends @ self._slope.flatten(1)).view(len(self._corners), -1, pieces, units)
        at += centre
        top, second = at[:, :, 0], torch.full_like(at[:, :, 0], -torch.inf)
        for piece in range(1, pieces):
            second = torch.maximum(second, torch.minimum(top, at[:, :, piece]))
            top = torch.maximum(top, at[:, :, piece])
        # The part that each piece has in the relaxation: by how far it leads, at most. Where the
        # image is flat, two lead by nothing everywhere.
        ahead = (top - second).clamp_(min=torch.finfo(top.dtype).tiny)
        lead = [
            (at[:, :, piece] - top).mul_(STEEP).add_(1).clamp_(min=0).mul_(ahead).amax(0)
            for piece in range(pieces)
        ]
        part = torch.stack(lead, 1)
        part /= part.sum(1, keepdim=True)
        slopes = torch.stack(
            [(part * self._slope[c]).sum(1) * half[:, c, None] for c in range(channels)]
        )
        # The mean of pieces is below the largest everywhere; what is above is so at corners.
        lowest = (part * centre).sum(1)
        rest = top - torch.einsum("kc,cmn->kmn", self._corners, slopes)
        highest = rest.amax(0)
        value = (highest + lowest) / 2
        error = ((highest - lowest) / 2).clamp_(min=0)
        error += ROUNDING * (value.abs() + slopes.abs().sum(0))
        return torch.cat([value[None], slopes]), error

    @cached_property
    def carried(self) -> list[list[Tensor]]:
        """For each layer from the second on: how errors of earlier layers reach its rectifiers.

        A layer's are float32 (n, nodes * n'), one for each earlier layer; the nodes are its taps,
        what is compared in each pair, and what is rectified; without maxima this alone. There the
        layer just before is left out: the sizes of weights say all of it.
        """
        self._look_at_grid()
        found: list[list[Tensor]] = []
        passed: list[Tensor] = []
        for before, reach in itertools.pairwise(self.reaches):
            own = torch.eye(before.after.numel(), device=before.after.device)
            passed.append(own.view(-1, *before.after.shape))
            is_last, has_pairs = reach is self.reaches[-1], reach.layer.pool > 1
            if is_last and not has_pairs:
                passed.pop()
            made = [self._through(reach, part) for part in passed]
            passed = [maps for maps, _ in made]
            sizes = [size for _, size in made]
            found.append(sizes if has_pairs or is_last else sizes[:-1])
        return found

    @staticmethod
    def _through(reach: Reach, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return what becomes of changes (N, h, w, C) of a layer's input, and sizes on the way."""
        values = reach.taps(reach.convolved(maps, reach.layer.weight))
        seen = [*values] if reach.pairs else []
        for (one, other), share in zip(reach.pairs, reach.shares, strict=False):
            difference = values[other] - values[one]
            seen.append(difference)
            values.append(values[one] + share * difference)
        seen.append(values[-1])
        sizes = torch.cat([s.flatten(1) for s in seen], 1).abs_()
        return values[-1] * reach.shares[-1], sizes.mul_(1 + 16 * ROUNDING)

    def _look_at_grid(self) -> None:
        """Find how often rectifiers let through."""
        steps = (torch.arange(GRID, device=self._base.device) + 0.5) / GRID
        colours = torch.cartesian_prod(*[steps] * self._channels).view(-1, self._channels)
        maps = torch.einsum("mc,cpn->mpn", colours, self._slope).add_(self._base).amax(1)
        for before, reach in itertools.pairwise(self.reaches):
            changes = maps.view(-1, *before.after.shape) - before.after
            values = reach.taps(reach.convolved(changes, reach.layer.weight) + reach.clean)
            reach.shares = []
            for one, other in reach.pairs:
                reach.shares.append((values[other] > values[one]).float().mean(0))
                values.append(torch.maximum(values[one], values[other]))
            reach.shares.append((values[-1] > 0).float().mean(0))
            maps = values[-1].clamp(min=0)
