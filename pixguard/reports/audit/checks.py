"""What an audit is made of: published tables to read, comparisons, and the room of rounding."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pixguard.reports.published import row_key

Verdict = Literal["agrees", "contradiction", "implausible", "remark"]
"""A contradiction cannot be; what is implausible could be, against all experience; a remark is true
and tells how to read the figures."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes:
        tables: numbers of the tables that it is about.
        where: which cells.
        printed: what stands there.
        computed: what arithmetic gives.
        gap: by how much they differ.
        verdict: whether they agree.
    """

    tables: tuple[int, ...]
    where: str
    printed: str
    computed: str
    gap: str = ""
    verdict: Verdict = "agrees"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of comparison: its name, what it holds to be true, and what makes all of them."""

    name: str
    statement: str
    checks: Callable[["Paper"], Iterator[Check]]


class Paper:
    """Published tables by number, in the form of ``paper_tables.json``."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.tables = {int(table["number"]): table for table in document["tables"]}
        self.test_share: Mapping[str, float] = document.get("test share", {})

    def has(self, *numbers: int) -> bool:
        """Whether all these tables are there."""
        return all(number in self.tables for number in numbers)

    def rows(self, number: int) -> dict[str, dict[str, Any]]:
        """Return the rows of a table by the key of their first cell; none where it is missing.

        A row maps the columns to the values, and ``label`` to the first of them.
        """
        if number not in self.tables:
            return {}
        table = self.tables[number]
        return {
            row_key(str(row[0])): {**dict(zip(table["columns"], row, strict=True)), "label": row[0]}
            for row in table["rows"]
        }

    def with_columns(self, *columns: str) -> list[Mapping[str, Any]]:
        """Return the tables that have all these columns, by number."""
        found = (self.tables[number] for number in sorted(self.tables))
        return [table for table in found if set(columns) <= set(table["columns"])]

    def find(self, *columns: str, **properties: Any) -> int | None:
        """Return the number of the one table with these columns and properties, or None."""
        fitting = [
            int(table["number"])
            for table in self.with_columns(*columns)
            if all(table.get(name) == value for name, value in properties.items())
        ]
        return fitting[0] if len(fitting) == 1 else None


def unit(value: float) -> float:
    """Return one unit of the last digit that is printed; zeros at the end may be missing."""
    words = repr(value)
    if "e" in words:
        words = f"{value:.12f}".rstrip("0")
    _, _, decimals = words.partition(".")
    return float(10.0 ** -len(decimals)) if decimals else 1.0


def room(value: float) -> tuple[float, float]:
    """Return between which numbers a printed one stands, whether it was rounded or cut off."""
    step = unit(value)
    return value - step / 2, value + step


def holds(printed: float, computed: float) -> bool:
    """Whether a number can be printed so."""
    low, high = room(printed)
    slack = 1e-9 * max(1.0, abs(computed))
    return low - slack <= computed <= high + slack


def compare(
    tables: Sequence[int],
    where: str,
    printed: float,
    computed: float,
    how: str,
    unit_name: str = "",
) -> Check:
    """Return the comparison of a printed number with a computed one; ``how`` tells the sum.

    Counts are whole on both sides, and must be equal.
    """
    counted = isinstance(printed, int) and isinstance(computed, int)
    agrees = printed == computed if counted else holds(printed, computed)
    return Check(
        tuple(tables),
        where,
        f"{printed:.10g}{unit_name}",
        f"{how} = {computed:.9g}{unit_name}",
        "" if agrees else f"{printed - computed:+.4g}{unit_name}",
        "agrees" if agrees else "contradiction",
    )


def spread(low: float, high: float) -> str:
    """Return a range as words."""
    return f"{low:.6g} to {high:.6g}"
