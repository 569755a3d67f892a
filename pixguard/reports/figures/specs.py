"""All figures: the paper's 9 to 26 by number, ours by name."""

from collections.abc import Mapping
from functools import cache

from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.registry import KINDS
from pixguard.reports.figures.request import FigureSpec
from pixguard.reports.specs import find

SCHEMATICS = 8
"""The paper's Figures 1 to 8 show architectures and the process."""


@cache
def _kinds() -> Mapping[int | str, tuple[FigureSpec, FigureKind]]:
    loaded: list[FigureKind] = [entry.load() for entry in KINDS]
    found = [(spec, kind) for kind in loaded for spec in kind.specs]
    numbers = [spec.number for spec, _ in found]
    if len(numbers) > len(set(numbers)):
        raise ValueError("two kinds declare the same figure")
    # The paper's first, by number; ours as they are registered.
    found.sort(key=lambda item: item[0].number if isinstance(item[0].number, int) else 1000)
    return {spec.number: (spec, kind) for spec, kind in found}


@cache
def figure_specs() -> Mapping[int | str, FigureSpec]:
    """Return every figure: the paper's by number, in order, then ours by name."""
    return {number: spec for number, (spec, _) in _kinds().items()}


def kind_of(spec: FigureSpec) -> FigureKind:
    """Return how a figure is drawn."""
    return _kinds()[spec.number][1]


def figure_spec(number: int | str) -> FigureSpec:
    """Return one figure by its number or name.

    Raises:
        UsageError: there is no such figure.
    """
    schematic = isinstance(number, int) and 1 <= number <= SCHEMATICS
    why = "is a schematic, not a result" if schematic else "is not in the paper"
    return find("figure", number, figure_specs(), why)
