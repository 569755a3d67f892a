"""Where downloaded and unpacked datasets lie; and images kept in memory once they were read."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from pixguard.datasets.base import Images
from pixguard.errors import DataError, UsageError

MEMORY_BUDGET_BYTES = 2 << 30


def data_folder() -> Path:
    """Return the folder of downloaded data: ``PIXGUARD_DATA``, or the user's cache folder.

    Raises:
        UsageError: something else than a folder has that name.
    """
    named = os.environ.get("PIXGUARD_DATA")
    folder = Path(named).expanduser() if named else user_cache_path("pixguard") / "data"
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is no folder, and downloaded data lie in one",
            "set PIXGUARD_DATA to a folder; it need not exist",
        )
    return folder


def ensure_space(folder: Path, needed_bytes: int) -> None:
    """Make a folder and see that it has room.

    Raises:
        DataError: it cannot be made, or its disk is too full.
    """
    hint = "free some space, or set PIXGUARD_DATA to a folder that has it"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error}", hint) from error
    if free < needed_bytes:
        raise DataError(f"{folder} needs {needed_bytes:,} bytes, and {free:,} are free", hint)


class CachedReader:
    """Reads images by index, each made once: those of the first 2 GiB stay in memory.

    Args:
        count: the number of images.
        shape: (H, W, C) of each.
        make: returns the uint8 image (H, W, C) of an index.
        budget_bytes: the memory that may be filled with images.
    """

    def __init__(
        self,
        count: int,
        shape: tuple[int, int, int],
        make: Callable[[int], Images],
        budget_bytes: int = MEMORY_BUDGET_BYTES,
    ) -> None:
        self.count = count
        self._make = make
        kept = min(count, budget_bytes // int(np.prod(shape)))
        # Untouched pages of an empty array take no memory: it grows as images are read.
        self._images: Images = np.empty((kept, *shape), dtype=np.uint8)
        self._ready = np.zeros(kept, dtype=bool)

    def __call__(self, indices: NDArray[np.int64]) -> Images:
        """Return uint8 images (n, H, W, C) for indices (n,).

        Raises:
            IndexError: an index is not in [0, count).
        """
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < self.count:
            raise IndexError(f"image indices must be in [0, {self.count})")
        images = np.empty((len(indices), *self._images.shape[1:]), dtype=np.uint8)
        for position, index in enumerate(indices.tolist()):
            images[position] = self._image(index)
        return images

    def _image(self, index: int) -> Images:
        if index >= len(self._ready):
            return self._make(index)
        if not self._ready[index]:
            self._images[index] = self._make(index)
            self._ready[index] = True
        kept: Images = self._images[index]
        return kept


class RaggedReader:
    """Reads images of many sizes by index; the first that are read, up to 2 GiB, stay in memory.

    Args:
        count: the number of images.
        make: returns the uint8 image (H, W, C) of an index.
        budget_bytes: the memory that may be filled with images.
    """

    def __init__(
        self,
        count: int,
        make: Callable[[int], Images],
        budget_bytes: int = MEMORY_BUDGET_BYTES,
    ) -> None:
        self.count = count
        self._make = make
        self._left_bytes = budget_bytes
        self._kept: dict[int, Images] = {}

    def __call__(self, indices: NDArray[np.int64]) -> Images:
        """Return uint8 images (n, H, W, C) for indices (n,), at least one.

        Raises:
            IndexError: an index is not in [0, count).
            ValueError: no index, or images of several shapes, which do not fit into one array.
        """
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < self.count:
            raise IndexError(f"image indices must be in [0, {self.count})")
        return np.stack([self._image(index) for index in indices.tolist()])

    def _image(self, index: int) -> Images:
        image = self._kept.get(index)
        if image is None:
            image = self._make(index)
            if image.nbytes <= self._left_bytes:
                self._left_bytes -= image.nbytes
                self._kept[index] = image
        return image
