"""Pixels that fool as many images as possible at once, chosen one after the other.

The first is the pixel and value that flips most images; the next is that which, together with those
before it, leaves fewest images right: each image is looked at with the earlier changes in it, over
every value of every other pixel (grayscale, where bounds rule most out) or every extreme colour.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pixguard.attacks.engine.proof import LEVELS
from pixguard.attacks.engine.sampling import corner_colours, positions_of
from pixguard.attacks.engine.survey import Surveyor
from pixguard.classifiers.classifier import Decision
from pixguard.classifiers.evaluation import judge
from pixguard.datasets.base import ImageDataset
from pixguard.inference.base import Evaluator
from pixguard.models.inputs import to_unit_range
from pixguard.records import LabelSet, PixelMap
from pixguard.runner.subject import Subject

Change = tuple[int, int, tuple[int, ...]]
"""Row, column, colour."""
Wrong = NDArray[np.bool_]
"""(P, V): with which value of which pixel an image is decided wrongly, with all before in it."""


class Universal:
    """Chooses pixels for images of one shape.

    Args:
        subject: the classifier and its images.
        surveyor: in grayscale finds every flip of an image.
        evaluator: of candidates, one slot, in float32.
        maps: in grayscale the maps of the images; they tell what the first pixel does.
    """

    def __init__(
        self,
        subject: Subject,
        surveyor: Surveyor,
        evaluator: Evaluator,
        maps: Mapping[int, PixelMap],
    ) -> None:
        self._subject, self._surveyor, self._evaluator = subject, surveyor, evaluator
        self._maps = maps
        info = subject.dataset.info
        self._side, self._channels = info.size, info.channels
        self._device = subject.classifier.mean.device
        corners = torch.arange(1 << self._channels)
        self._values: NDArray[np.int64] = (
            np.arange(LEVELS)[:, None]
            if self._channels == 1
            else corner_colours(corners, self._channels).numpy().astype(np.int64)
        )

    def next(self, indices: Iterable[int], before: Sequence[Change]) -> tuple[Change, int] | None:
        """Return the change that, with those before it, fools most images, and how many it fools.

        Of equal ones the first, by place and value. None where nothing fools any.

        Args:
            indices: of the images, rightly decided without a change.
            before: the changes that are in all images already.
        """
        places = self._side**2
        counts = np.zeros((places, len(self._values)), dtype=np.int64)
        for index in indices:
            counts += self._wrong(index, before)
        for row, col, _ in before:
            counts[row * self._side + col] = 0
        place, value = divmod(int(counts.argmax()), len(self._values))
        if not counts[place, value]:
            return None
        colour = tuple(map(int, self._values[value]))
        return (place // self._side, place % self._side, colour), int(counts[place, value])

    def judged(self, indices: Sequence[int], changes: Sequence[Change]) -> list[bool]:
        """Return whether each image with changes in it, alone in float32, is decided wrongly."""
        dataset, device = self._subject.dataset, self._device
        images = [changed(image, changes) for image in dataset.images(indices)]
        decisions = judge(self._subject.classifier, images, device=device)
        truths = map(dataset.label_set, indices)
        return [d.label_set != truth for d, truth in zip(decisions, truths, strict=True)]

    def _wrong(self, index: int, before: Sequence[Change]) -> Wrong:
        dataset = self._subject.dataset
        if self._channels == 1 and not before:
            return _of_map(self._maps[index], self._side)
        (image,) = dataset.images([index])
        image = changed(image, before)
        (now,) = judge(self._subject.classifier, [image], device=self._device)
        if self._channels == 1:
            return self._by_survey(image, dataset, index, now)
        return self._by_corners(image, dataset.label_set(index))

    def _by_survey(
        self, image: NDArray[np.uint8], dataset: ImageDataset, index: int, now: Decision
    ) -> Wrong:
        """Find all that changes the decision of an image as it is now; the rest does not."""
        truth = dataset.label_set(index)
        clean, focus = self._indicators(now.label_set), max(now.label_set, default=0)
        survey = self._surveyor(image, clean, torch.tensor([focus], device=self._device))
        wrong = np.full((self._side**2, LEVELS), now.label_set != truth)
        right = (survey.decisions == self._indicators(truth).cpu().numpy()).all(1)
        wrong[survey.flips[:, 0], survey.flips[:, 1]] = ~right
        return wrong

    def _by_corners(self, image: NDArray[np.uint8], truth: LabelSet) -> Wrong:
        classifier, device = self._subject.classifier, self._device
        places, count = self._side**2, len(self._values)
        self._evaluator.load(0, to_unit_range(image[None], device)[0])
        where = torch.arange(places, device=device).repeat_interleave(count)
        colours = torch.from_numpy(self._values).to(device, torch.uint8).repeat(places, 1)
        positions = positions_of(where, self._side)[:, None]
        logits = self._evaluator.logits(torch.zeros_like(where), positions, colours[:, None])
        right = (classifier.indicators(logits) == self._indicators(truth)).all(1)
        found: Wrong = ~right.view(places, count).cpu().numpy()
        return found

    def _indicators(self, label_set: LabelSet) -> torch.Tensor:
        found = torch.zeros(1, self._subject.classifier.label_count, dtype=torch.bool)
        found[0, list(label_set)] = True
        return found.to(self._device)


def changed(image: NDArray[np.uint8], changes: Sequence[Change]) -> NDArray[np.uint8]:
    """Return a copy of an image (H, W, C) with changes in it."""
    image = image.copy()
    for row, col, colour in changes:
        image[row, col] = colour
    return image


def _of_map(known: PixelMap, side: int) -> Wrong:
    wrong = np.zeros((side * side, LEVELS), dtype=np.bool_)
    for pixel in known.fooled:
        for first, last in pixel.values:
            wrong[pixel.flip.row * side + pixel.flip.col, first : last + 1] = True
    return wrong
