"""The registry of all tables: the paper's by number, ours by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pixguard.errors import UsageError
from pixguard.reports.published import published_tables

Family = Literal[
    "layers",
    "ablation",
    "datasets",
    "class_counts",
    "hardware",
    "classification",
    "capability",
    "attack_by_class",
    "denoising",
    "attack_overview",
    "comparison",
    "training_times",
    "attack_times",
    "recovery",
    "paired",
    "truth",
    "adaptive",
    "classes",
    "pixels",
    "cost",
    "certified",
    "detection",
]

_NUMBERS: Mapping[Family, Sequence[int]] = {
    "layers": (1, 2),
    "ablation": (3, 4, 5),
    "datasets": (6,),
    "class_counts": (7, 8, 9, 10),
    "hardware": (11,),
    "classification": (12, 34),
    "capability": (13, 14, 15, 16),
    "attack_by_class": (17, 19, 21, 22, 24, 26, 28, 30, 35, 37, 39, 41),
    "denoising": (18, 20, 23, 25, 27, 29, 31, 36, 38, 40, 42),
    "attack_overview": (32, 33),
    "comparison": (43,),
    "training_times": (44, 45, 48, 49, 50, 51),
    "attack_times": (46, 47),
}
"""The paper's tables by family: one query, or few, and one layout."""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table.

    Attributes:
        number: the paper's, or the name of a table that the paper lacks.
        title: the paper's, or ours.
        family: which query fills it, and how it is laid out.
        dataset: the one dataset that it is about, or None for all four.
        pixels: how many pixels the attack changes, or None where there is none, or any number.
        classifier: architecture, or None where several are compared.
    """

    number: int | str
    title: str
    family: Family
    dataset: str | None
    pixels: int | None
    classifier: str | None


def _beyond(family: Family, title: str, pixels: int | None = None) -> TableSpec:
    """Return a table that the paper lacks; it goes by the name of its family."""
    return TableSpec(family, title, family, None, pixels, None)


BEYOND_THE_PAPER = (
    _beyond("recovery", "Labels That Denoisers Give Back, and Clean Labels That They Break"),
    _beyond("paired", "Denoisers Compared Pair by Pair on the Same Images"),
    _beyond("truth", "Vulnerable Images, and Which of Them Each Attack Finds", 1),
    _beyond("adaptive", "Attacks Through the Defence, Beside Attacks Replayed at It"),
    _beyond("classes", "Which Class Turns Into Which"),
    _beyond("pixels", "Where the Successful Pixels Are, and Their Colours"),
    _beyond("cost", "What the Attacks Cost"),
    _beyond("certified", "Certified Accuracy at Changed Pixels"),
    _beyond("detection", "What Detectors Trained on One Class Tell from It"),
)
"""The tables that the paper lacks."""


def register(specs: Iterable[TableSpec]) -> dict[int | str, TableSpec]:
    """Return tables by number or name.

    Raises:
        ValueError: a number is used twice.
    """
    by_number: dict[int | str, TableSpec] = {}
    for spec in specs:
        if spec.number in by_number:
            raise ValueError(f"two tables have the number {spec.number}")
        by_number[spec.number] = spec
    return by_number


@cache
def table_specs() -> Mapping[int | str, TableSpec]:
    """Return every table: the paper's by number, in order, then ours by name."""
    families = {number: family for family, numbers in _NUMBERS.items() for number in numbers}
    printed = (
        TableSpec(
            number=int(table["number"]),
            title=table["title"],
            family=families[table["number"]],
            dataset=table.get("dataset"),
            pixels=table.get("pixels"),
            classifier=table.get("classifier"),
        )
        for table in published_tables()
    )
    return register((*printed, *BEYOND_THE_PAPER))


def table_spec(number: int | str) -> TableSpec:
    """Return one table by its number or name.

    Raises:
        UsageError: there is no such table.
    """
    specs = table_specs()
    if number in specs:
        return specs[number]
    if isinstance(number, str):
        names = ", ".join(str(spec.number) for spec in BEYOND_THE_PAPER)
        raise UsageError(
            f"{number!r} is not the number of a table, nor a name ({names})",
            "pixguard report --list",
        )
    raise UsageError(f"table {number} is not in the paper", "pixguard report --list")
