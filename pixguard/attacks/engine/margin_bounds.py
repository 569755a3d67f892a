"""The bounds that a search by proof asks for."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.engine.objectives import Objective
from pixguard.attacks.engine.proof import Bounder
from pixguard.classifiers.classifier import Classifier
from pixguard.inference.affine import UnboundedError
from pixguard.inference.bounds import BoundEvaluator
from pixguard.inference.decision import Bound
from pixguard.inference.delta import NotTraceableError
from pixguard.models.inputs import to_unit_range

BATCH = 56
"""Boxes bounded at a time: more leave the caches of a CPU."""


class MarginBounds:
    """Gives what bounds the margin of images of one shape.

    Args:
        classifier: in evaluation mode.
        objective: whose margin it is.
        say: told why there are no bounds.
    """

    def __init__(
        self, classifier: Classifier, objective: Objective, say: Callable[[str], None]
    ) -> None:
        self._classifier, self._objective, self._say = classifier, objective, say
        self._evaluator: BoundEvaluator | None = None
        self._impossible = False

    def __call__(self, image: NDArray[np.uint8], clean: Tensor, focus: int) -> Bounder | None:
        """Return what bounds an image, until the next one; None where that is not possible.

        Args:
            image: (H, W, C).
            clean: bool (L,), its decision.
            focus: the class that the objective is about.
        """
        height, width, _ = image.shape
        if self._evaluator is None and not self._impossible:
            self._open(height, width)
        evaluator = self._evaluator
        if evaluator is None:
            return None
        evaluator.load(0, to_unit_range(image[None], clean.device)[0])
        wanted = self._objective.wanted(self._classifier, clean, focus)

        def bound(
            places: Tensor, low: Tensor, high: Tensor, settled: Tensor | None = None
        ) -> Bound:
            positions = torch.stack([places // width, places % width], -1)
            owners = torch.zeros_like(places)
            return evaluator.bound(wanted, owners, positions, low.byte(), high.byte(), settled)

        return bound

    def _open(self, height: int, width: int) -> None:
        try:
            evaluator = BoundEvaluator(self._classifier, BATCH)
            evaluator.allocate(1, height, width)
        except (NotTraceableError, UnboundedError) as error:
            self._say(f"bounds are not possible for this classifier ({error})")
            self._impossible = True
        else:
            self._evaluator = evaluator
