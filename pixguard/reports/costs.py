"""What it costs that an attack switches a label: a user's table, a file in CSV."""

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pixguard.errors import PixguardError, UsageError, reason
from pixguard.registry import suggestion

COLUMNS = ("label", "direction", "cost")
MISSED, FALSE = "missed", "false"
ANY_LABEL = "*"
MOST = 1_000_000
_EXAMPLE = "a first line label,direction,cost, then lines as Pneumothorax,missed,5 or *,false,1"


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of each flip: (label or ``*`` for any other, ``missed`` or ``false``) -> cost.

    A flip that nothing is said of costs 0; without any, every flip costs 1.
    """

    values: Mapping[tuple[str, str], float] = field(
        default_factory=lambda: {(ANY_LABEL, MISSED): 1.0, (ANY_LABEL, FALSE): 1.0}
    )

    def of(self, label: str, direction: str) -> float:
        """Return what it costs that a label is missed, or falsely given."""
        general = self.values.get((ANY_LABEL, direction), 0.0)
        return self.values.get((label, direction), general)

    def require(self, labels: Iterable[str]) -> None:
        """Raise where a cost is of a label that there is not.

        Raises:
            UsageError: with what is near.
        """
        known = list(labels)
        for label, _ in self.values:
            if label not in (ANY_LABEL, *known):
                raise UsageError(
                    f"the costs name {label!r}, and the dataset has no such label",
                    suggestion(label, known),
                )

    def __str__(self) -> str:
        told = [
            f"{direction} {'any other label' if label == ANY_LABEL else label} {cost:g}"
            for (label, direction), cost in self.values.items()
        ]
        return f"Costs: {', '.join(told)}; any other flip 0."


def read_costs(path: Path) -> Costs:
    """Return the costs in a file.

    Raises:
        PixguardError: it cannot be read.
        UsageError: it is no such table; a cost is below 0, or said twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, header = list(reader), [name.strip() for name in reader.fieldnames or ()]
    except (OSError, ValueError, csv.Error) as error:
        raise PixguardError(f"{path} cannot be read: {reason(error)}", _EXAMPLE) from error
    if sorted(header) != sorted(COLUMNS):
        raise UsageError(f"the first line of {path} is {','.join(header)}", _EXAMPLE)
    values: dict[tuple[str, str], float] = {}
    for line, row in enumerate(rows, 2):
        label, direction, text = ((row.get(name) or "").strip() for name in COLUMNS)
        key = (label, direction)
        cost = float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else math.nan
        is_cost = cost <= MOST and None not in row  # a comma too many: 1,5 for 1.5
        if not label or direction not in (MISSED, FALSE) or not is_cost or key in values:
            raise UsageError(
                f"{path}, line {line}: {','.join(key)},{text} is no label, direction ({MISSED} or "
                f"{FALSE}) and cost of 0 to {MOST:,}, or is said twice",
                _EXAMPLE,
            )
        values[key] = cost
    if not values:
        raise UsageError(f"{path} holds no cost", _EXAMPLE)
    return Costs(values)
