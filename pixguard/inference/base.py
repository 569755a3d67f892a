"""How candidates are evaluated: one interface, so that faster ways can take its place."""

from typing import Protocol

from torch import Tensor


class Evaluator(Protocol):
    """Answers: what are the logits of these images with these pixels changed?"""

    name: str
    precision: str

    def logits(self, images: Tensor, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates.

        Args:
            images: float32 (S, C, H, W) in [0, 1], the clean images.
            owners: int64 (N,), which image each candidate changes.
            positions: int64 (N, k, 2), (row, col) of the changed pixels. Where two coincide, the
                later one holds.
            colours: uint8 (N, k, C), their new colours.

        Returns:
            float32 (N, L) logits.
        """
