"""What is kept of a survey: a witness for each fooled pixel, and the front of the least flips."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pixguard.attacks.engine.survey import Survey, Surveyor
from pixguard.records import Flip, FooledPixel, LabelSet, PixelMap

Numbers = NDArray[np.int64]


def pixel_map(
    surveyor: Surveyor,
    survey: Survey,
    image: NDArray[np.uint8],
    *,
    index: int,
    method: str,
    clean: LabelSet,
) -> PixelMap:
    """Return what is kept of a survey; every flip in it is judged alone, in float32.

    Args:
        surveyor: that made it.
        survey: of an image (H, W, C) with the decision ``clean``.
        image: as it is stored.
        index: of the image in the dataset.
        method: of the map.
        clean: what is decided on the image.
    """
    width, channels = image.shape[1:]
    own = image.reshape(-1, channels).astype(np.int64)
    places, colours = survey.flips[:, 0], survey.flips[:, 1:]
    changes = np.abs(colours - own[places]).max(1, initial=0)

    def judged(flip: int) -> Flip | None:
        place, colour = int(places[flip]), colours[flip]
        decision = surveyor.alone(image, place, colour)
        if decision.label_set == clean:
            return None
        return Flip(
            place // width,
            place % width,
            tuple(map(int, colour)),
            int(changes[flip]),
            decision.label_set,
            decision.confidence,
        )

    fooled = []
    for place in np.flatnonzero(survey.fooled).tolist():
        mine = np.flatnonzero(places == place)
        mine = mine[np.argsort(changes[mine], kind="stable")]
        flip = next(filter(None, map(judged, mine.tolist())), None)
        if flip is not None:
            values = tuple(ranges(colours[mine, 0])) if channels == 1 else ()
            fooled.append(FooledPixel(flip, bool(survey.at_extremes[place]), values))
    left = np.flatnonzero(survey.open).tolist()
    return PixelMap(
        index,
        method,
        clean,
        tuple(fooled),
        tuple((place // width, place % width) for place in left),
        tuple(filter(None, map(judged, front(changes, survey.confidences)))),
        survey.harmless,
    )


def front(changes: Numbers, confidences: NDArray[np.float64]) -> list[int]:
    """Return which of flips no other beats: of the same change or less, more confident.

    Args:
        changes: (n,), smaller is better.
        confidences: (n,), larger is better.

    Returns:
        By change, each more confident than all before it.
    """
    found: list[int] = []
    for flip in np.lexsort((-confidences, changes)).tolist():
        if not found or confidences[flip] > confidences[found[-1]]:
            found.append(flip)
    return found


def ranges(values: Numbers) -> Iterator[tuple[int, int]]:
    """Yield values as ranges (first, last) without gaps."""
    ordered = np.unique(values).tolist()
    starts = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(ordered)) if b > a + 1)]
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        if start < end:
            yield ordered[start], ordered[end - 1]
