"""Attacks, one a file; they know nothing of the database.

From Python, call one of the classes that are exported here (:mod:`pixguard.attacks.api`).
"""

from collections.abc import Callable

from pixguard.attacks import differential_evolution
from pixguard.attacks.api import (
    Corner,
    DifferentialEvolution,
    Exhaustive,
    Random,
    SigmaZero,
    SparseRS,
)
from pixguard.attacks.api_result import AttackResult
from pixguard.attacks.base import Search
from pixguard.attacks.differential_evolution import DifferentialEvolutionSearch
from pixguard.config import AttackSettings

__all__ = [
    "DIFFERENTIAL_EVOLUTION",
    "SEARCHES",
    "AttackResult",
    "Corner",
    "DifferentialEvolution",
    "Exhaustive",
    "Random",
    "SigmaZero",
    "SparseRS",
]

DIFFERENTIAL_EVOLUTION = differential_evolution.NAME

SEARCHES: dict[str, Callable[[AttackSettings, int], Search]] = {
    DIFFERENTIAL_EVOLUTION: lambda s, channels: DifferentialEvolutionSearch(s.evolution, s.pixels),
}
"""Every attack by name, made from settings for images of so many channels: a new one is a file, and
a line here."""
