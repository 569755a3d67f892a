"""A contact sheet: some images of every class, to see with one's own eyes what a dataset holds."""

import io

import numpy as np
from PIL import Image, ImageDraw

from pixguard.datasets.base import ImageDataset, Images

_MIN_TILE = 96
_LABEL_HEIGHT = 14


def contact_sheet(dataset: ImageDataset, per_class: int) -> Images:
    """Return a sheet, uint8 (H, W, 3): a row a class, its name above its first images.

    Small images are enlarged by a whole number of times, so that every pixel stays a square. In a
    multi-label dataset a row holds images with that one label, as far as there are any.
    """
    size, classes = dataset.info.size, dataset.info.classes
    factor = max(1, -(-_MIN_TILE // size))
    tile = size * factor
    height = tile + _LABEL_HEIGHT
    sheet = Image.new("RGB", (per_class * tile, len(classes) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, info in enumerate(classes):
        draw.text((2, row * height + 1), info.name, fill="black")
        for column, image in enumerate(dataset.images(_examples(dataset, info.code, per_class))):
            picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
            enlarged = picture.resize((tile, tile), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (column * tile, row * height + _LABEL_HEIGHT))
    return np.asarray(sheet)


def encode_png(image: Images) -> bytes:
    """Return a uint8 image (H, W, 3) as the content of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _examples(dataset: ImageDataset, code: str, count: int) -> list[int]:
    if dataset.info.task == "multi-class":
        return [int(i) for i in np.flatnonzero(dataset.labels == int(code))[:count]]
    fewest_first = np.argsort(dataset.labels.sum(axis=1), kind="stable")
    if not code:
        carrying = fewest_first[dataset.labels[fewest_first].sum(axis=1) == 0]
    else:
        carrying = fewest_first[dataset.labels[fewest_first, int(code)] == 1]
    return [int(i) for i in carrying[:count]]
