"""Exhaustive search by proof: bounds in the place of candidates, wherever they clear a box."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.proof import LEVELS, Proof
from pixguard.attacks.engine.sampling import positions_of
from pixguard.attacks.engine.search import Arena, Candidates, Search


class ProvingSearch(Search):
    """Every value of one pixel: what bounds clear cannot flip, all else is asked for.

    The corners of all pixels are asked for first, then what bounds leave. A failure says as much as
    that of a search which asks for everything; its best candidate is the best that was asked for.
    In colour a budget of bounds may end before all pixels are decided: then there is no verdict.
    """

    candidates_per_step = 98
    most_slots = 1
    resumes = False

    @property
    def counts_distinct(self) -> bool:
        """The candidates: bounds are asked for, too."""
        return True

    def parameters(self) -> Mapping[str, Any]:
        """Return what is covered, how, and within which budget."""
        return {"space": "all-values", "by": "bounds", "most_bounds": self.options.most_bounds}

    def most_queries(self, height: int, width: int) -> int:
        """Return how much is evaluated and bounded, if nothing succeeds, at most."""
        places = height * width
        evaluated = places * LEVELS if self.channels == 1 else places * (1 << self.channels)
        return evaluated + int(self.options.most_bounds)

    def allocate(self, arena: Arena) -> None:
        """Prepare an empty proof for each slot."""
        slots, height, self._width, channels = arena.images.shape
        self._arena, self._places = arena, height * self._width
        self._proofs: list[Proof | None] = [None] * slots
        self._incumbents = Incumbents(slots, 1, channels, arena.images.device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new proofs; nothing is random."""
        self._incumbents.forget(slots)
        for slot in slots.tolist():
            self._proofs[slot] = Proof(
                self._places,
                self.channels,
                self._arena.bounds(slot),
                self.options.most_bounds,
                self._arena.images.device,
            )

    def ask(self) -> Candidates:
        """Return what bounds have left of each slot's image."""
        device, most = self._arena.images.device, self.candidates_per_step
        slots = len(self._proofs)
        places = torch.zeros(slots, most, dtype=torch.int64, device=device)
        colours = torch.zeros(slots, most, 1, self.channels, dtype=torch.uint8, device=device)
        counts = torch.zeros(slots, dtype=torch.int64, device=device)
        for slot, proof in enumerate(self._proofs):
            if proof is not None:
                asked, values = proof.ask(most)
                places[slot, : len(asked)], colours[slot, : len(asked), 0] = asked, values
                counts[slot] = len(asked)
        self._asked, self._counts = places, counts.tolist()
        positions = positions_of(places, self._width)[:, :, None]
        self._last = Candidates(positions, colours, counts)
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best; pixels of low margins come first."""
        self._incumbents.update(self._last, fitness)
        for slot, (proof, count) in enumerate(zip(self._proofs, self._counts, strict=True)):
            if proof is not None and count:
                proof.tell(self._asked[slot, :count], fitness[slot, :count])

    def state(self) -> dict[str, Tensor]:
        """Return the best: an attempt that is cut off begins again."""
        return self._incumbents.state()

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin that was asked for."""
        return self._incumbents.best(slot)

    def is_done(self, slot: int) -> bool | None:
        """Tell whether all is proven, evaluated or given up."""
        proof = self._proofs[slot]
        return proof is None or proof.done

    def bounds_made(self, slot: int) -> int:
        """Return how many boxes were bounded for a slot."""
        proof = self._proofs[slot]
        return 0 if proof is None else proof.bounds

    def undecided(self, slot: int) -> str | None:
        """Return what is left open of a slot's image."""
        proof = self._proofs[slot]
        if proof is None or not len(proof.left):
            return None
        return f"{len(proof.left)} of {self._places} pixels are open: neither proven nor fooled"
