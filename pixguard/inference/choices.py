"""What was measured, remembered: measured once, a choice holds for every run that follows."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from pixguard.errors import PixguardError
from pixguard.files import write_atomically
from pixguard.inference.form import MOST_SETS, PRECISIONS, Execution, Form

MOST_S, MOST_SHARE = 30.0, 0.02
"""What measuring may take: so many seconds, and that share of the planned work."""
MOST_KEPT, MOST_BYTES = 500, 1 << 20
"""Choices in a file, and its size: images of sizes of their own each have one."""
LARGEST_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Measured:
    """A form, its candidates per second, and the seconds that it takes to get ready."""

    form: Form
    rate: float
    setup_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What was measured.

    Attributes:
        best: forms, each clearly faster than the one before; the first is what is taken unmeasured.
        budget_s: what measuring was allowed to take.
        is_complete: whether that was enough to try everything.
    """

    best: Sequence[Measured]
    budget_s: float
    is_complete: bool

    def for_work(self, planned: int) -> Form:
        """Return the form for so many candidates, getting ready included."""
        return min(reversed(self.best), key=lambda m: m.setup_s + planned / m.rate).form

    def is_due(self, left: int) -> bool:
        """Tell whether measuring may take much longer now, and would have more to try."""
        return not self.is_complete and budget_s(left, self.best[0].rate) > 2 * self.budget_s


def budget_s(candidates: int, rate: float) -> float:
    """Return how long measuring may take where so many candidates are left to evaluate."""
    return min(MOST_S, MOST_SHARE * candidates / rate)


class Choices:
    """Choices by key: device, network, size of the images, pixels, versions.

    In a file beside a database, and not in it: they are no results, and those of another machine
    are of no use. What cannot be read, or is no choice, is as if it were not there.
    """

    def __init__(self, path: Path | None = None, known: Mapping[str, Any] | None = None) -> None:
        """``path`` None: they are kept here only. ``known`` are some as :attr:`plain` has them."""
        self._path = path
        self.plain: dict[str, Any] = dict(known or {}) if path is None else _read(path)

    def get(self, key: str) -> Choice | None:
        """Return what was measured; None: nothing."""
        try:
            return _choice(self.plain[key])
        except (KeyError, TypeError, ValueError):
            return None

    def items(self) -> list[tuple[str, Choice]]:
        """Return all that can be read, by key."""
        return [(key, choice) for key in self.plain if (choice := self.get(key)) is not None]

    def put(self, key: str, choice: Choice) -> None:
        """Remember a choice. Where it cannot be written it is measured again, as it would be."""
        if self._path is not None:
            self.plain = _read(self._path)  # another process may have measured meanwhile
        self.plain.pop(key, None)
        self.plain[key] = asdict(choice)
        self.plain = dict(list(self.plain.items())[-MOST_KEPT:])
        if self._path is not None:
            with suppress(PixguardError):
                write_atomically(self._path, json.dumps(self.plain, indent=1).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _choice(found: Any) -> Choice:
    """Return what :class:`Choices` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not write that.
    """
    best = []
    for one in found["best"]:
        form = Form(**one["form"])
        is_form = (
            form.evaluator in ("dense", "delta")
            and form.precision in PRECISIONS
            and form.execution in get_args(Execution)
            and type(form.batch) is int
            and 1 <= form.batch <= LARGEST_BATCH
            and type(form.channels_last) is bool
            and 0 < float(form.whole_from) <= 1
            and type(form.gathers) is bool
            and type(form.sets) is int
            and 1 <= form.sets <= MOST_SETS
        )
        rate, setup_s = float(one["rate"]), float(one["setup_s"])
        if not is_form or not 0 < rate < math.inf or not 0 <= setup_s < math.inf:
            raise ValueError
        best.append(Measured(form, rate, setup_s))
    if not best or not 0 <= float(found["budget_s"]) < math.inf:
        raise ValueError
    return Choice(tuple(best), float(found["budget_s"]), bool(found["is_complete"]))
