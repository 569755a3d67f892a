"""Attempts under way, as they were between two steps, to go on with elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of n attempts, on the CPU.

    Attributes:
        keys: the attempts' keys, each with its row in the tensors.
        costs: float64 (n, 4): steps, queries, distinct queries, milliseconds so far.
        search: what the search holds of them, see :meth:`Search.state`; each (n, ...).
        memory: what they have asked before, see :meth:`Memory.state`; each (n, longest).
    """

    keys: Mapping[str, int]
    costs: Tensor
    search: Mapping[str, Tensor]
    memory: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.keys)

    def queries(self, key: str) -> int:
        """Return how many candidates an attempt has asked for; 0 where it is none of these."""
        return int(self.costs[self.keys[key], 1]) if key in self.keys else 0

    def fits(self, state: Mapping[str, Tensor]) -> bool:
        """Tell whether a search's state has the same tensors, but for the number of attempts."""
        return {name: (t.dtype, t.shape[1:]) for name, t in self.search.items()} == {
            name: (t.dtype, t.shape[1:]) for name, t in state.items()
        }

    def plain(self) -> dict[str, Any]:
        """Return it as plain values and tensors, which ``torch.load`` reads without trust."""
        return {
            "keys": dict(self.keys),
            "costs": self.costs,
            "search": dict(self.search),
            "memory": dict(self.memory),
        }


EMPTY = Snapshot({}, torch.zeros(0, 4, dtype=torch.float64), {}, {})
