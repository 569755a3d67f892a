"""Many small images in few files: sprite sheets, and one strip for each set of large images."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from pixguard.datasets.base import Images
from pixguard.records import PixelRecord

CELL_SIDE = 96
"""Longest side of a thumbnail; a smaller image is stored pixel by pixel."""
LARGE_SIDE = 512
"""Longest side in a strip."""
SHEET_PIXELS = 1 << 19
"""About 700 x 700: a browser holds a page of cards from as many sheets in some 100 MB."""
STRIP_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file of cells of one size, ``columns`` in a row, in reading order."""

    file: str
    cell_width: int
    cell_height: int
    columns: int


@dataclass
class SheetWriter:
    """Puts images into sheets as they come, and writes each sheet that is full.

    Attributes:
        folder: where the sheets are written.
        name: beginning of their files' names.
        sheets: every sheet so far; shared with other writers, so that numbers are unique.
        cell: (height, width) of the largest image, in pixels; larger than a thumbnail is scaled.
    """

    folder: Path
    name: str
    sheets: list[Sheet]
    cell: tuple[int, int]
    _waiting: list[Image.Image] = field(default_factory=list)
    _written: int = 0

    def add(self, image: Images) -> tuple[int, int]:
        """Add an image, uint8 (H, W, C); return the number of its sheet and its place there."""
        height, width = fit(self.cell, CELL_SIDE)
        if not self._waiting:
            columns = max(1, int(SHEET_PIXELS**0.5) // width)
            file = f"{self.name}-{self._written}.png"
            self.sheets.append(Sheet(f"{self.folder.name}/{file}", width, height, columns))
        sheet = self.sheets[-1]
        self._waiting.append(scaled(image, CELL_SIDE))
        place = len(self.sheets) - 1, len(self._waiting) - 1
        rows = max(1, SHEET_PIXELS // (sheet.columns * width * height))
        if len(self._waiting) == sheet.columns * rows:
            self.finish()
        return place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.finish()

    def finish(self) -> None:
        """Write the sheet that is not full."""
        if not self._waiting:
            return
        sheet = self.sheets[-1]
        width, height = sheet.cell_width, sheet.cell_height
        columns = min(sheet.columns, len(self._waiting))
        rows = -(-len(self._waiting) // sheet.columns)
        canvas = Image.new(self._waiting[0].mode, (columns * width, rows * height))
        for place, picture in enumerate(self._waiting):
            row, column = divmod(place, sheet.columns)
            canvas.paste(picture, (column * width, row * height))
        canvas.save(self.folder / Path(sheet.file).name)
        self._waiting.clear()
        self._written += 1


def fit(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Return (height, width) scaled down so that neither is longer than ``side``.

    Halves are rounded up, as the page's script does it.
    """
    scale = min(1.0, side / max(shape))
    return max(1, int(shape[0] * scale + 0.5)), max(1, int(shape[1] * scale + 0.5))


def scaled(image: Images, side: int) -> Image.Image:
    """Return an image, uint8 (H, W, C), as a picture no longer than ``side`` on either side."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image))
    height, width = fit(image.shape[:2], side)
    if (height, width) == image.shape[:2]:
        return picture
    return picture.resize((width, height), Image.Resampling.BOX)


def with_pixels(image: Images, pixels: Sequence[PixelRecord]) -> Images:
    """Return an image, uint8 (H, W, C), with the colours of changed pixels after an attack."""
    changed = image.copy()
    for pixel in pixels:
        changed[pixel.row, pixel.col] = pixel.after
    return changed


def save_exact(image: Images, path: Path) -> None:
    """Write an image, uint8 (H, W, C), as a PNG file, every pixel as it is."""
    scaled(image, max(image.shape[:2])).save(path)


def strip(images: Sequence[Images]) -> bytes:
    """Return images of one shape side by side as a WebP file."""
    pictures = [scaled(image, LARGE_SIDE) for image in images]
    width, height = pictures[0].size
    canvas = Image.new(pictures[0].mode, (width * len(pictures), height))
    for position, picture in enumerate(pictures):
        canvas.paste(picture, (position * width, 0))
    stream = io.BytesIO()
    canvas.save(stream, "WEBP", quality=STRIP_QUALITY)
    return stream.getvalue()
