"""The registry of all tables that the database can fill: the paper's by number, ours by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pixguard.errors import UsageError
from pixguard.reports.published import published_tables

Family = Literal[
    "classification",
    "capability",
    "attack_by_class",
    "denoising",
    "attack_overview",
    "comparison",
    "truth",
    "adaptive",
    "cost",
    "detection",
    "ablation",
    "training_times",
]

_FAMILY_OF_COLUMN: Mapping[str, Family] = {
    "training accuracy %": "classification",
    "precision %": "capability",
    "disease type": "attack_by_class",
    "PSNR": "denoising",
    "success count": "attack_overview",
    "ResNet50 success %": "comparison",
}
"""The second column of a published table tells its family, the third where the second cannot."""

_FAMILY_OF_NUMBER: Mapping[int, Family] = {
    **dict.fromkeys((3, 4, 5), "ablation"),
    **dict.fromkeys((44, 45, 48, 49, 50, 51), "training_times"),
}
_CLASSIFIER_OF_NUMBER = {44: "resnet50", 45: "densenet121"}
"""Published tables that name no classifier's result, and the classifier that a title names."""


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


BEYOND_THE_PAPER = (
    TableSpec(
        "truth", "Vulnerable Images, and Which of Them Each Attack Finds", "truth", None, 1, None
    ),
    TableSpec(
        "adaptive",
        "Attacks Through the Defence, Beside Attacks Replayed at It",
        "adaptive",
        None,
        None,
        None,
    ),
    TableSpec("cost", "What the Attacks Cost", "cost", None, None, None),
    TableSpec(
        "detection",
        "What Detectors Trained on One Class Tell from It",
        "detection",
        None,
        None,
        None,
    ),
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


def _family(table: Mapping[str, Any]) -> Family | None:
    if table["number"] in _FAMILY_OF_NUMBER:
        return _FAMILY_OF_NUMBER[table["number"]]
    # Tables 1, 2, 6 to 11, 46 and 47 state layers, facts and times of attacks.
    if "classifier" not in table and "pixels" not in table:
        return None
    columns = table["columns"]
    return _FAMILY_OF_COLUMN.get(columns[1]) or _FAMILY_OF_COLUMN.get(columns[2])


@cache
def table_specs() -> Mapping[int | str, TableSpec]:
    """Return every table that a query fills: the paper's by number, in order, then ours by name."""
    printed = (
        TableSpec(
            number=int(table["number"]),
            title=table["title"],
            family=family,
            dataset=table.get("dataset"),
            pixels=table.get("pixels"),
            classifier=table.get("classifier") or _CLASSIFIER_OF_NUMBER.get(table["number"]),
        )
        for table in published_tables()
        if (family := _family(table)) is not None
    )
    return register((*printed, *BEYOND_THE_PAPER))


def table_spec(number: int | str) -> TableSpec:
    """Return one table by its number or name.

    Raises:
        UsageError: no query fills such a table.
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
    printed = any(int(table["number"]) == number for table in published_tables())
    what = "states facts or times that no query fills" if printed else "is not in the paper"
    raise UsageError(f"table {number} {what}", "pixguard report --list")
