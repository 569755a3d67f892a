"""Projected gradient descent from a random start (white-box).

Madry, Makelov, Schmidt, Tsipras, Vladu 2018, "Towards Deep Learning Models Resistant to Adversarial
Attacks" (ICLR): steps along the gradient of the cross-entropy, of its sign in the largest norm and
of its direction in the Euclidean one, each brought back into the distance and into [0, 1]. The step
is 2.5 eps over their number, as there, so that any point can be reached from any other. The images
in between are asked for as well: an attempt ends with the first that succeeds.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pixguard.attacks.dense_options import DenseStepsOptions
from pixguard.attacks.engine.dense import DenseSearch

REACH = 2.5
"""How far all steps together go, in distances."""


class PGDSearch(DenseSearch):
    """PGD; a step costs one gradient and one query. The random start itself is not asked for."""

    options: DenseStepsOptions

    def parameters(self) -> Mapping[str, Any]:
        """Return the options and the reach of the steps."""
        return {**super().parameters(), "reach": REACH}

    def most_queries(self, height: int, width: int) -> int:
        """One a step."""
        return self.options.steps

    def _begin(self, slots: Tensor) -> None:
        self._point[slots] = self._random_points(slots)

    def _move(self, slots: Tensor) -> None:
        assert self._arena.losses is not None
        point = self._point[slots]
        _, gradient = self._arena.gradient(slots, point, self._arena.losses.entropy)
        step = REACH * self.radius / self.options.steps
        self._point[slots] = self._inside(slots, point + step * self._downhill(gradient))
