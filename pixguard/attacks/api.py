"""The attacks as Python objects: tensors in, tensors out, without a database.

An attack is made once and called on batches, as in Foolbox and torchattacks. The searches, the
scheduler and the judging from stored bytes are those of the command line. A class here turns its
options into settings, and has a row in :data:`pixguard.attacks.SEARCHES`; no more.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from pixguard.attacks.api_attack import Attack
from pixguard.config import AttackSettings, DifferentialEvolutionSettings

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
