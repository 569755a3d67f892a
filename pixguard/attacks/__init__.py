"""Attacks, one a file; they know nothing of the database.

From Python, call one of the classes that are exported here (:mod:`pixguard.attacks.api`).
"""

from collections.abc import Callable

from pixguard.attacks import (
    corner,
    differential_evolution,
    exhaustive,
    random_search,
    sigma_zero,
    sparse_rs,
)
from pixguard.attacks.api import (
    Corner,
    DifferentialEvolution,
    Exhaustive,
    Random,
    SigmaZero,
    SparseRS,
)
from pixguard.attacks.corner import CornerSearch
from pixguard.attacks.differential_evolution import DifferentialEvolutionSearch
from pixguard.attacks.engine.search import Search
from pixguard.attacks.exhaustive import ExhaustiveSearch
from pixguard.attacks.random_search import RandomSearch
from pixguard.attacks.result import AttackResult
from pixguard.attacks.sigma_zero import SigmaZeroSearch
from pixguard.attacks.sparse_rs import SparseRSSearch
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
    exhaustive.NAME: lambda s, channels: ExhaustiveSearch(s.space, channels, s.pixels),
    corner.NAME: lambda s, channels: CornerSearch(s.queries, s.pixels, s.order),
    sparse_rs.NAME: lambda s, channels: SparseRSSearch(s.queries, s.pixels),
    sigma_zero.NAME: lambda s, channels: SigmaZeroSearch(s.queries, s.pixels),
    random_search.NAME: lambda s, channels: RandomSearch(s.queries, s.pixels),
}
"""Every attack by name, made from settings for images of so many channels: a new one is a file, and
a line here."""
