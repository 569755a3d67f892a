"""What an attack is: a search that asks for candidates and is told how they did.

A search holds the state of many attempts at once, one a *slot*, as tensors whose first dimension
is the slot, so that one step serves all of them. It knows neither classifier nor database: the
scheduler evaluates what it asks for (:mod:`pixguard.attacks.engine.scheduler`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from pixguard.records import AttackRecord

Fitness = Literal["probability", "margin"]


@dataclass(frozen=True, slots=True)
class Arena:
    """Where the attempts of a search take place: a row of slots, each with its clean image.

    Attributes:
        images: uint8 (S, H, W, C) on the device; a slot's image is in place before ``start``.
        gradient: for white-box searches. Maps slots int64 (n,) and images float32 (n, C, H, W) in
            [0, 1] to the margin float64 (n,) that the attack wants to bring below zero, and its
            gradient float32 (n, C, H, W).
    """

    images: Tensor
    gradient: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate images, each given by its changed pixels, decoded to what 8 bits can hold.

    Attributes:
        positions: int64 (S, P, k, 2), (row, col) of k pixels for P candidates in S slots.
        colours: uint8 (S, P, k, C).
        counts: int64 (S,), how many of a slot's P are asked for, from the first on; None: all.
    """

    positions: Tensor
    colours: Tensor
    counts: Tensor | None = None


class Search(Protocol):
    """One attack as it runs."""

    record: AttackRecord
    candidates_per_step: int
    """P: how many candidates a slot asks for at a time, at most."""
    fitness: Fitness
    """What it minimises: see :class:`pixguard.attacks.engine.objectives.Objective`."""
    revisits: bool
    """Whether it often asks for candidates that it has asked for before, so that remembering the
    answers pays."""
    complete: bool
    """Whether its failure says that no candidate of a space succeeds, so that none may be
    misjudged on the way."""

    def most_queries(self, height: int, width: int, channels: int) -> int:
        """Return how many candidates an unsuccessful attempt asks for on images of a shape.

        Raises:
            UsageError: the search does not work on such images.
        """

    def allocate(self, arena: Arena) -> None:
        """Prepare the state for the slots of an arena."""

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts.

        Args:
            slots: int64 (n,), which slots.
            keys: int64 (n, 2), the two 32-bit words of each attempt's random stream.
        """

    def ask(self) -> Candidates:
        """Return the next candidates of every slot; those of idle slots are not looked at."""

    def tell(self, fitness: Tensor) -> None:
        """Take the fitness float64 (S, P) of the candidates asked for; smaller is better.

        It is infinite for candidates beyond a slot's count, and in idle slots.
        """

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return positions (k, 2) and colours (k, C) of the best candidate that a slot has had."""
