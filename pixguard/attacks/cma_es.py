"""CMA-ES: a normal distribution over pixels and colours that learns its shape (black-box).

Hansen 2016, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772), with its default
constants, as an attack in Vargas, Kotyan 2019, "Robustness Assessment for Adversarial Machine
Learning" (what ART's PixelAttack runs for ``es=1``).

A gene is a row, a column or a colour, scaled to [0, 1]; beyond these bounds it is mirrored. A
distribution that has become too narrow to meet another candidate, or that sees no difference
between its candidates, begins again at a random place: neither of the two published forms does.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.philox import standard_normal, unit_interval
from pixguard.attacks.engine.sampling import words_for
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import AttackEntry, BudgetOptions

FIRST_WIDTH = 0.25
"""Standard deviation of the first candidates, in every gene."""
NARROW = 1 / 512
"""A distribution begins again below this standard deviation: half a level of a colour."""
WIDE = 8.0
"""And above this one: mirrored, it is uniform."""
STRETCHED = 1e7
"""It also does where it is that many times as wide in one direction as in another."""


class CMAESSearch(Search):
    """CMA-ES of k pixels; a step is a generation."""

    options: BudgetOptions
    most_slots = 64
    """Every attempt updates a distribution of its own."""

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        super().__init__(entry, options, pixels, channels)
        self._genes = pixels * (2 + channels)
        self.candidates_per_step = 4 + int(3 * math.log(self._genes))

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the constants of the method."""
        return {
            **super().parameters(),
            "first_width": FIRST_WIDTH,
            "narrow": NARROW,
            "wide": WIDE,
            "stretched": STRETCHED,
        }

    def allocate(self, arena: Arena) -> None:
        """Prepare distributions and children float64 (S, P, n) of n = k (2 + C) genes."""
        slots, height, width, channels = arena.images.shape
        device, genes = arena.images.device, self._genes
        extent = torch.tensor([height, width, *[256.0] * channels], dtype=torch.float64)
        self._extent = extent.to(device)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(slots, *shape, dtype=torch.float64, device=device)

        self._width = zeros()
        self._vectors, self._matrices = zeros(4, genes), zeros(2, genes, genes)
        self._children = zeros(self.candidates_per_step, genes)
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._generation, self._age = (
            torch.zeros(slots, dtype=torch.int64, device=device) for _ in range(2)
        )
        self._incumbents = Incumbents(slots, self.pixels, channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts, each at a random place."""
        self._keys[slots] = keys
        self._generation[slots] = 0
        self._incumbents.forget(slots)
        self._breed(slots, None)

    def ask(self) -> Candidates:
        """Return a generation, in the last step only what is left."""
        slots, count, _ = self._children.shape
        mirrored = 1.0 - (self._children.remainder(2.0) - 1.0).abs()
        genes = mirrored.view(slots, count, self.pixels, -1) * self._extent
        levels = genes.long().minimum(self._extent.long() - 1)
        left = (self.options.queries - self._generation * count).clamp(0, count)
        self._last = Candidates(levels[..., :2], levels[..., 2:].to(torch.uint8), left)
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Update the distributions of which a whole generation was answered."""
        self._incumbents.update(self._last, fitness)
        self._generation += 1
        whole = fitness.isfinite().all(1).nonzero().flatten()
        if len(whole):
            self._breed(whole, fitness[whole].cpu())

    def state(self) -> dict[str, Tensor]:
        """Return the distributions, the next generation and the best."""
        return {
            "keys": self._keys,
            "generation": self._generation,
            "age": self._age,
            "width": self._width,
            "vectors": self._vectors,
            "matrices": self._matrices,
            "children": self._children,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin."""
        return self._incumbents.best(slot)

    def _breed(self, slots: Tensor, fitness: Tensor | None) -> None:
        """Draw the next generations; without answers to learn from, begin at random places."""
        count = self.candidates_per_step
        words = words_for(self._keys[slots], self._generation[slots], count + 1, self._genes)
        normals, places = standard_normal(words[:, :count]).cpu(), unit_interval(words[:, -1]).cpu()
        state = (self._width, self._vectors, self._matrices, self._age, self._children)
        held = tuple(part[slots].cpu() for part in state)
        widths, vectors, matrices, ages, children = held
        # One by one: sums of many matrices at once may depend, in their last bits, on how many.
        for i in range(len(slots)):
            one = Distribution(widths[i], vectors[i], matrices[i], ages[i])
            if fitness is not None:
                one.learn(children[i], fitness[i])
            if fitness is None or one.is_spent() or fitness[i].min() == fitness[i].max():
                one.begin(places[i])
            children[i] = one.sample(normals[i])
        for part, new in zip(state, held, strict=True):
            part[slots] = new.to(part.device)


class Distribution:
    """A normal distribution as CMA-ES adapts it, in place.

    Args:
        width: float64 (), the global step size sigma.
        vectors: float64 (4, n): mean, path of the step size, path of the covariance, and the
            standard deviations along the axes.
        matrices: float64 (2, n, n): covariance, and its axes as columns.
        age: int64 (), generations since it began.
    """

    def __init__(self, width: Tensor, vectors: Tensor, matrices: Tensor, age: Tensor) -> None:
        self._width, self._age = width, age
        self._mean, self._step_path, self._path, self._scales = vectors
        self._covariance, self._axes = matrices

    def begin(self, mean: Tensor) -> None:
        """Become round, around a mean (n,)."""
        self._mean.copy_(mean)
        self._width.fill_(FIRST_WIDTH)
        for path in (self._step_path, self._path, self._age):
            path.zero_()
        self._scales.fill_(1.0)
        for matrix in (self._covariance, self._axes):
            matrix.copy_(torch.eye(len(mean), dtype=torch.float64))

    def sample(self, normals: Tensor) -> Tensor:
        """Return points float64 (P, n) made of standard normal deviates (P, n)."""
        points: Tensor = self._mean + self._width * (normals * self._scales) @ self._axes.T
        return points

    def is_spent(self) -> bool:
        """Tell whether it has become too narrow, too wide or too stretched to find anything."""
        most, least = float(self._scales.max()), float(self._scales.min())
        return not NARROW <= float(self._width) * most <= WIDE or most > STRETCHED * least

    def learn(self, points: Tensor, fitness: Tensor) -> None:
        """Adapt to the fitness float64 (P,) of points (P, n); smaller is better.

        The names of the constants are those of the tutorial.
        """
        count, n = points.shape
        best = count // 2
        weights = torch.tensor(
            [math.log((count + 1) / 2) - math.log(i + 1) for i in range(best)], dtype=torch.float64
        )
        weights /= weights.sum()
        mu = float(1 / weights.square().sum())
        c_sigma = (mu + 2) / (n + mu + 5)
        d_sigma = 1 + 2 * max(0.0, math.sqrt((mu - 1) / (n + 1)) - 1) + c_sigma
        c_c = (4 + mu / n) / (n + 4 + 2 * mu / n)
        c_1 = 2 / ((n + 1.3) ** 2 + mu)
        c_mu = min(1 - c_1, 2 * (mu - 2 + 1 / mu) / ((n + 2) ** 2 + mu))
        expected = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))

        order = fitness.argsort(stable=True)[:best]
        steps = (points[order] - self._mean) / self._width
        step = weights @ steps
        self._mean += self._width * step
        white = self._axes @ ((self._axes.T @ step) / self._scales)
        self._step_path *= 1 - c_sigma
        self._step_path += math.sqrt(c_sigma * (2 - c_sigma) * mu) * white
        self._age += 1
        length = float(self._step_path.norm())
        settled = math.sqrt(1 - (1 - c_sigma) ** (2 * int(self._age)))
        moves = float(length / settled < (1.4 + 2 / (n + 1)) * expected)
        self._path *= 1 - c_c
        self._path += moves * math.sqrt(c_c * (2 - c_c) * mu) * step
        kept = 1 - c_1 - c_mu + (1 - moves) * c_1 * c_c * (2 - c_c)
        self._covariance *= kept
        self._covariance += c_1 * self._path[:, None] * self._path
        self._covariance += c_mu * (steps.T * weights) @ steps
        self._width *= math.exp(min(1.0, c_sigma / d_sigma * (length / expected - 1)))
        # The axes of many genes cost more than a generation, and hardly turn in one.
        if int(self._age) % max(1, int(1 / (10 * n * (c_1 + c_mu)))) == 0:
            variances, axes = torch.linalg.eigh(self._covariance)
            self._scales.copy_(variances.clamp(min=1e-30).sqrt())
            self._axes.copy_(axes)
