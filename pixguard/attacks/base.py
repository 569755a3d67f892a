"""What an attack is: a search that asks for candidates and is told how they did.

A search holds the state of many attempts at once, one a *slot*, as tensors whose first dimension
is the slot, so that one evolution step serves all of them. It knows neither classifier nor
database: the scheduler evaluates what it asks for (:mod:`pixguard.attacks.scheduler`).
"""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from pixguard.records import AttackRecord


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate images, each given by its changed pixels, decoded to what 8 bits can hold.

    Attributes:
        positions: int64 (S, P, k, 2), (row, col) of k pixels for P candidates in S slots.
        colours: uint8 (S, P, k, C).
    """

    positions: Tensor
    colours: Tensor


class Search(Protocol):
    """One attack as it runs."""

    record: AttackRecord
    candidates_per_step: int
    """P: how many candidates a slot asks for at a time."""
    max_steps: int
    """How many times a slot asks before it gives up."""

    def allocate(self, slots: int, height: int, width: int, channels: int, device: Any) -> None:
        """Prepare the state for that many attempts on images of one size."""

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts.

        Args:
            slots: int64 (n,), which slots.
            keys: int64 (n, 2), the two 32-bit words of each attempt's random stream.
        """

    def ask(self) -> Candidates:
        """Return the next candidates of every slot."""

    def tell(self, fitness: Tensor) -> None:
        """Take the fitness float64 (S, P) of the candidates asked for; smaller is better."""

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return positions (k, 2) and colours (k, C) of the best candidate that a slot holds."""
