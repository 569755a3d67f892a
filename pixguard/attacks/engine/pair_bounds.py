"""Which pairs of extreme values of one image bounds leave to be evaluated."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.engine.objectives import Objective
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.affine import UnboundedError
from pixguard.inference.bounds import LEAST, PROBES, SAFETY
from pixguard.inference.decision import Wanted
from pixguard.inference.delta import NotTraceableError
from pixguard.inference.images import with_pixels
from pixguard.inference.interaction import Interactions, cut
from pixguard.models.inputs import to_unit_range

VALUES = (0, 255)
SIDES = (2, 4)
"""Sides of the blocks of pixels that are bounded together, the finest first."""
MARGINS = 4
"""Margins, each of two logits, that stand beside a bound: of the image, each change, and both."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of changes that are left, those of the lowest sum of margins first.

    Attributes:
        first: int64 (n,), changes: place * 2 + 1 for white, place * 2 for black.
        second: int64 (n,), likewise, greater.
        bounds: how much was bounded, and how many changes were evaluated alone.
    """

    first: Tensor
    second: Tensor
    bounds: int


class PairBounder:
    """One grayscale image: predicts margins of pairs, and rules pairs out.

    Args:
        interactions: of the classifier.
        wanted: the decision that must hold.
        image: uint8 (H, W, 1).
        rounding: by how much a logit may be wrong, for what is concluded.
    """

    def __init__(
        self, interactions: Interactions, wanted: Wanted, image: Tensor, rounding: float
    ) -> None:
        height, width = image.shape[:2]
        self._interactions, self._wanted, self._rounding = interactions, wanted, rounding
        self._device = image.device
        self._groups, blocks = _groups(height, width)
        self._groups = self._groups.to(image.device)
        unit = image.permute(2, 0, 1).float() / 255
        places, values = self._groups // 2, self._groups % 2 * 255
        clean, logits = interactions.load(unit, places, values.byte()[..., None])
        interactions.merge(blocks.to(image.device))
        self._large = self._groups[blocks.to(image.device)].flatten(1)
        singles = torch.zeros(2 * height * width, logits.shape[-1], device=image.device)
        singles[self._groups.flatten()] = logits.flatten(0, 1)
        self._sums = singles @ wanted.weights.T + wanted.offsets
        self._own = clean @ wanted.weights.T + wanted.offsets
        changes = torch.arange(len(singles), device=image.device)
        kept = image.flatten()[changes // 2] != changes % 2 * 255
        self._open = kept[:, None] & kept & (changes[:, None] // 2 < changes // 2)
        self.bounds = self._groups.numel()

    def predicted(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the margins (n,) of pairs, as if the two changes added up."""
        return (self._sums[first] + self._sums[second] - self._own).amin(-1)

    def best(self, most: int) -> tuple[Tensor, Tensor]:
        """Return the pairs of lowest predicted margin, and leave them out from now on."""
        first, second = self._left()
        chosen = self.predicted(first, second).argsort(stable=True)[:most]
        self._open[first[chosen], second[chosen]] = False
        return first[chosen], second[chosen]

    def rule_out(self) -> None:
        """Leave out what bounds clear, by large groups and then by small ones."""
        for level, groups in ((1, self._large), (0, self._groups)):
            some = torch.zeros(len(groups), len(groups), dtype=torch.bool, device=self._device)
            owner = torch.zeros(len(self._sums), dtype=torch.int64, device=self._device)
            number = torch.arange(len(groups), device=self._device)
            owner[groups.flatten()] = number.repeat_interleave(groups.shape[1])
            first, second = self._left()
            some[owner[first], owner[second]] = True
            a, b = some.nonzero(as_tuple=True)
            self.bounds += len(a)
            beyond = self._interactions.bound(self._wanted.weights, level, a, b)
            beyond = beyond * (1 + 1e-4) + 2 * MARGINS * self._rounding
            table = torch.zeros(*some.shape, beyond.shape[1], device=self._device)
            table[a, b] = beyond
            for part in cut(torch.arange(len(first), device=self._device), 1 << 18):
                i, j = first[part], second[part]
                least = self._sums[i] + self._sums[j] - self._own - table[owner[i], owner[j]]
                cleared = (least > 0).all(-1)
                self._open[i[cleared], j[cleared]] = False

    def left(self) -> Pairs:
        """Return what is left."""
        first, second = self._left()
        order = self.predicted(first, second).argsort(stable=True)
        return Pairs(first[order], second[order], self.bounds)

    def _left(self) -> tuple[Tensor, Tensor]:
        first, second = self._open.nonzero(as_tuple=True)
        return first, second


def _groups(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the changes of each small group (G, 4), and the small groups of each large one (L, 4).

    A group is a block of pixels with one value. Where a block is cut off at the edge, its changes
    stand in it more than once.
    """
    fine, coarse = SIDES
    small: dict[tuple[int, int, int], int] = {}
    changes: list[list[int]] = []
    for row in range(0, height, fine):
        for col in range(0, width, fine):
            for value in range(len(VALUES)):
                small[row // fine, col // fine, value] = len(changes)
                places = [
                    min(row + r, height - 1) * width + min(col + c, width - 1)
                    for r in range(fine)
                    for c in range(fine)
                ]
                changes.append([place * 2 + value for place in places])
    blocks: dict[tuple[int, int, int], list[int]] = {}
    for (row, col, value), group in small.items():
        blocks.setdefault((row * fine // coarse, col * fine // coarse, value), []).append(group)
    members = [(own * 4)[:4] for own in blocks.values()]
    return torch.tensor(changes), torch.tensor(members)


class PairMargins:
    """Gives what bounds pairs of images of one shape.

    Args:
        classifier: in evaluation mode.
        objective: whose margin it is.
        say: told why there are no bounds.
    """

    def __init__(
        self, classifier: Classifier, objective: Objective, say: Callable[[str], None]
    ) -> None:
        self._classifier, self._objective, self._say = classifier, objective, say
        self._interactions: Interactions | None = None
        self._impossible = False

    def __call__(self, image: NDArray[np.uint8], clean: Tensor, focus: int) -> PairBounder | None:
        """Return what bounds an image (H, W, 1), until the next one; None where it cannot be."""
        wanted = self._objective.wanted(self._classifier, clean, focus)
        if self._impossible or not wanted.every:
            return None
        try:
            if self._interactions is None:
                self._interactions = Interactions(self._classifier)
            rounding = self._rounding(image, clean.device)
            given = torch.from_numpy(np.ascontiguousarray(image)).to(clean.device)
            return PairBounder(self._interactions, wanted, given, rounding)
        except (NotTraceableError, UnboundedError) as error:
            self._say(f"bounds of pairs are not possible for this classifier ({error})")
            self._impossible = True
            return None

    def _rounding(self, image: NDArray[np.uint8], device: torch.device) -> float:
        """Compare a few pairs in float32 with float64."""
        stream = torch.Generator().manual_seed(0)
        height, width, channels = image.shape
        places = torch.rand(PROBES, 2, 2, generator=stream) * torch.tensor([height, width])
        colours = torch.randint(0, 2, (PROBES, 2, channels), generator=stream).byte() * 255
        owners = torch.zeros(PROBES, dtype=torch.int64, device=device)
        unit = to_unit_range(image[None], device)
        images = with_pixels(unit, owners, places.long().to(device), colours.to(device))
        with torch.inference_mode(), plain_float32(device):
            answers = self._classifier(images)
            truth = copy.deepcopy(self._classifier).double()(images.double())
        wrong = float((answers - truth).abs().max())
        return max(SAFETY * wrong, LEAST * float(truth.abs().max()))
