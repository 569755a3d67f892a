"""The attacks as Python objects: tensors in, tensors out, without a database.

An attack is made once and called on batches, as in Foolbox and torchattacks. The searches, the
scheduler and the judging from stored bytes are those of the command line. A class here turns its
options into settings, and has a row in :data:`pixguard.attacks.SEARCHES`; no more.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from pixguard.attacks.attack import Attack
from pixguard.config import AttackSettings, DifferentialEvolutionSettings

_DEFAULT = AttackSettings()
_EVOLUTION = DifferentialEvolutionSettings()


@dataclass(frozen=True, eq=False)
class DifferentialEvolution(Attack):
    """The paper's attack, DE/rand/1 without crossover (Su et al. 2019; the paper, section 4.1.2).

    Attributes:
        population: individuals, 4 or more.
        generations: after the initial population.
        mutation: the factor F.
        strategy: ``rand1``, or ``best1``: children of the best individual.
        init: initial colours: ``su``, N(128, 127) clipped, or ``uniform``.
    """

    name = "differential-evolution"

    population: int = field(default=_EVOLUTION.population, kw_only=True)
    generations: int = field(default=_EVOLUTION.generations, kw_only=True)
    mutation: float = field(default=_EVOLUTION.mutation, kw_only=True)
    strategy: Literal["rand1", "best1"] = field(default=_EVOLUTION.strategy, kw_only=True)
    init: Literal["su", "uniform"] = field(default=_EVOLUTION.init, kw_only=True)

    def settings(self) -> AttackSettings:
        """Return the options in the form that searches are made from."""
        evolution = DifferentialEvolutionSettings(
            self.population, self.generations, self.mutation, self.strategy, self.init
        )
        return replace(super().settings(), evolution=evolution)


@dataclass(frozen=True, eq=False)
class Exhaustive(Attack):
    """Every candidate of one pixel: the truth about the space that it covers.

    Attributes:
        space: ``all-values`` (grayscale only) or ``corners`` (each channel 0 or 255) and their
            refinement; None: the first in grayscale, the second in colour.
    """

    name = "exhaustive"

    space: Literal["all-values", "corners"] | None = field(default=_DEFAULT.space, kw_only=True)

    def settings(self) -> AttackSettings:
        """Return the options in the form that searches are made from."""
        return replace(super().settings(), space=self.space)


@dataclass(frozen=True, eq=False)
class Budgeted(Attack):
    """An attack that asks for candidates until a budget is spent.

    Attributes:
        queries: the budget of an attempt; the default is the paper's population times generations.
    """

    queries: int = field(default=_DEFAULT.queries, kw_only=True)

    def settings(self) -> AttackSettings:
        """Return the options in the form that searches are made from."""
        return replace(super().settings(), queries=self.queries)


@dataclass(frozen=True, eq=False)
class Corner(Budgeted):
    """Extreme colours, ranked, then in combination.

    Attributes:
        queries: the budget of an attempt.
        order: ranked by one ``gradient`` (white-box) or by the answers on a ``grid`` (black-box).
    """

    name = "corner"

    order: Literal["gradient", "grid"] = field(default=_DEFAULT.order, kw_only=True)

    def settings(self) -> AttackSettings:
        """Return the options in the form that searches are made from."""
        return replace(super().settings(), order=self.order)


class SparseRS(Budgeted):
    """Random replacement of pixels, the black-box baseline of Croce et al. 2022."""

    name = "sparse-rs"


class SigmaZero(Budgeted):
    """Gradient descent on a smoothed count of changed pixels (Cinà et al. 2025; white-box)."""

    name = "sigma-zero"


class Random(Budgeted):
    """Independent uniform candidates: the floor that every search must beat."""

    name = "random"
