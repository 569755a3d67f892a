"""The bounds that a search by proof asks for."""

from collections.abc import Callable

import torch
from torch import Tensor

from pixguard.attacks.engine.objectives import Objective
from pixguard.attacks.engine.proof import Bounder
from pixguard.classifiers.classifier import Classifier
from pixguard.inference.affine import UnboundedError
from pixguard.inference.bounds import Bound, BoundEvaluator
from pixguard.inference.delta import NotTraceableError
from pixguard.models.inputs import to_unit_range

BATCH = 56
"""Boxes bounded at a time: more leave the caches of a CPU."""


class MarginBounds:
    """Gives what bounds the margin of a slot's image; see ``search.Arena``.

    Args:
        classifier: in evaluation mode.
        objective: whose margin it is.
        images: uint8 (S, H, W, C), the clean images.
        clean: bool (S, L), the clean decision of each slot.
        focus: int64 (S,), the class that each slot's objective is about.
        say: told why there are no bounds.
    """

    def __init__(
        self,
        classifier: Classifier,
        objective: Objective,
        images: Tensor,
        clean: Tensor,
        focus: Tensor,
        say: Callable[[str], None],
    ) -> None:
        self._classifier, self._objective = classifier, objective
        self._images, self._clean, self._focus = images, clean, focus
        self._say = say
        self._evaluator: BoundEvaluator | None = None
        self._impossible = False

    def __call__(self, slot: int) -> Bounder | None:
        """Return what bounds a slot's image as it is now; None where that is not possible."""
        if self._evaluator is None and not self._impossible:
            self._open()
        evaluator = self._evaluator
        if evaluator is None:
            return None
        image = self._images[slot]
        evaluator.load(0, to_unit_range(image[None].cpu().numpy(), image.device)[0])
        wanted = self._objective.wanted(self._classifier, self._clean[slot], int(self._focus[slot]))

        def bound(places: Tensor, low: Tensor, high: Tensor) -> Bound:
            width = image.shape[1]
            positions = torch.stack([places // width, places % width], -1)
            owners = torch.zeros_like(places)
            return evaluator.bound(wanted, owners, positions, low.byte(), high.byte())

        return bound

    def _open(self) -> None:
        _, height, width, _ = self._images.shape
        try:
            evaluator = BoundEvaluator(self._classifier, BATCH)
            evaluator.allocate(1, height, width)
        except (NotTraceableError, UnboundedError) as error:
            self._say(f"bounds are not possible for this classifier ({error})")
            self._impossible = True
        else:
            self._evaluator = evaluator
