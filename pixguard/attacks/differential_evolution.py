"""The one-pixel attack by differential evolution, as the paper states it.

Su, Vargas, Sakurai 2019, "One Pixel Attack for Fooling Deep Neural Networks"; settings of the paper
(section 4.1.2): population 100, at most 100 generations after the initial population (10,100
queries), mutation factor 0.5, no crossover. DE/rand/1: child_i = x_r1 + F (x_r2 - x_r3) with r1,
r2, r3 and i all different; the child replaces its parent, the individual of the same index, when it
is better.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from pixguard.attacks.engine.philox import below, philox, standard_normal, unit_interval
from pixguard.attacks.engine.search import Arena, Candidates, Fitness, Search
from pixguard.attacks.registry import AttackEntry, DifferentialEvolutionOptions

COLOUR_MEAN, COLOUR_DEVIATION = 128.0, 127.0
"""Initial colours are drawn from N(128, 127) and clipped to [0, 255] (Su et al. 2019)."""


class DifferentialEvolutionSearch(Search):
    """Differential evolution of k pixels, vectorised over attempts.

    A gene vector holds (row, col, colour a channel) for each pixel. Rows and columns live in
    [0, H) and [0, W) and are decoded by truncation, so that every pixel is equally likely at the
    start; colours live in [0, 255] and are rounded. Genes that leave their range are clipped.
    """

    options: DifferentialEvolutionOptions
    fitness: ClassVar[Fitness] = "probability"

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        super().__init__(entry, options, pixels, channels)
        self.candidates_per_step = options.population

    def most_queries(self, height: int, width: int) -> int:
        """Return the size of the initial population and all generations."""
        return self.options.population * (self.options.generations + 1)

    def allocate(self, arena: Arena) -> None:
        """Prepare populations float64 (S, P, k (2 + C)) and their fitness (S, P)."""
        slots, height, width, channels = arena.images.shape
        device = arena.images.device
        population, genes = self.options.population, self.pixels * (2 + channels)
        self._channels = channels
        # A gene of exactly H would decode to a row that does not exist.
        upper = torch.tensor([height, width, *[255.0] * channels], dtype=torch.float64)
        upper[:2] = torch.nextafter(upper[:2], torch.zeros(2, dtype=torch.float64))
        self._upper = upper.repeat(self.pixels).to(device)
        self._extent = torch.tensor([height, width], dtype=torch.float64, device=device)
        self._population = torch.zeros(slots, population, genes, dtype=torch.float64, device=device)
        self._fitness = torch.full(
            (slots, population), torch.inf, dtype=torch.float64, device=device
        )
        self._children = self._population.clone()
        self._keys = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._generation = torch.zeros(slots, dtype=torch.int64, device=device)
        self._individual = torch.arange(population, device=device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Draw the initial populations of new attempts (generation 0)."""
        self._keys[slots] = keys
        self._generation[slots] = 0
        self._fitness[slots] = torch.inf
        self._children[slots] = self._initial(keys)

    def ask(self) -> Candidates:
        """Return the individuals to evaluate: an initial population, or the children of one."""
        slots, population, _ = self._children.shape
        genes = self._children.view(slots, population, self.pixels, 2 + self._channels)
        return Candidates(genes[..., :2].long(), genes[..., 2:].round().to(torch.uint8))

    def tell(self, fitness: Tensor) -> None:
        """Select one to one against the parents, and breed the next children."""
        better = fitness < self._fitness
        self._population = torch.where(better[..., None], self._children, self._population)
        self._fitness = torch.where(better, fitness, self._fitness)
        self._generation += 1
        self._children = self._breed()

    def state(self) -> dict[str, Tensor]:
        """Return the individuals, with the children that are next."""
        return {
            "keys": self._keys,
            "generation": self._generation,
            "population": self._population,
            "fitness": self._fitness,
            "children": self._children,
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the pixels of the fittest individual; the lowest index where several are."""
        genes = self._population[slot, int(self._fitness[slot].argmin())]
        genes = genes.view(self.pixels, 2 + self._channels)
        return genes[:, :2].long(), genes[:, 2:].round().to(torch.uint8)

    def _initial(self, keys: Tensor) -> Tensor:
        genes = self._upper.numel()
        block = torch.arange(-(-genes // 4), device=keys.device)
        words = philox(
            (keys[:, 0, None, None], keys[:, 1, None, None]),
            (torch.zeros_like(block), self._individual[:, None], block, torch.zeros_like(block)),
        ).flatten(-2)[..., :genes]
        words = words.view(*words.shape[:2], self.pixels, 2 + self._channels)
        positions = unit_interval(words[..., :2]) * self._extent
        if self.options.init == "su":
            colours = standard_normal(words[..., 2:]) * COLOUR_DEVIATION + COLOUR_MEAN
        else:
            colours = unit_interval(words[..., 2:]) * 255.0
        return self._clip(torch.cat([positions, colours], dim=-1).flatten(-2))

    def _breed(self) -> Tensor:
        zero = torch.zeros_like(self._generation)[:, None]
        words = philox(
            (self._keys[:, :1], self._keys[:, 1:]),
            (self._generation[:, None], self._individual[None], zero, zero),
        )
        first, second, third = distinct_others(words, self._individual, self.options.population)
        if self.options.strategy == "best1":
            first = self._fitness.argmin(dim=1, keepdim=True).expand_as(first)
        base, plus, minus = (self._take(parents) for parents in (first, second, third))
        return self._clip(base + self.options.mutation * (plus - minus))

    def _take(self, individuals: Tensor) -> Tensor:
        index = individuals[..., None].expand(-1, -1, self._upper.numel())
        return self._population.gather(1, index)

    def _clip(self, genes: Tensor) -> Tensor:
        return genes.clamp(min=0.0).minimum(self._upper)


def distinct_others(words: Tensor, own: Tensor, population: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw three indices, different from each other and from the individual's own.

    Args:
        words: int64 (S, P, 4), uniform 32-bit words.
        own: int64 (P,), each individual's index.
        population: number of individuals to draw from.

    Returns:
        three int64 (S, P); every ordered triple is equally likely.
    """
    taken = own.expand(words.shape[:-1])[..., None]
    drawn: list[Tensor] = []
    for position in range(3):
        index = below(words[..., position], population - 1 - position)
        # Step over the taken indices in ascending order: index becomes the index-th free one.
        for column in taken.sort(dim=-1).values.unbind(-1):
            index = index + (index >= column).long()
        taken = torch.cat([taken, index[..., None]], dim=-1)
        drawn.append(index)
    return drawn[0], drawn[1], drawn[2]
