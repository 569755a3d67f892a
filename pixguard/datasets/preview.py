"""A contact sheet: some images of every class, to see with one's own eyes what a dataset holds."""

import numpy as np
from PIL import Image, ImageDraw

from pixguard.datasets.base import ImageDataset, Images

_MIN_TILE = 96
_MAX_TILE = 256
_LABEL_HEIGHT = 14


def contact_sheet(dataset: ImageDataset, per_class: int) -> Images:
    """Return a sheet, uint8 (H, W, 3): a row a class, its name above its first images.

    Small images are enlarged by a whole number of times, so that every pixel stays a square. At
    native size, large ones are reduced and each stands in the middle of its tile, to one scale. In
    a multi-label dataset a row holds images with that one label, as far as there are any.
    """
    classes = dataset.info.classes
    shown = [i for info in classes for i in _examples(dataset, info.code, per_class)]
    side = max((max(dataset.shape(i)) for i in shown), default=_MIN_TILE)
    factor: float = max(1, -(-_MIN_TILE // side))
    if dataset.info.is_native and side > _MAX_TILE:
        factor = _MAX_TILE / side
    tile = round(side * factor)
    height = tile + _LABEL_HEIGHT
    sheet = Image.new("RGB", (per_class * tile, len(classes) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, info in enumerate(classes):
        draw.text((2, row * height + 1), info.name, fill="black")
        for column, image in enumerate(dataset.each(_examples(dataset, info.code, per_class))):
            picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
            filter_ = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BICUBIC
            scaled = picture.resize(
                (max(1, round(picture.width * factor)), max(1, round(picture.height * factor))),
                filter_,
            )
            left, top = (tile - scaled.width) // 2, (tile - scaled.height) // 2
            sheet.paste(scaled, (column * tile + left, row * height + _LABEL_HEIGHT + top))
    return np.asarray(sheet)


def _examples(dataset: ImageDataset, code: str, count: int) -> list[int]:
    if dataset.info.task == "multi-class":
        return [int(i) for i in np.flatnonzero(dataset.labels == int(code))[:count]]
    fewest_first = np.argsort(dataset.labels.sum(axis=1), kind="stable")
    if not code:
        carrying = fewest_first[dataset.labels[fewest_first].sum(axis=1) == 0]
    else:
        carrying = fewest_first[dataset.labels[fewest_first, int(code)] == 1]
    return [int(i) for i in carrying[:count]]
