"""What an attack is: a search that asks for candidates and is told how they did.

A search holds the state of many attempts at once, one a *slot*, as tensors whose first dimension
is the slot, so that one step serves all of them. It knows neither classifier nor database: the
scheduler evaluates what it asks for (:mod:`pixguard.attacks.engine.scheduler`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from pixguard.attacks.dense_options import check_dense
from pixguard.attacks.engine.guard import Guard
from pixguard.attacks.engine.losses import Losses
from pixguard.attacks.engine.pair_bounds import PairBounder
from pixguard.attacks.engine.proof import Bounder
from pixguard.attacks.engine.sampling import check_room
from pixguard.attacks.registry import ATTACKS, AttackEntry
from pixguard.classifiers.classifier import Classifier
from pixguard.config.settings import Settings
from pixguard.errors import UsageError
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
        bounds: for searches by proof. Maps a slot to what bounds that margin for boxes of colours
            (:data:`pixguard.attacks.engine.proof.Bounder`); None where nothing can.
        pairs: likewise, to what rules out pairs of pixels.
        transfer: as ``gradient``, of the search's surrogate; None where it has none.
        losses: what else than the margin can be brought down: ``gradient`` takes one of them as its
            third argument.
        attention: maps slots and images, as ``gradient`` does, to what each pixel counts for the
            margin, float32 (n, H, W).
    """

    images: Tensor
    gradient: Callable[..., tuple[Tensor, Tensor]]
    bounds: Callable[[int], Bounder | None] = lambda slot: None
    pairs: Callable[[int], PairBounder | None] = lambda slot: None
    transfer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    losses: Losses | None = None
    attention: Callable[[Tensor, Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate images, each given by its changed pixels, decoded to what 8 bits can hold.

    Those of a dense attack are whole images: k is 0, and there are colours of all pixels, row by
    row.

    Attributes:
        positions: int64 (S, P, k, 2), (row, col) of k pixels for P candidates in S slots.
        colours: uint8 (S, P, k, C); dense: (S, P, H W, C).
        counts: int64 (S,), how many of a slot's P are asked for, from the first on; None: all.
    """

    positions: Tensor
    colours: Tensor
    counts: Tensor | None = None


def all_pixels_changed(images: Tensor, candidates: Candidates) -> Tensor:
    """Tell which candidates change exactly k pixels: all positions apart, no colour as it was.

    Args:
        images: uint8 (S, H, W, C), the clean images.
        candidates: of S slots.

    Returns:
        bool (S, P).
    """
    rows, cols = candidates.positions.unbind(-1)
    slot = torch.arange(len(images), device=images.device)[:, None, None]
    changed = (images[slot, rows, cols] != candidates.colours).any(-1).all(-1)
    places = (rows * images.shape[2] + cols).sort(dim=-1).values
    return changed & (places.diff(dim=-1) != 0).all(-1)


class Search(ABC):
    """One attack as it runs.

    Args:
        entry: what the registry says of the attack.
        options: an instance of the entry's options.
        pixels: k, how many pixels a candidate changes; 0: a dense attack.
        channels: of the images, 1 or 3.

    Attributes:
        record: what the database holds of it.
        candidates_per_step: P, how many candidates a slot asks for at a time, at most.
        fitness: what it minimises, see :class:`pixguard.attacks.engine.objectives.Objective`.
        most_slots: how many attempts to run at a time at most, where more would hardly be faster
            and all end late; None: as many as fill the batches.
        resumes: whether an attempt that was cut off can go on from its :meth:`state`.
        surrogate: whose gradients may stand in for the attacked classifier's; set by who makes the
            search, before it runs.
        guard: the detector whose alarm it must not raise; likewise.

    Raises:
        UsageError: it cannot change that many pixels, or these options do not fit the images.
    """

    fitness: ClassVar[Fitness] = "margin"
    most_slots: ClassVar[int | None] = None
    resumes: ClassVar[bool] = True
    candidates_per_step: int
    surrogate: Classifier | None = None
    guard: Guard | None = None

    def __init__(self, entry: AttackEntry, options: Any, pixels: int, channels: int) -> None:
        if entry.most_pixels is not None and pixels > entry.most_pixels:
            raise UsageError(
                f"{entry.name} search changes {entry.most_pixels} pixels at most, not {pixels}",
                "the attack corner takes any number",
            )
        self.entry = entry
        self.options = options
        self.pixels = pixels
        self.channels = channels
        self.record = AttackRecord(entry.name, entry.version, pixels, self.parameters())

    @property
    def counts_distinct(self) -> bool:
        """Whether candidates are counted apart from what was asked for."""
        return self.entry.revisits

    @classmethod
    def variant(cls, options: Any, pixels: int) -> "type[Search]":
        """Return the class that carries these options out, for a number of pixels."""
        return cls

    @property
    def uses_gradients(self) -> bool:
        """Whether it follows the classifier's gradients, with its options."""
        return self.entry.needs_gradients

    def parameters(self) -> Mapping[str, Any]:
        """Return what identifies the attack beside its name and pixels: options and constants."""
        return asdict(self.options)

    def most_queries(self, height: int, width: int) -> int:
        """Return how many candidates an unsuccessful attempt asks for on images of a shape.

        By default the budget of the options.

        Raises:
            UsageError: the search does not work on such images.
        """
        check_room(self.pixels, height, width)
        return int(self.options.queries)

    @abstractmethod
    def allocate(self, arena: Arena) -> None:
        """Prepare the state for the slots of an arena."""

    @abstractmethod
    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts.

        Args:
            slots: int64 (n,), which slots.
            keys: int64 (n, 2), the two 32-bit words of each attempt's random stream.
        """

    @abstractmethod
    def ask(self) -> Candidates:
        """Return the next candidates of every slot; those of idle slots are not looked at."""

    @abstractmethod
    def tell(self, fitness: Tensor) -> None:
        """Take the fitness float64 (S, P) of the candidates asked for; smaller is better.

        It is infinite for candidates beyond a slot's count, and in idle slots.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Return what tells attempts apart between two steps, each (S, ...) by a name of its own.

        With a slot's rows of these tensors written into those of another search of the same attack,
        options and image, an attempt goes on there as if nothing had been: nothing else may matter.
        """

    def is_done(self, slot: int) -> bool | None:
        """Tell whether nothing is left to ask for; None: that is the number of steps' to say."""
        return None

    def bounds_made(self, slot: int) -> int | None:
        """Return how many boxes of colours were bounded for a slot; None: it does not do that."""
        return None

    def undecided(self, slot: int) -> str | None:
        """Return why a search that is done has no verdict; None: it has one."""
        return None

    @abstractmethod
    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return positions (k, 2) and colours (k, C) of the best candidate that a slot has had."""

    def allows(self, images: Tensor, candidates: Candidates) -> Tensor:
        """Tell which candidates the attack may make: those that change exactly k pixels.

        Args:
            images: uint8 (S, H, W, C), the clean images.
            candidates: of S slots.

        Returns:
            bool (S, P).
        """
        return all_pixels_changed(images, candidates)


def make_search(
    attack: str, options: Settings | None = None, *, pixels: int = 1, channels: int = 1
) -> Search:
    """Return an attack's search.

    Args:
        attack: its name in the registry.
        options: None for its defaults.
        pixels: how many pixels a candidate changes; a dense attack takes no other than 1.
        channels: of the images, 1 or 3.

    Raises:
        UsageError: there is no such attack; it cannot change that many pixels, or its options do
            not fit the images.
    """
    entry = ATTACKS[attack]
    if entry.dense:
        check_dense(entry.name, pixels != 1)
        pixels = 0
    settled: Any = entry.settled(options)
    chosen: type[Search] = entry.load().variant(settled, pixels)
    return chosen(entry, settled, pixels, channels)
