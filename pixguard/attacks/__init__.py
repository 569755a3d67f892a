"""Attacks, one a file; they know nothing of the database."""

from collections.abc import Callable

from pixguard.attacks.base import Search
from pixguard.attacks.differential_evolution import NAME as DIFFERENTIAL_EVOLUTION
from pixguard.attacks.differential_evolution import DifferentialEvolutionSearch
from pixguard.config import AttackSettings

SEARCHES: dict[str, Callable[[AttackSettings], Search]] = {
    DIFFERENTIAL_EVOLUTION: lambda s: DifferentialEvolutionSearch(s.evolution, s.pixels),
}
"""Every attack by name: a new one is a file, and a line here."""
