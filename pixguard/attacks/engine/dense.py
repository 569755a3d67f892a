"""What dense attacks share: all pixels may change, within a distance, and 8 bits hold the result.

A point is an image float32 (C, H, W) in [0, 1] within the distance. It is asked for as the nearest
image of 8 bits, and never lies farther than that: in the largest norm by rounding inside the whole
steps that the distance holds; in the Euclidean one by cutting every change to whole steps and then
adding, the largest rests first, as many steps as the distance has room for. So the distance holds
exactly, in integers, for what is judged and stored.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.dense_options import DenseOptions
from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.philox import standard_normal, unit_interval
from pixguard.attacks.engine.sampling import words_for
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.errors import UsageError

SLACK = 1e-6
"""In steps: a distance of 8 that is computed as 7.9999999 is 8."""

INSIDE = 1 - 1e-5
"""Of a Euclidean change before it is cut: float32 may have brought it that far beyond."""


class DenseSearch(Search):
    """A dense attack that asks for one image a step.

    A subclass moves ``self._point`` in :meth:`_move`, and tells how often in :meth:`most_queries`.

    Attributes:
        radius: the distance, in units of [0, 1] images.

    Raises:
        UsageError: the distance is less than one step of 8 bits.
    """

    options: Any
    candidates_per_step = 1
    most_slots = 32
    """As for sigma-zero: gradients are most of the work, eight at a time."""

    def __init__(self, entry: Any, options: DenseOptions, pixels: int, channels: int) -> None:
        self.norm = options.norm
        self._steps = options.levels + SLACK
        self.radius = options.levels / 255
        if self._squares < 1:
            raise UsageError(
                f"within eps {options.eps:g} no image of 8 bits differs from the clean one: "
                "in linf eps is in 1/255, in l2 the length of values in [0, 1]",
                "`eps=8` in linf, `eps=0.5` in l2",
            )
        super().__init__(entry, options, pixels, channels)

    def parameters(self) -> Mapping[str, Any]:
        """Return the options, the distance as it is taken."""
        eps = self.options.levels / (1 if self.options.norm == "linf" else 255)
        return {**super().parameters(), "eps": eps}

    @abstractmethod
    def most_queries(self, height: int, width: int) -> int:
        """Return how many images an unsuccessful attempt asks for."""

    @abstractmethod
    def _begin(self, slots: Tensor) -> None:
        """Set points and whatever else a slot has for the first image; see :meth:`start`."""

    @abstractmethod
    def _move(self, slots: Tensor) -> None:
        """Move the points of slots int64 (n,) to where the next image is to be asked for."""

    def allocate(self, arena: Arena) -> None:
        """Prepare points float32 (S, C, H, W) and counters int64 (S,)."""
        self._arena = arena
        slots, self._height, self._width, channels = arena.images.shape
        device = arena.images.device
        self._most = self.most_queries(self._height, self._width)
        self._point = torch.zeros(slots, channels, self._height, self._width, device=device)
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._iteration = torch.zeros(slots, dtype=torch.int64, device=device)
        self._due = torch.zeros(slots, dtype=torch.bool, device=device)
        places = self._height * self._width
        self._last = Candidates(
            torch.zeros(slots, 1, 0, 2, dtype=torch.int64, device=device),
            torch.zeros(slots, 1, places, channels, dtype=torch.uint8, device=device),
        )
        self._incumbents = Incumbents(slots, 0, channels, device)
        self._incumbents.colours = torch.zeros_like(self._last.colours[:, 0])

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts."""
        self._keys[slots] = keys
        self._iteration[slots] = 0
        self._due[slots] = True
        self._incumbents.forget(slots)
        self._point[slots] = self._clean(slots)
        self._begin(slots)

    def ask(self) -> Candidates:
        """Move the points that are due, and return their images."""
        slots = self._due.nonzero().flatten()
        if len(slots):
            self._move(slots)
            self._show(slots, self._point[slots])
            self._due[slots] = False
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best; who gets no finite answer is idle and moves no further."""
        self._incumbents.update(self._last, fitness)
        self._iteration += 1
        self._due = fitness[:, 0].isfinite() & (self._iteration < self._most)

    def state(self) -> dict[str, Tensor]:
        """Return points, counters and the best."""
        return {
            "keys": self._keys,
            "point": self._point,
            "iteration": self._iteration,
            "due": self._due,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the image of lowest margin: no position, all colours."""
        return self._incumbents.best(slot)

    def allows(self, images: Tensor, candidates: Candidates) -> Tensor:
        """Tell which candidates lie within the distance; see :meth:`Search.allows`."""
        clean = images.flatten(1, 2)[:, None].long()
        change = (candidates.colours.long() - clean).flatten(2)
        if self.norm == "linf":
            return change.abs().amax(2) <= self._steps
        return change.square().sum(2) <= self._squares

    @property
    def _squares(self) -> int:
        """The square of the distance in steps, rounded down: changes of 8 bits have whole ones."""
        return math.floor(self._steps**2)

    def _clean(self, slots: Tensor) -> Tensor:
        return self._arena.images[slots].permute(0, 3, 1, 2).float() / 255.0

    def _show(self, slots: Tensor, points: Tensor) -> None:
        """Put the images of points float32 (n, C, H, W) into the candidates."""
        clean = self._arena.images[slots].permute(0, 3, 1, 2).long()
        steps = self._rounded(points.double() * 255.0 - clean)
        levels = (clean + steps).clamp(0, 255).to(torch.uint8)
        # Not in place: those of the last step may still be in use as an outcome.
        self._last = Candidates(self._last.positions, self._last.colours.clone())
        self._last.colours[slots, 0] = levels.flatten(2).transpose(1, 2)

    def _rounded(self, change: Tensor) -> Tensor:
        """Return changes float64 (n, C, H, W), in steps of 8 bits, as whole ones inside, int64."""
        if self.norm == "l2":
            return whole_steps(change * INSIDE, self._squares)
        most = math.floor(self._steps)
        return change.round().clamp(-most, most).long()

    def _inside(self, slots: Tensor, points: Tensor) -> Tensor:
        """Return points float32 (n, C, H, W) brought into the distance and into [0, 1]."""
        clean = self._clean(slots)
        change = points - clean
        if self.norm == "linf":
            change = change.clamp(-self.radius, self.radius)
        else:
            length = lengths(change)
            change = change * (self.radius / length.clamp(min=1e-12)).clamp(max=1.0)
        return (clean + change).clamp(0.0, 1.0)

    def _downhill(self, gradient: Tensor) -> Tensor:
        """Return the steepest descent of length 1 in the norm; zero where there is no gradient."""
        if self.norm == "linf":
            return -gradient.sign()
        return -gradient / lengths(gradient).clamp(min=1e-30)

    def _random_points(self, slots: Tensor) -> Tensor:
        """Return points drawn for slots.

        In the largest norm uniformly; in the Euclidean one a direction, and a uniform length.
        """
        drawn = []
        for slot in slots[:, None].unbind():
            image = self._clean(slot)
            words = words_for(self._keys[slot], self._iteration[slot], 1, image.numel() + 1)[0, 0]
            if self.norm == "linf":
                values = unit_interval(words[:-1]).float() * 2.0 - 1.0
                drawn.append(image + self.radius * values.view_as(image))
                continue
            normal = standard_normal(words[:-1]).float().view_as(image)
            length = unit_interval(words[-1:]).float()
            drawn.append(image + self.radius * length * normal / lengths(normal))
        return self._inside(slots, torch.cat(drawn))


def lengths(vectors: Tensor) -> Tensor:
    """Return the Euclidean lengths float32 (n, 1, 1, 1) of vectors (n, C, H, W).

    One by one: a vectorised sum may differ in its last bit with how many are computed together.
    """
    each = [vector.contiguous().double().square().sum().sqrt() for vector in vectors]
    return torch.stack(each).float().view(-1, 1, 1, 1)


def whole_steps(change: Tensor, most: int) -> Tensor:
    """Return changes in whole steps whose sum of squares is at most a number.

    Args:
        change: float64 (n, C, H, W), in steps of 8 bits, in no way longer than the root of ``most``
            where nothing is to be lost.
        most: of the sum of squares of what is returned.

    Returns:
        int64 (n, C, H, W): each value cut, and those with the largest rests, as many as there is
        room for, one step more.
    """
    flat = change.flatten(1)
    cut = flat.trunc()
    rest = (flat - cut).abs()
    cut = cut.long()
    order = rest.argsort(dim=1, descending=True, stable=True)
    costs = (2 * cut.abs() + 1).gather(1, order)
    total = costs.cumsum(1) + cut.square().sum(1, keepdim=True)
    takes = (total <= most) & (rest.gather(1, order) >= 0.5)
    more = torch.zeros_like(cut).scatter_(1, order, takes.long())
    return (cut + more * flat.sign().long()).view_as(change)
