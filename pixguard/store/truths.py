"""What is known about every change of one pixel, as plain tables: the export ``truth``.

The verdicts are those of surveys of all pixels and, of images that none saw, of complete exhaustive
searches by attempts that changed one pixel of the classifier's own input, without a target.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from pixguard.records import PIXEL_MAP, Flip, PixelMap, decode_label_set, encode_label_set
from pixguard.store import tables as t
from pixguard.store.exports import Export, ExportColumn, Kind, exports

PROVEN, AT_EXTREME, BETWEEN, OPEN = "proven", "fooled-at-extreme", "fooled-between", "open"
"""Verdicts on a pixel: no colour of it flips; an extreme one does; only another does; unknown."""
ROBUST, VULNERABLE, UNKNOWN = "robust", "vulnerable", "open"
"""Verdicts on an image."""
SURVEY, SEARCH = "survey", "search"
_IMAGE: tuple[tuple[str, Kind], ...] = (
    ("classifier_id", "integer"), ("dataset", "text"), ("dataset_index", "integer"),
    ("split", "text"), ("image_sha256", "text"), ("height", "integer"), ("width", "integer"),
    ("label_set", "text"), ("predicted", "text"), ("verdict", "text"), ("by", "text"),
    ("proven", "integer"), ("fooled_at_extreme", "integer"), ("fooled_between", "integer"),
    ("open", "integer"), ("least_change", "integer"), ("harmless_change", "integer"),
)  # fmt: skip
_FLIP: tuple[tuple[str, Kind], ...] = (
    ("classifier_id", "integer"), ("dataset", "text"), ("dataset_index", "integer"),
    ("row", "integer"), ("col", "integer"), ("colour", "text"), ("change", "integer"),
    ("predicted", "text"), ("confidence", "number"),
)  # fmt: skip
_PIXEL = (*_FLIP[:5], ("verdict", "text"), *_FLIP[5:], ("values", "text"))
COLUMNS: Mapping[str, tuple[tuple[str, Kind], ...]] = {
    "images": _IMAGE, "pixels": _PIXEL, "flips": _FLIP,
}  # fmt: skip
ABOUT = {
    "images": "A clean image, rightly classified, and what is known of all changes of one pixel: "
    "vulnerable, robust (proven) or open. least_change: in levels of the channel that changes "
    "most, of the flips that are known; harmless_change: up to that many none flips, proven.",
    "pixels": "A pixel of a surveyed image, (row, col) from the top left, and its verdict; of a "
    "fooled one the flip of least change that is known, and in grayscale all values that flip, in "
    "ranges [first, last].",
    "flips": "Flips of an image that no other known one beats in both change and confidence: in "
    "grayscale of all that there are.",
}
_SEARCHED = '%"space":"all-values"%'


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image and what is known of it: a map, or what a search came to."""

    classifier_id: int
    dataset: str
    size: tuple[int, int]
    split: str
    sha256: str
    label_set: str
    predicted: str
    index: int
    map: PixelMap | None = None
    witness: Flip | None = None

    @property
    def key(self) -> tuple[int, str, int]:
        """Classifier, dataset and index."""
        return self.classifier_id, self.dataset, self.index

    @property
    def verdict(self) -> str:
        """What is known of the image."""
        if self.map is None:
            return VULNERABLE if self.witness else ROBUST
        if self.map.fooled:
            return VULNERABLE
        return UNKNOWN if self.map.open else ROBUST

    def row(self) -> tuple[Any, ...]:
        """Return its row of ``images``."""
        height, width = self.size
        head = (*self.key, self.split, self.sha256, height, width, self.label_set, self.predicted)
        if self.map is None:
            proven = height * width if self.witness is None else None
            known = (proven, *(None if self.witness else 0 for _ in range(3)))
            change = None if self.witness is None else self.witness.change
            harmless = None if self.witness else 255
            return (*head, self.verdict, SEARCH, *known, change, harmless)
        extreme = sum(pixel.at_extreme for pixel in self.map.fooled)
        fooled, left = len(self.map.fooled), len(self.map.open)
        counts = (height * width - fooled - left, extreme, fooled - extreme, left)
        last = (self.map.least_change, self.map.harmless)
        return (*head, self.verdict, SURVEY, *counts, *last)

    def pixels(self) -> Iterator[tuple[Any, ...]]:
        """Yield its rows of ``pixels``: all of a survey, the one that a search has found."""
        if self.map is None:
            if self.witness is not None:
                extreme = set(self.witness.colour) <= {0, 255}
                yield self._pixel(self.witness, AT_EXTREME if extreme else None, None)
            return
        fooled = {(p.flip.row, p.flip.col): p for p in self.map.fooled}
        left = set(self.map.open)
        for row in range(self.size[0]):
            for col in range(self.size[1]):
                if (pixel := fooled.get((row, col))) is not None:
                    values = json.dumps(pixel.values) if pixel.values else None
                    verdict = AT_EXTREME if pixel.at_extreme else BETWEEN
                    yield self._pixel(pixel.flip, verdict, values)
                else:
                    verdict = OPEN if (row, col) in left else PROVEN
                    yield (*self.key, row, col, verdict, *(None,) * 5)

    def flips(self) -> Iterator[tuple[Any, ...]]:
        """Yield its rows of ``flips``."""
        for flip in self.map.front if self.map else ():
            yield (*self.key, flip.row, flip.col, *_of_flip(flip))

    def _pixel(self, flip: Flip, verdict: str | None, values: str | None) -> tuple[Any, ...]:
        return (*self.key, flip.row, flip.col, verdict, *_of_flip(flip), values)


def columns(name: str) -> list[ExportColumn]:
    """Return the columns of a table of verdicts."""
    return [ExportColumn(column, kind, True) for column, kind in COLUMNS[name]]


def known_images(connection: Connection) -> list[KnownImage]:
    """Return every image of which one-pixel truth is known or was looked for, in a fixed order.

    Of several surveys the one that left least open counts.
    """
    found: dict[tuple[int, int], KnownImage] = {}
    for row in connection.execute(_searches()):
        key = (row.model_id, row.image_id)
        if key in found and (found[key].witness or not row.success):
            continue
        found[key] = _known(row, row.predicted_before)
        if row.success:
            before, after = json.loads(row.before), json.loads(row.after)
            flip = Flip(
                row.row,
                row.col,
                tuple(after),
                max(abs(a - b) for a, b in zip(after, before, strict=True)),
                decode_label_set(row.predicted_after),
                row.confidence_after,
            )
            found[key] = replace(found[key], witness=flip)
    for row in connection.execute(_surveys()):
        key = (row.model_id, row.image_id)
        content = PixelMap.read(
            json.loads(row.votes),
            image_index=row.dataset_index,
            method=row.method,
            predicted=decode_label_set(row.predicted),
        )
        known = found.get(key)
        if known is None or known.map is None or len(content.open) < len(known.map.open):
            found[key] = replace(_known(row, row.predicted), map=content)
    return [found[key] for key in sorted(found)]


def plain_tables(images: Iterable[KnownImage]) -> Mapping[str, Export]:
    """Return what else the export holds, of these images alone: datasets, classes, classifiers."""
    models = {image.classifier_id for image in images}
    datasets = select(t.Model.dataset_id).where(t.Model.id.in_(models))
    own = {
        "classes": t.DatasetClass.dataset_id.in_(datasets),
        "datasets": t.Dataset.id.in_(datasets),
        "models": t.Model.id.in_(models),
    }
    every = exports()
    return {name: replace(every[name], query=every[name].query.where(c)) for name, c in own.items()}


def _known(row: Row[Any], predicted: str) -> KnownImage:
    return KnownImage(
        row.model_id,
        row.dataset,
        (row.height, row.width),
        row.split,
        row.sha256,
        row.label_set,
        predicted,
        row.dataset_index,
    )


_COMMON = (
    t.Model.id.label("model_id"),
    t.Image.id.label("image_id"),
    t.Dataset.name.label("dataset"),
    *(t.Image.dataset_index, t.Image.split, t.Image.sha256, t.Image.height, t.Image.width),
    t.Image.label_set,
)


def _surveys() -> Select[Any]:
    return (
        _select(*_COMMON, t.Certificate.method, t.Certificate.predicted, t.Certificate.votes)
        .join(t.Image, t.Image.id == t.Certificate.image_id)
        .join(t.Dataset, t.Dataset.id == t.Image.dataset_id)
        .join(t.Model, t.Model.id == t.Certificate.model_id)
        .where(t.Certificate.method.like(f"{PIXEL_MAP}%"))
        .order_by(t.Certificate.id)
    )


def _searches() -> Select[Any]:
    return (
        _select(
            *_COMMON,
            t.Attempt.success,
            t.Attempt.predicted_before,
            t.Attempt.predicted_after,
            t.Attempt.confidence_after,
            *(t.Pixel.row, t.Pixel.col, t.Pixel.before, t.Pixel.after),
        )
        .join(t.Attack, t.Attack.id == t.Attempt.attack_id)
        .join(t.Image, t.Image.id == t.Attempt.image_id)
        .join(t.Dataset, t.Dataset.id == t.Image.dataset_id)
        .join(t.Model, t.Model.id == t.Attempt.model_id)
        .join(t.Pixel, t.Pixel.attempt_id == t.Attempt.id)
        .where(
            t.Attack.name == "exhaustive",
            t.Attack.pixels == 1,
            t.Attack.parameters.like(_SEARCHED),
            t.Attack.parameters.not_like('%"success":"argmax"%'),
            t.Attempt.target.is_(None),
            t.Attempt.through_model_id.is_(None),
            t.Image.dataset_id == t.Model.dataset_id,
        )
        .order_by(t.Attempt.id)
    )


def _select(*chosen: Any) -> Select[Any]:
    return select(*chosen)


def _of_flip(flip: Flip) -> tuple[Any, ...]:
    label_set = encode_label_set(flip.predicted)
    return json.dumps(flip.colour), flip.change, label_set, flip.confidence
