"""Which attacks there are, and their options; light to import.

A new attack is a file with its search (:class:`pixguard.attacks.engine.search.Search`) and an entry
here, above the dataclass of its options. The command line, the Python API, the documents and the
conformance tests are made of that.
"""

from dataclasses import dataclass
from typing import Literal

from pixguard.attacks.dense_options import (
    APGDOptions,
    AutoAttackOptions,
    DenseOptions,
    DenseStepsOptions,
    SquareOptions,
)
from pixguard.config.settings import SettingError, Settings, setting
from pixguard.registry import Entry, Registry

DIFFERENTIAL_EVOLUTION = "differential-evolution"


@dataclass(frozen=True, slots=True)
class AttackEntry(Entry):
    """An attack by name; its target is its search.

    Attributes:
        version: counted up when the same key gives another result; recorded.
        needs_gradients: whether it asks for the classifier's gradients, unless its options say
            otherwise (white box); others need its answers only (black box).
        revisits: whether it often asks for candidates that it has asked for before, so that
            remembering the answers pays.
        complete: whether its failure says that no candidate of a space succeeds, so that none may
            be misjudged on the way.
        most_pixels: how many pixels it can change; None: any number.
        dense: whether it changes all pixels, within a distance, in the place of a number of them.
        descends: whether it follows the classifier's gradient step by step, so that nothing but the
            classifier can be attacked.
    """

    version: int = 1
    needs_gradients: bool = False
    revisits: bool = False
    complete: bool = False
    most_pixels: int | None = None
    dense: bool = False
    descends: bool = False

    @property
    def class_name(self) -> str:
        """The class of the Python API: the search's name without ``Search``."""
        return self.target.partition(":")[2].removesuffix("Search")


ATTACKS: Registry[AttackEntry] = Registry("attack")


@ATTACKS.with_options(
    AttackEntry(
        DIFFERENTIAL_EVOLUTION,
        "pixguard.attacks.differential_evolution:DifferentialEvolutionSearch",
        "The paper's attack, DE/rand/1 without crossover (Su et al. 2019; the paper, 4.1.2).",
        revisits=True,
    )
)
@dataclass(frozen=True, slots=True)
class DifferentialEvolutionOptions(Settings):
    """The defaults are the paper's."""

    population: int = setting(100, "Size of the population.", low=4, unit="individuals")
    generations: int = setting(
        100, "At most, after the initial population.", low=0, unit="generations"
    )
    mutation: float = setting(0.5, "Mutation factor F.", low=0.0, high=2.0)
    strategy: Literal["rand1", "best1"] = setting(
        "rand1", "Children of random individuals, or of the best one."
    )
    init: Literal["su", "uniform"] = setting(
        "su", "Initial colours: N(128, 127) clipped to [0, 255], or uniform."
    )


@ATTACKS.with_options(
    AttackEntry(
        "exhaustive",
        "pixguard.attacks.exhaustive:ExhaustiveSearch",
        "Every candidate of one pixel, or every black and white pair: the truth of that space.",
        complete=True,
        most_pixels=2,
    )
)
@dataclass(frozen=True, slots=True)
class ExhaustiveOptions(Settings):
    """What to cover."""

    space: Literal["all-values", "corners"] | None = setting(
        None,
        "All values (grayscale only), or extreme colours and their refinement. Default: the "
        "first in grayscale, the second in colour. Of two pixels, in grayscale, all pairs of "
        "extreme values.",
    )
    by: Literal["candidates", "bounds"] = setting(
        "candidates",
        "Evaluate every candidate, or prove by bounds that whole ranges of values flip nothing: "
        "also in colour, all values. Of two pixels, rule pairs out by bounds.",
    )
    most_bounds: int = setting(
        300_000,
        "By bounds: at most that many an image. What is then undecided is evaluated in grayscale, "
        "and left open in colour.",
        low=1,
        unit="bounds",
    )


@dataclass(frozen=True, slots=True)
class BudgetOptions(Settings):
    """For attacks that ask for candidates until a budget is spent."""

    queries: int = setting(10_100, "Budget of an attempt.", low=1, unit="queries")


@ATTACKS.with_options(
    AttackEntry(
        "corner",
        "pixguard.attacks.corner:CornerSearch",
        "Extreme colours, ranked, then in combination.",
        needs_gradients=True,
    )
)
@dataclass(frozen=True, slots=True)
class CornerOptions(BudgetOptions):
    """How to rank."""

    order: Literal["gradient", "grid", "transfer"] = setting(
        "gradient",
        "Rank by one gradient (white box), by the answers on a grid (black box), or by one "
        "gradient of another classifier, the surrogate (black box).",
    )
    surrogate: str | None = setting(
        None,
        "For the order transfer: the classifier whose gradient ranks, by id or name; recorded by "
        "its content. It must not be the attacked one.",
        names="classifier",
    )

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if (self.order == "transfer") != (self.surrogate is not None):
            raise SettingError(
                "a surrogate goes with the order transfer, and that order with a surrogate",
                "`order=transfer` and `surrogate=MODEL`, or neither",
            )


ATTACKS.add(
    AttackEntry(
        "sparse-rs",
        "pixguard.attacks.sparse_rs:SparseRSSearch",
        "Random replacement of pixels, the black-box baseline of Croce et al. 2022.",
        options=BudgetOptions,
    )
)
ATTACKS.add(
    AttackEntry(
        "sigma-zero",
        "pixguard.attacks.sigma_zero:SigmaZeroSearch",
        "Gradient descent on a smoothed count of changed pixels (Cinà et al. 2025).",
        options=BudgetOptions,
        needs_gradients=True,
        descends=True,
    )
)


ATTACKS.add(
    AttackEntry(
        "brusle",
        "pixguard.attacks.brusle:BruSLeSearch",
        "BruSLeAttack: learns which pixels matter (Vo, Abbasnejad, Ranasinghe 2024).",
        options=BudgetOptions,
        revisits=True,
    )
)

ATTACKS.add(
    AttackEntry(
        "cma-es",
        "pixguard.attacks.cma_es:CMAESSearch",
        "A normal distribution that learns its shape (Hansen 2016; Vargas, Kotyan 2019).",
        options=BudgetOptions,
        revisits=True,
    )
)


@ATTACKS.with_options(
    AttackEntry(
        "spgd",
        "pixguard.attacks.spgd:SparsePGDSearch",
        "Sparse-PGD: gradient descent on colours and on a mask (Zhong, Huang, Liu 2024).",
        needs_gradients=True,
        descends=True,
    )
)
@dataclass(frozen=True, slots=True)
class SparsePGDOptions(BudgetOptions):
    """How to follow the gradient."""

    gradient: Literal["unprojected", "projected"] = setting(
        "unprojected", "Colours learn at all pixels, or at the chosen ones alone."
    )


@ATTACKS.with_options(
    AttackEntry(
        "jsma",
        "pixguard.attacks.jsma:JSMASearch",
        "The most salient pixels, greedily, at extreme colours (Papernot et al. 2016).",
        needs_gradients=True,
        descends=True,
    )
)
@dataclass(frozen=True, slots=True)
class JSMAOptions(Settings):
    """How often to begin."""

    starts: int = setting(
        1,
        "Begin with so many first pixels, one after the other; published is one.",
        low=1,
        unit="starts",
    )


ATTACKS.add(
    AttackEntry(
        "sparse-aa",
        "pixguard.attacks.sparse_aa:SparseAASearch",
        "Sparse-AutoAttack: Sparse-PGD projected, unprojected, then Sparse-RS.",
        options=BudgetOptions,
        needs_gradients=True,
        descends=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "random",
        "pixguard.attacks.random_search:RandomSearch",
        "Independent uniform candidates: the floor that every search must beat.",
        options=BudgetOptions,
        revisits=True,
    )
)


@ATTACKS.with_options(
    AttackEntry(
        "attention",
        "pixguard.attacks.attention:AttentionSearch",
        "Colours at the pixels that Grad-CAM ranks first, after PIAA (Liu et al. 2022).",
        needs_gradients=True,
        revisits=True,
    )
)
@dataclass(frozen=True, slots=True)
class AttentionOptions(BudgetOptions):
    """Where to look."""

    attended: int = setting(
        100, "Look at so many pixels, the most attended ones.", low=1, unit="pixels"
    )


ATTACKS.add(
    AttackEntry(
        "fgsm",
        "pixguard.attacks.fgsm:FGSMSearch",
        "Dense: one step along the gradient (Goodfellow, Shlens, Szegedy 2015).",
        options=DenseOptions,
        needs_gradients=True,
        descends=True,
        dense=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "pgd",
        "pixguard.attacks.pgd:PGDSearch",
        "Dense: projected gradient descent from a random start (Madry et al. 2018).",
        options=DenseStepsOptions,
        needs_gradients=True,
        descends=True,
        dense=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "apgd",
        "pixguard.attacks.apgd:APGDSearch",
        "Dense: Auto-PGD, whose step adapts (Croce, Hein 2020).",
        options=APGDOptions,
        needs_gradients=True,
        descends=True,
        dense=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "lbfgs",
        "pixguard.attacks.lbfgs:LBFGSSearch",
        "Dense: box-constrained L-BFGS (Szegedy et al. 2014).",
        options=DenseStepsOptions,
        needs_gradients=True,
        descends=True,
        dense=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "square",
        "pixguard.attacks.square:SquareSearch",
        "Dense: random squares, kept where they help (Andriushchenko et al. 2020).",
        options=SquareOptions,
        dense=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "fab",
        "pixguard.attacks.fab:FABSearch",
        "Dense: FAB-T, the nearest image of each other class (Croce, Hein 2020).",
        options=DenseStepsOptions,
        needs_gradients=True,
        descends=True,
        dense=True,
    )
)
ATTACKS.add(
    AttackEntry(
        "auto-attack",
        "pixguard.attacks.auto_attack:AutoAttackSearch",
        "Dense: APGD with both losses, FAB-T, then Square (Croce, Hein 2020).",
        options=AutoAttackOptions,
        needs_gradients=True,
        descends=True,
        dense=True,
    )
)
