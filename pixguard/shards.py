"""A part of a plan that one of several machines does, without any of them knowing the others."""

import re
from dataclasses import dataclass
from typing import Self

from pixguard.errors import UsageError


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``part`` of ``parts``, counted from 1.

    What belongs to it is told by a key's digits, not by its place: the shards of a plan that grows
    stay apart, and together they are the plan.
    """

    part: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``3/16``.

        Raises:
            UsageError: it is nothing of the kind.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(
                f"{text!r} is no part of a plan: 3/16 is the third of sixteen",
                "`shard=1/2` here and `shard=2/2` there make the whole",
            )
        return cls(int(found[1]), int(found[2]))

    def holds(self, key: str) -> bool:
        """Say whether a key (hex digits of a digest, 16 at least) belongs to this part."""
        return int(key[:16], 16) % self.parts == self.part - 1
