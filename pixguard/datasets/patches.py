"""Patches of one size from images of many: what denoisers are trained on at native sizes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixguard.datasets.base import ImageDataset, Images

PATCH_SIDE = 64
"""Inferred: noise and its surroundings fit in, and a batch of 16 costs what the paper's may."""


def patches(
    dataset: ImageDataset, indices: Sequence[int] | NDArray[np.int64], side: int = PATCH_SIDE
) -> Images:
    """Return a patch of each image, uint8 (n, side, side, C): all that is kept in memory.

    Where it is cut depends on the image's index alone. Of an image that is smaller, the last row
    and column are repeated.
    """
    found = np.empty((len(indices), side, side, dataset.info.channels), dtype=np.uint8)
    for position, image in enumerate(dataset.each(indices)):
        drawn = np.random.PCG64(int(indices[position])).random_raw(2)
        top, left = (
            int(value % max(1, extent - side + 1))
            for value, extent in zip(drawn, image.shape[:2], strict=True)
        )
        cut = image[top : top + side, left : left + side]
        missing = [(0, side - extent) for extent in cut.shape[:2]]
        found[position] = np.pad(cut, [*missing, (0, 0)], mode="edge")
    return found
