"""What every pixel of one image can do: a proof that goes on after the first flip."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.attacks.engine.least_change import LeastChange, Tried
from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.objectives import Objective
from pixguard.attacks.engine.proof import LEVELS, Bounder, Proof
from pixguard.attacks.engine.sampling import corner_colours, positions_of
from pixguard.classifiers.classifier import Classifier, Decision
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.inference.base import Evaluator
from pixguard.inference.images import with_pixels
from pixguard.models.inputs import to_unit_range

STEP = 98
"""Candidates evaluated at a time."""
LEAST_SHARE = 10
"""The least change is looked for with the budget of bounds divided by that."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of each pixel of an image; verdicts are bool (H * W,).

    Attributes:
        fooled: some colour flips the decision, as judged alone in float32.
        at_extremes: some extreme colour does.
        open: neither a flip was found nor a proof that there is none.
        flips: int64 (n, 1 + C), place and colour of candidates that flip, as evaluated: in
            grayscale all that there are.
        confidences: float64 (n,), the classifier's in what it takes each of these for.
        decisions: bool (n, L), what it takes them for.
        harmless: no change of one pixel by at most that many levels flips: proven.
        bounds: boxes that were bounded.
        evaluations: candidates that were evaluated.
    """

    fooled: NDArray[np.bool_]
    at_extremes: NDArray[np.bool_]
    open: NDArray[np.bool_]
    flips: NDArray[np.int64]
    confidences: NDArray[np.float64]
    decisions: NDArray[np.bool_]
    harmless: int
    bounds: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of an image of which some pixels were drawn.

    Attributes:
        at_extremes: bool (H * W,), some extreme colour flips the decision.
        proven: how many of the pixels drawn among the others no colour flips.
        between: how many of them some colour flips.
        open: of how many neither is known.
        bounds: boxes that were bounded.
        evaluations: candidates that were evaluated.
    """

    at_extremes: NDArray[np.bool_]
    proven: int
    between: int
    open: int
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
        *,
        least: bool = True,
    ) -> Survey:
        """Return what each pixel of an image (H, W, C) can do.

        Args:
            image: as it is stored.
            clean: bool (1, L), its decision.
            focus: int64 (1,), the class that the objective is about.
            but: int64 (n,), places that are left out, as neither fooled nor open.
            least: look for the least change, too, where not every flip is seen anyway.
        """
        channels = image.shape[2]
        trials = _Trials(self, image, clean, focus)
        bound = self._bounds(image, clean[0], int(focus))
        proof = self._proof(trials, bound, but)
        left = torch.zeros_like(trials.fooled)
        left[proof.left] = True
        made = proof.bounds
        if channels > 1 and least:
            search = LeastChange(trials.own, trials.judge, bound, self._most // LEAST_SHARE)
            harmless = search(trials.fooled, left, trials.least())
            made += search.bounds
        if channels == 1:
            harmless = trials.least() - 1
        elif not least:
            harmless = 0 if bool((trials.fooled | left).any()) else LEVELS - 1
        flips, confidences, decisions = trials.flips()
        return Survey(
            trials.fooled.cpu().numpy(),
            trials.at_extremes.cpu().numpy(),
            (left & ~trials.fooled).cpu().numpy(),
            flips.cpu().numpy(),
            confidences.cpu().numpy(),
            decisions.cpu().numpy(),
            harmless,
            made,
            trials.evaluations,
        )

    def sample(
        self, image: NDArray[np.uint8], clean: Tensor, focus: Tensor, count: int, seed: int
    ) -> Sample:
        """Try all extreme colours of an image, and decide some of the pixels that none flips.

        Args:
            image: as it is stored, (H, W, C).
            clean: bool (1, L), its decision.
            focus: int64 (1,), the class that the objective is about.
            count: how many pixels to draw, of all that are left with the same chance.
            seed: of the draw.
        """
        trials = _Trials(self, image, clean, focus)
        trials.judge_corners()
        flipped = trials.fooled.clone()
        rest = (~flipped).nonzero().flatten()
        order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))
        drawn = rest[order[:count].to(rest.device)]
        others = torch.ones_like(flipped)
        others[drawn] = False
        bound = self._bounds(image, clean[0], int(focus))
        proof = self._proof(trials, bound, others.nonzero().flatten())
        left = torch.zeros_like(flipped)
        left[proof.left] = True
        between, open_ = int(trials.fooled[drawn].sum()), int((left & ~trials.fooled)[drawn].sum())
        return Sample(
            flipped.cpu().numpy(),
            len(drawn) - between - open_,
            between,
            open_,
            proof.bounds,
            trials.evaluations,
        )

    def _proof(self, trials: "_Trials", bound: Bounder | None, but: Tensor | None) -> Proof:
        """Decide all pixels but some."""
        places, channels = trials.own.shape
        proof = Proof(places, channels, bound, self._most, trials.own.device)
        if but is not None:
            proof.drop(but)
        while True:
            where, colours = proof.ask(STEP)
            if not len(where):
                return proof
            tried = trials.judge(where, colours)
            proof.tell(where, tried.margins)
            if channels > 1:
                proof.drop(where[tried.hits & trials.fooled[where]])

    def alone(self, image: NDArray[np.uint8], place: int, colour: NDArray[np.int64]) -> Decision:
        """Return what the classifier, given it alone in float32, decides on a changed image."""
        changed = image.copy()
        changed.reshape(-1, image.shape[2])[place] = colour
        device = self._classifier.mean.device
        logits = canonical_logits(self._classifier, to_unit_range(changed[None], device))
        return self._classifier.decide(logits)[0]


class _Trials:
    """What was evaluated of one image, and what of it flips."""

    def __init__(
        self, surveyor: Surveyor, image: NDArray[np.uint8], clean: Tensor, focus: Tensor
    ) -> None:
        self._by = surveyor
        self._clean, self._focus, self._width = clean, focus, image.shape[1]
        self._unit = to_unit_range(image[None], clean.device)
        surveyor._evaluator.load(0, self._unit[0])
        channels = image.shape[2]
        self.own = torch.from_numpy(np.ascontiguousarray(image)).to(clean.device)
        self.own = self.own.view(-1, channels)
        self.fooled = torch.zeros(len(self.own), dtype=torch.bool, device=clean.device)
        self.at_extremes, self.evaluations = self.fooled.clone(), 0
        none = torch.zeros(0, 1 + channels, dtype=torch.int64, device=clean.device)
        self._flips: list[tuple[Tensor, Tensor, Tensor]] = [
            (none, none[:, 0].double(), clean[:0]),
        ]

    def judge(self, places: Tensor, colours: Tensor) -> Tried:
        """Evaluate candidates: places (n,), colours uint8 (n, C)."""
        classifier, objective = self._by._classifier, self._by._objective
        self.evaluations += len(places)
        owners = torch.zeros_like(places)
        positions = positions_of(places, self._width)[:, None]
        logits = self._by._evaluator.logits(owners, positions, colours[:, None])
        given = self._clean.expand(len(places), -1), self._focus.expand(len(places))
        hits = objective.judge(classifier, logits, *given)[1] & (colours != self.own[places]).any(1)
        extreme = ((colours == 0) | (colours == LEVELS - 1)).all(1)
        for hit in hits.nonzero().flatten().tolist():
            known = self.at_extremes if extreme[hit] else self.fooled
            if known[places[hit]]:
                continue
            part = with_pixels(
                self._unit, owners[:1], positions[hit, None], colours[hit, None, None]
            )
            alone = canonical_logits(classifier, part)
            agreed = objective.judge(classifier, alone, self._clean, self._focus)[1][0]
            self.fooled[places[hit]] |= agreed
            self.at_extremes[places[hit]] |= agreed & extreme[hit]
        found = logits[hits]
        decisions = classifier.indicators(found)
        flips = torch.cat([places[hits, None], colours[hits].long()], 1)
        self._flips.append((flips, classifier.confidence(found, decisions), decisions))
        return Tried(hits, objective.margin(classifier, logits, *given))

    def judge_corners(self) -> None:
        """Evaluate all extreme colours of all pixels."""
        channels = self.own.shape[1]
        colours = corner_colours(torch.arange(1 << channels, device=self.own.device), channels)
        for places in torch.split(torch.arange(len(self.own), device=self.own.device), STEP):
            each = places.repeat_interleave(len(colours))
            self.judge(each, colours.repeat(len(places), 1).to(torch.uint8))

    def flips(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what flips: places and colours (n, 1 + C), confidences, decisions (n, L)."""
        flips, confidences, decisions = (torch.cat(p) for p in zip(*self._flips, strict=True))
        return flips, confidences, decisions

    def least(self) -> int:
        """Return the least change, of the channel that changes most, that flips; 256: none does."""
        flips = torch.cat([flips for flips, _, _ in self._flips])
        changes = (flips[:, 1:] - self.own[flips[:, 0]].long()).abs().amax(1)
        return min(changes.tolist(), default=LEVELS)
