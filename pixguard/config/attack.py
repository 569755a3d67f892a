"""What an attack is asked to do."""

from dataclasses import dataclass
from typing import Literal

from pixguard.config.setting import Settings

EvaluatorName = Literal["auto", "dense", "delta"]
PrecisionName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class DifferentialEvolutionSettings:
    """Differential evolution; the defaults are the paper's (section 4.1.2; Su et al. 2019)."""

    population: int = 100
    generations: int = 100
    mutation: float = 0.5
    strategy: Literal["rand1", "best1"] = "rand1"
    init: Literal["su", "uniform"] = "su"


@dataclass(frozen=True, slots=True)
class AttackSettings(Settings):
    """One attack plan: which images are attacked, how, how often, with which seed.

    ``per_class`` draws that many correctly classified images a class, with ``seed``; ``limit``
    caps the number of images after that. ``target`` is a class name or ordinal, ``"each"`` for
    every other class in turn, or None for a non-targeted attack. ``success`` applies to
    multi-label classifiers. ``queries`` is the budget of an attempt where the attack itself does
    not set it (differential evolution and exhaustive search do), ``order`` how a corner search
    ranks its candidates, ``space`` what an exhaustive search covers (None: all values of one
    pixel in grayscale, corners and their refinement in colour).
    """

    attack: str = "differential-evolution"
    pixels: int = 1
    per_class: int | None = None
    limit: int | None = None
    target: str | None = None
    success: Literal["label-set", "argmax"] = "label-set"
    repeats: int = 1
    seed: int = 0
    batch: int | None = None
    evaluator: EvaluatorName = "auto"
    precision: PrecisionName = "auto"
    queries: int = 10_100
    order: Literal["gradient", "grid"] = "gradient"
    space: Literal["all-values", "corners"] | None = None
    evolution: DifferentialEvolutionSettings = DifferentialEvolutionSettings()
