"""Attacks, one a file; they know nothing of the database."""

from collections.abc import Callable

from pixguard.attacks.base import Search
from pixguard.attacks.differential_evolution import NAME, DifferentialEvolutionSearch
from pixguard.config import AttackSettings

DIFFERENTIAL_EVOLUTION = NAME

SEARCHES: dict[str, Callable[[AttackSettings], Search]] = {
    DIFFERENTIAL_EVOLUTION: lambda s: DifferentialEvolutionSearch(s.evolution, s.pixels),
}
"""Every attack by name: a new one is a file, and a line here."""
