"""What may be chosen for a table or a figure: attempts, and several classifiers."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Protocol

from pixguard.attacks.registry import ATTACKS
from pixguard.errors import UsageError
from pixguard.registry import unknown
from pixguard.reports.evidence import Evidence
from pixguard.reports.querying import fetch, make_query
from pixguard.reports.selection import Selection


class Named(Protocol):
    """A table or a figure."""

    @property
    def number(self) -> int | str:
        """The paper's number, or a name."""

    @property
    def pixels(self) -> int | None:
        """How many pixels its attacks change, or None for any number."""


def require_attempts(evidence: Evidence) -> None:
    """Raise where nothing in a database is selected.

    Raises:
        UsageError: no attack has such a name, or the database has no such attempt; the hint says
            what there is.
    """
    selection = evidence.selection
    if not selection:
        return
    found = fetch(evidence.engine, make_query("selectable"))
    names = [*ATTACKS.names, *(row["attack"] for row in found)]
    for name in selection.attacks:
        if name not in names:
            raise unknown("attack", name, names)
    missing = [
        name
        for name in selection.attacks or (None,)
        if not any(
            selection.fits(row["attack"], row["pixels"], row["seed"])
            and name in (None, row["attack"])
            for row in found
        )
    ]
    if not missing:
        return
    wanted = Selection([name for name in missing if name] or None, selection.seed, selection.pixels)
    there = []
    for (attack, pixels), rows in groupby(found, lambda row: (row["attack"], row["pixels"])):
        seeds = ", ".join(str(row["seed"]) for row in rows)
        there.append(
            f"{attack}, {pixels} pixel{'' if pixels == 1 else 's'}, "
            f"seed{'s' if ',' in seeds else ''} {seeds}"
        )
    raise UsageError(
        f"the database has no attempt that is selected by {wanted.text}",
        f"there is {'; '.join(there)}" if there else "pixguard attack --dataset ...",
    )


def refusal(
    kind: str,
    spec: Named,
    selection: Selection,
    of_attempts: bool,
    same: Callable[[int], Sequence[int | str]] = lambda pixels: (),
) -> UsageError | None:
    """Return what speaks against a selection in a table or figure, or None.

    Args:
        kind: ``table`` or ``figure``.
        spec: which.
        selection: of attempts.
        of_attempts: whether it is made of attempts that can be selected.
        same: returns those that are about another number of pixels, and alike otherwise.
    """
    name = f"{kind} {spec.number}"
    if not selection:
        return None
    if not of_attempts:
        return UsageError(
            f"{name} is not made of attempts that could be selected by {selection.text}",
            f"leave {', '.join(f'`{one}=...`' for one in selection.chosen)} out, or take the "
            "table attacks, seeds or cost",
        )
    fixed = isinstance(spec.number, int) and spec.pixels is not None
    if fixed and selection.pixels not in (None, spec.pixels):
        others = same(selection.pixels)
        return UsageError(
            f"{name} is about {spec.pixels} pixel{'' if spec.pixels == 1 else 's'}, "
            f"not {selection.pixels}",
            f"{kind} {others[0]} is about {selection.pixels}"
            if others
            else f"`pixels={spec.pixels}`, or leave it out",
        )
    return None
