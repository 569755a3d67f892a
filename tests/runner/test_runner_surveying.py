"""What is kept of a survey, and pixels that fool many images, against brute force."""

import itertools

import numpy as np
import pytest

from pixguard.records import Flip, FooledPixel, PixelMap, PixelSample, UniversalPixels
from pixguard.runner.mapping import front, ranges


def test_the_front_holds_what_nothing_beats() -> None:
    stream = np.random.default_rng(0)
    for _ in range(50):
        changes = stream.integers(1, 20, 40)
        confidences = stream.integers(0, 12, 40) / 12
        kept = front(changes, confidences)
        pairs = list(zip(changes.tolist(), confidences.tolist(), strict=True))
        beaten = {
            one
            for one, other in itertools.product(pairs, repeat=2)
            if other != one and other[0] <= one[0] and other[1] >= one[1]
        }
        assert [pairs[k] for k in kept] == sorted(set(pairs) - beaten)
    assert front(np.empty(0, np.int64), np.empty(0)) == []


def test_ranges_hold_the_values_and_no_others() -> None:
    values = np.array([5, 4, 9, 255, 4])
    assert list(ranges(values)) == [(4, 5), (9, 9), (255, 255)]
    assert list(ranges(np.empty(0, np.int64))) == []


@pytest.mark.parametrize("colour", [(7,), (7, 0, 255)])
def test_what_is_stored_comes_back(colour: tuple[int, ...]) -> None:
    flip = Flip(1, 2, colour, 9, (1,), 0.75)
    values = ((3, 7),) if len(colour) == 1 else ()
    one = PixelMap(
        4, "pixel-map 9", (0,), (FooledPixel(flip, True, values),), ((0, 3),), (flip,), 8
    )
    known = {"image_index": 4, "predicted": (0,)}
    assert PixelMap.read(one.content(), method="pixel-map 9", **known) == one  # type: ignore[arg-type]
    both = UniversalPixels(4, "pixel-universal 1 of 9", (0,), ((1, 2, colour),), (True,))
    assert UniversalPixels.read(both.content(), method=both.method, **known) == both  # type: ignore[arg-type]
    drawn = PixelSample(4, "pixel-sample 9 of 8", (0,), ((1, 2), (0, 0)), 5, 1, 2)
    assert PixelSample.read(drawn.content(), method=drawn.method, **known) == drawn  # type: ignore[arg-type]
    assert drawn.share(drawn.proven, 8) == pytest.approx(0.75 * 5 / 8)
