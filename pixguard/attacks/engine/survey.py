"""What every pixel of one image can do: a proof that goes on after the first flip."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.objectives import Objective
from pixguard.attacks.engine.proof import LEVELS, Proof
from pixguard.attacks.engine.sampling import positions_of
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.inference.base import Evaluator
from pixguard.inference.images import with_pixels
from pixguard.models.inputs import to_unit_range

STEP = 98
"""Candidates evaluated at a time."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of each pixel of an image; all bool (H * W,).

    Attributes:
        fooled: some colour flips the decision, as judged alone in float32.
        at_extremes: some extreme colour does.
        open: neither a flip was found nor a proof that there is none.
        flips: int64 (n, 2), the place and value of all that flip, as evaluated; None in colour.
        bounds: boxes that were bounded.
        evaluations: candidates that were evaluated.
    """

    fooled: NDArray[np.bool_]
    at_extremes: NDArray[np.bool_]
    open: NDArray[np.bool_]
    flips: NDArray[np.int64] | None
    bounds: int
    evaluations: int


class Surveyor:
    """Surveys images of one shape.

    Args:
        classifier: in evaluation mode, on the device.
        evaluator: of candidates, in float32.
        objective: what counts as a flip.
        bounds: of the classifier.
        most_bounds: an image, in colour.
    """

    def __init__(
        self,
        classifier: Classifier,
        evaluator: Evaluator,
        objective: Objective,
        bounds: MarginBounds,
        most_bounds: int,
    ) -> None:
        self._classifier, self._evaluator, self._objective = classifier, evaluator, objective
        self._bounds, self._most = bounds, most_bounds

    def __call__(
        self,
        image: NDArray[np.uint8],
        clean: Tensor,
        focus: Tensor,
        but: Tensor | None = None,
    ) -> Survey:
        """Return what each pixel of an image (H, W, C) can do.

        Args:
            image: as it is stored.
            clean: bool (1, L), its decision.
            focus: int64 (1,), the class that the objective is about.
            but: int64 (n,), places that are left out, as neither fooled nor open.
        """
        device, (height, width, channels) = clean.device, image.shape
        places = height * width
        unit = to_unit_range(image[None], device)
        self._evaluator.load(0, unit[0])
        bound = self._bounds(image, clean[0], int(focus))
        proof = Proof(places, channels, bound, self._most, device)
        if but is not None:
            proof.drop(but)
        own = torch.from_numpy(np.ascontiguousarray(image)).to(device).view(places, channels)
        fooled = torch.zeros(places, dtype=torch.bool, device=device)
        at_extremes, flips, asked = fooled.clone(), list[Tensor](), 0
        while True:
            where, colours = proof.ask(STEP)
            if not len(where):
                break
            asked += len(where)
            owners = torch.zeros_like(where)
            positions = positions_of(where, width)[:, None]
            logits = self._evaluator.logits(owners, positions, colours[:, None])
            given = clean.expand(len(where), -1), focus.expand(len(where))
            _, hits = self._objective.judge(self._classifier, logits, *given)
            hits &= (colours != own[where]).any(1)
            proof.tell(where, self._objective.margin(self._classifier, logits, *given))
            extreme = ((colours == 0) | (colours == LEVELS - 1)).all(1)
            for hit in hits.nonzero().flatten().tolist():
                known = at_extremes if extreme[hit] else fooled
                if known[where[hit]]:
                    continue
                part = with_pixels(unit, owners[:1], positions[hit, None], colours[hit, None, None])
                alone = canonical_logits(self._classifier, part)
                _, agreed = self._objective.judge(self._classifier, alone, clean, focus)
                fooled[where[hit]] |= agreed[0]
                at_extremes[where[hit]] |= agreed[0] & extreme[hit]
            if channels == 1:
                flips.append(torch.stack([where[hits], colours[hits, 0].long()], 1))
            else:
                proof.drop(where[hits & fooled[where]])
        left = torch.zeros_like(fooled)
        left[proof.left] = True
        return Survey(
            fooled.cpu().numpy(),
            at_extremes.cpu().numpy(),
            (left & ~fooled).cpu().numpy(),
            torch.cat(flips).cpu().numpy() if flips else None,
            proof.bounds,
            asked,
        )
