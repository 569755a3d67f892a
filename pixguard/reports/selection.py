"""Which attempts tables and figures are made of, where not all of them are wanted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pixguard.config.settings import Settings, setting
from pixguard.reports.report_table import Query

_SOURCES = ("attempt", "sampled_attempts", "attempts_that_count")
"""The table and the views that queries take attempts from."""
_READ = re.compile(rf"\b(FROM|JOIN) ({'|'.join(_SOURCES)})\b")
_BEGINNING = re.compile(r"\A((?:--.*\n)*)(WITH )?")


@dataclass(frozen=True, slots=True)
class Selection(Settings):
    """Attempts to select; what is None leaves all."""

    panel: ClassVar[str] = "Attempts"

    attack: list[str] | None = setting(
        None,
        "Only attempts of this attack; repeat, or join by commas. The table attacks compares with "
        "the first.",
        registry="pixguard.attacks.registry:ATTACKS",
        short="-a",
    )
    seed: int | None = setting(None, "Only attempts with this seed.", low=0)
    pixels: int | None = setting(
        None, "Only attacks that change this many pixels.", low=1, unit="pixels", short="-p"
    )

    def __bool__(self) -> bool:
        return bool(self.chosen)

    @property
    def attacks(self) -> tuple[str, ...]:
        """The names of attacks, in the order in which they were asked for; none: all."""
        words = (word.strip() for text in self.attack or () for word in text.split(","))
        return tuple(dict.fromkeys(filter(None, words)))

    @property
    def chosen(self) -> dict[str, Any]:
        """What was chosen, as JSON values."""
        values = {"attack": list(self.attacks), "seed": self.seed, "pixels": self.pixels}
        return {name: value for name, value in values.items() if value not in (None, [])}

    @property
    def text(self) -> str:
        """What was chosen, in words: ``attack corner or random, seed 1, 2 pixels``."""
        pixels = f"{self.pixels} pixel{'' if self.pixels == 1 else 's'}"
        parts = (
            f"attack {' or '.join(self.attacks)}" if self.attacks else "",
            f"seed {self.seed}" if self.seed is not None else "",
            pixels if self.pixels is not None else "",
        )
        return ", ".join(filter(None, parts))

    def fits(self, attack: str, pixels: int, seed: int) -> bool:
        """Whether the attempts of an attack with a seed are selected."""
        return (
            (not self.attacks or attack in self.attacks)
            and self.pixels in (None, pixels)
            and self.seed in (None, seed)
        )

    def applied(self, query: Query) -> Query:
        """Return a query that reads the selected attempts and no others.

        It says so itself, in front: what is printed of it runs in any SQL client as it stands.
        """
        read = {name for _, name in _READ.findall(query.sql)}
        if not self or not read:
            return query
        condition, parameters = self._condition()
        parts = ",\n".join(
            # Read in place: a copy would have no index.
            f"chosen_{name} AS NOT MATERIALIZED (\n    SELECT c.* FROM {name} c\n    WHERE "
            f"{condition}\n)"
            for name in _SOURCES
            if name in read
        )
        sql = _READ.sub(r"\1 chosen_\2", query.sql)
        sql = _BEGINNING.sub(lambda m: f"{m[1]}WITH {parts}{',' if m[2] else ''}\n", sql, count=1)
        return replace(query, sql=sql, parameters={**query.parameters, **parameters})

    def _condition(self) -> tuple[str, dict[str, Any]]:
        names = {f"chosen_attack_{n}": name for n, name in enumerate(self.attacks, 1)}
        own = [
            f"k.name IN ({', '.join(f':{name}' for name in names)})" if names else "",
            "k.pixels = :chosen_pixels" if self.pixels is not None else "",
        ]
        attack = " AND ".join(filter(None, own))
        parts = [
            f"c.attack_id IN (SELECT k.id FROM attack k WHERE {attack})" if attack else "",
            "c.seed = :chosen_seed" if self.seed is not None else "",
        ]
        values = {**names, "chosen_pixels": self.pixels, "chosen_seed": self.seed}
        chosen = {name: value for name, value in values.items() if value is not None}
        return " AND ".join(filter(None, parts)), chosen


def selection(
    attack: str | Sequence[str] | None = None, seed: int | None = None, pixels: int | None = None
) -> Selection:
    """Return the selection that callers from Python mean; ``attack``: a name, or several."""
    names = [attack] if isinstance(attack, str) else list(attack or ())
    return Selection(names or None, seed, pixels)


EVERYTHING = Selection()
"""Every attempt."""
