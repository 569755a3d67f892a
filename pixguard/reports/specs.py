"""All tables: the paper's by number, ours by name."""

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from pixguard.errors import UsageError
from pixguard.registry import unknown
from pixguard.reports.published import published_tables
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.registry import FAMILIES
from pixguard.reports.tables.request import TableSpec

LIST = "pixguard report --list"
T = TypeVar("T")


@cache
def families() -> Mapping[str, Family]:
    """Return every family by name.

    Raises:
        ValueError: two families declare the same number.
    """
    found: dict[str, Family] = {entry.name: entry.load() for entry in FAMILIES}
    numbers = [number for family in found.values() for number in family.numbers]
    if len(numbers) > len(set(numbers)):
        raise ValueError("two families declare the same table")
    return found


@cache
def table_specs() -> Mapping[int | str, TableSpec]:
    """Return every table: the paper's by number, in order, then ours by name."""
    owners = {number: name for name, family in families().items() for number in family.numbers}
    printed = [
        TableSpec(
            number=int(table["number"]),
            title=table["title"],
            family=owners[table["number"]],
            dataset=table.get("dataset"),
            pixels=table.get("pixels"),
            classifier=table.get("classifier"),
        )
        for table in published_tables()
    ]
    ours = [
        TableSpec(family.own or name, family.title, name, pixels=family.pixels)
        for name, family in families().items()
        if family.own or not family.numbers
    ]
    return {spec.number: spec for spec in (*printed, *ours)}


def table_spec(number: int | str) -> TableSpec:
    """Return one table by its number or name.

    Raises:
        UsageError: there is no such table.
    """
    return find("table", number, table_specs())


def find(
    kind: str, number: int | str, specs: Mapping[int | str, T], why: str = "is not in the paper"
) -> T:
    """Return what has a number or a name; ``why`` says what is wrong with any other number.

    Raises:
        UsageError: nothing has it; the hint names what is near.
    """
    if number in specs:
        return specs[number]
    if isinstance(number, int):
        raise UsageError(f"{kind} {number} {why}", LIST)
    error = unknown(kind, number, [name for name in specs if isinstance(name, str)])
    raise UsageError(error.message, f"{error.hint} (all of them: {LIST})")
