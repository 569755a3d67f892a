"""How candidates are evaluated: one interface, so that faster ways can take its place."""

from typing import Protocol

from torch import Tensor


class Evaluator(Protocol):
    """Answers: what are the logits of these images with these pixels changed?

    Clean images are loaded into *slots* first, so that what can be known of an image without its
    candidates is computed once.
    """

    name: str
    precision: str
    """What the logits are computed in, such as ``float32``."""
    batch: int
    """Candidates evaluated at a time; may be lowered between calls."""
    most_slots: int
    """How many clean images there should be at a time, at most."""
    sets: int
    """Into how many sets each axis is sorted: the candidates of each pair of them fill batches of
    their own. May be lowered before room is made."""

    @property
    def variant(self) -> str:
        """In what else this is not the usual form of the evaluator; empty where it is."""

    def allocate(self, slots: int, height: int, width: int, pixels: int) -> None:
        """Make room for the clean images of that many slots, all of one size.

        ``pixels`` is how many of them a candidate changes.
        """

    def load(self, slot: int, image: Tensor) -> None:
        """Take a slot's clean image, float32 (C, H, W) in [0, 1]."""

    def logits(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates.

        Args:
            owners: int64 (N,), the slot whose image each candidate changes.
            positions: int64 (N, k, 2), (row, col) of the changed pixels. Where two coincide, the
                later one holds.
            colours: uint8 (N, k, C), their new colours.

        Returns:
            float32 (N, L) logits. A candidate's do not depend on how many others are evaluated
            with it.
        """
