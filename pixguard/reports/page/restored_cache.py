"""Restored images kept beside the database: a denoiser is asked once for an attacked image."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixguard.datasets.base import Images
from pixguard.files import write_atomically
from pixguard.records import digest
from pixguard.store.gallery import GalleryAttempt


def attacked_key(attempt: GalleryAttempt) -> str:
    """Return the digest (64 hex digits) of an attacked image: clean image and what was changed."""
    if attempt.whole is not None:
        return digest([attempt.image_sha256, attempt.whole.sha256])
    pixels = [[p.row, p.col, list(p.after)] for p in attempt.pixels]
    return digest([attempt.image_sha256, pixels])


class RestoredCache:
    """What one denoiser, known by the digest of its weights, made of attacked images.

    A file holds a batch; it is named by its content's keys and never changed, so a run that was
    killed leaves whole batches. A file that cannot be read counts as absent.
    """

    def __init__(self, folder: Path, weights_sha256: str) -> None:
        self.folder = folder / weights_sha256[:16]
        self._place: dict[str, tuple[Path, int]] = {}
        self._open: tuple[Path, Images] | None = None
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as batch:
                    keys = batch["keys"].tolist()
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                continue
            self._place.update((key, (path, n)) for n, key in enumerate(keys))

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def add(self, keys: Sequence[str], images: NDArray[np.uint8]) -> None:
        """Keep images, uint8 (n, H, W, C), under their keys."""
        stream = io.BytesIO()
        np.savez_compressed(stream, keys=np.array(keys), images=images)
        path = self.folder / f"{digest(list(keys))[:16]}.npz"
        write_atomically(path, stream.getvalue())
        self._place.update((key, (path, n)) for n, key in enumerate(keys))

    def get(self, key: str) -> Images:
        """Return the image, uint8 (H, W, C), of a key that is there."""
        path, number = self._place[key]
        if self._open is None or self._open[0] != path:
            with np.load(path, allow_pickle=False) as batch:
                self._open = path, batch["images"]
        image: Images = self._open[1][number]
        return image
