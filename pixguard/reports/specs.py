"""All tables: the paper's by number, ours by name."""

from collections.abc import Mapping
from functools import cache

from pixguard.errors import UsageError
from pixguard.registry import unknown
from pixguard.reports.published import published_tables
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.registry import FAMILIES
from pixguard.reports.tables.request import TableSpec

LIST = "pixguard report --list"


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
        TableSpec(name, family.title, name, pixels=family.pixels)
        for name, family in families().items()
        if not family.numbers
    ]
    return {spec.number: spec for spec in (*printed, *ours)}


def table_spec(number: int | str) -> TableSpec:
    """Return one table by its number or name.

    Raises:
        UsageError: there is no such table.
    """
    specs = table_specs()
    if number in specs:
        return specs[number]
    if isinstance(number, str):
        ours = [name for name in specs if isinstance(name, str)]
        error = unknown("table", number, ours)
        raise UsageError(error.message, f"{error.hint}; or a number of the paper: {LIST}")
    raise UsageError(f"table {number} is not in the paper", LIST)
