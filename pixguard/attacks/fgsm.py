"""The fast gradient sign method: one step of the full distance along the gradient (white-box).

Goodfellow, Shlens, Szegedy 2015, "Explaining and Harnessing Adversarial Examples" (ICLR), equation
2: x + eps sign(grad J), J the cross-entropy. In the Euclidean norm the step is eps times the
gradient over its length (the fast gradient method of Miyato, Dai, Goodfellow 2017).
"""

from torch import Tensor

from pixguard.attacks.engine.dense import DenseSearch


class FGSMSearch(DenseSearch):
    """One gradient, one image."""

    def most_queries(self, height: int, width: int) -> int:
        """One."""
        return 1

    def _begin(self, slots: Tensor) -> None:
        """The clean image is where it begins."""

    def _move(self, slots: Tensor) -> None:
        assert self._arena.losses is not None
        clean = self._clean(slots)
        _, gradient = self._arena.gradient(slots, clean, self._arena.losses.entropy)
        self._point[slots] = self._inside(slots, clean + self.radius * self._downhill(gradient))
