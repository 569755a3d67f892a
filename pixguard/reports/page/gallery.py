"""The gallery's data: attempts by column, with every word once, as JSON inside the page."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pixguard.defences.denoisers.registry import changes_nothing
from pixguard.records import NO_FINDING_ORDINAL, DatasetInfo, decode_label_set
from pixguard.store.gallery import GalleryAttempt, GalleryRestoration
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pixguard.reports.page.images import GalleryImages

NO_CELL = [-1, -1]


@dataclass(frozen=True, slots=True)
class Gallery:
    """What the gallery shows: ``attempts`` of ``total``, and where their images are."""

    attempts: Sequence[GalleryAttempt]
    total: int
    images: "GalleryImages"


class Words:
    """Words in the order in which they were first met, and the number of each."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, word: Any) -> int:
        """Return the number of a word."""
        return self.numbers.setdefault(word, len(self.numbers))


def gallery_json(engine: "Engine", gallery: Gallery) -> str:
    """Return the data of the gallery as JSON that may stand inside a ``script`` element."""
    value = _GalleryData(engine, gallery).value()
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # No word may end the element or begin a comment in it; in JSON these are the same characters.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class _GalleryData:
    def __init__(self, engine: "Engine", gallery: Gallery) -> None:
        from pixguard.store import reader

        self.gallery = gallery
        self.datasets = {d.id: d.info for d in reader.datasets(engine)}
        models = reader.models(engine)
        self.models = {m.id: m.record.architecture for m in models}
        shown = {m.id: (m.dataset_id, m.record.architecture) for m in models}
        used = {r.denoiser_id for a in gallery.attempts for r in a.restorations}
        self.namesakes = Counter(shown[i] for i in used)
        self.shown = shown
        self.shown_datasets = list(dict.fromkeys(a.dataset_id for a in gallery.attempts))
        self.classes, self.labels = Words(), Words()
        self.attacks, self.classifiers, self.denoisers = Words(), Words(), Words()

    def value(self) -> dict[str, Any]:
        columns = [self.attempt(attempt) for attempt in self.gallery.attempts]
        names = list(columns[0]) if columns else []
        return {
            "absent": list(self.gallery.images.absent),
            "datasets": [self.dataset(i) for i in self.shown_datasets],
            "classes": [list(c) for c in self.classes.numbers],
            "labels": [[text, list(classes)] for text, classes in self.labels.numbers],
            "attacks": list(self.attacks.numbers),
            "classifiers": list(self.classifiers.numbers),
            "denoisers": list(self.denoisers.numbers),
            "sheets": [
                [s.file, s.cell_width, s.cell_height, s.columns] for s in self.gallery.images.sheets
            ],
            "attempts": {name: [row[name] for row in columns] for name in names},
        }

    def dataset(self, dataset_id: int) -> dict[str, Any]:
        info = self.datasets[dataset_id]
        missing = self.gallery.images.missing.get(dataset_id)
        return {
            "name": info.name,
            "label": self.dataset_label(dataset_id),
            "channels": info.channels,
            "phantom": info.is_synthetic,
            "missing": list(missing) if missing else None,
        }

    def dataset_label(self, dataset_id: int) -> str:
        info = self.datasets[dataset_id]
        label = f"{info.name} · {info.source} {info.size or 'native'}"
        alike = [i for i in self.shown_datasets if _identity(self.datasets[i]) == _identity(info)]
        return f"{label} #{dataset_id}" if len(alike) > 1 else label

    def label(self, dataset_id: int, code: str) -> int:
        """Return the number of a label set: its text, and the numbers of its classes."""
        info = self.datasets[dataset_id]
        names = {c.ordinal: c.name for c in info.classes}
        place = self.shown_datasets.index(dataset_id)
        ordinals = decode_label_set(code) or (NO_FINDING_ORDINAL,)
        classes = tuple(
            self.classes.number((place, names.get(ordinal, "none"))) for ordinal in ordinals
        )
        return self.labels.number((info.describe_code(code), classes))

    def denoiser(self, denoiser_id: int) -> int:
        dataset_id, name = self.shown[denoiser_id]
        alone = self.namesakes[dataset_id, name] == 1
        return self.denoisers.number(name if alone else f"{name} #{denoiser_id}")

    def restoration(self, attempt: GalleryAttempt, restored: GalleryRestoration) -> list[Any]:
        """Return denoiser, decision, confidence, recovered, thumbnail, place in the strip.

        The place is 0 for the identity, whose image is the attacked one, and -1 without a strip.
        """
        images = self.gallery.images
        strip = images.strip_denoisers.get(attempt.id, ())
        place = strip.index(restored.denoiser_id) + 1 if restored.denoiser_id in strip else -1
        if changes_nothing(self.models[restored.denoiser_id]):
            place = 0
        return [
            self.denoiser(restored.denoiser_id),
            self.label(attempt.dataset_id, restored.predicted),
            round(restored.confidence, 6),
            int(restored.recovered),
            *images.restored.get((attempt.id, restored.denoiser_id), NO_CELL),
            place,
        ]

    def attempt(self, a: GalleryAttempt) -> dict[str, Any]:
        through = f" through {a.through}" if a.through else ""
        attack = f"{a.attack}, {pixels_text(a.attack_pixels)}{through}"
        info = self.datasets[a.dataset_id]
        target = None if a.target is None else info.describe_code(_code(a.target))
        return {
            "id": a.id,
            "dataset": self.shown_datasets.index(a.dataset_id),
            "classifier": self.classifiers.number(
                f"{self.models[a.classifier_id]} #{a.classifier_id}"
            ),
            "attack": self.attacks.number(attack),
            "image": a.image_index,
            "imageId": a.image_id,
            "split": a.split,
            "height": a.height,
            "width": a.width,
            "truth": self.label(a.dataset_id, a.truth),
            "before": self.label(a.dataset_id, a.predicted_before),
            "after": self.label(a.dataset_id, a.predicted_after),
            "target": target,
            "sure": round(a.confidence_before, 6),
            "sureAfter": round(a.confidence_after, 6),
            "left": round(a.true_confidence_after, 6),
            "queries": a.queries,
            "seed": a.seed,
            "repeat": a.repeat,
            "fooled": int(a.success),
            "pixels": [[p.row, p.col, *p.before, *p.after] for p in a.pixels],
            "cell": list(self.gallery.images.clean.get(a.image_id, NO_CELL)),
            "whole": list(self.gallery.images.whole.get(a.id, NO_CELL)),
            "strip": self.gallery.images.strips.get(a.id),
            "restored": [self.restoration(a, r) for r in a.restorations],
        }


def _identity(info: DatasetInfo) -> tuple[str, str, int]:
    return info.name, info.source, info.size


def _code(ordinal: int) -> str:
    return "" if ordinal == NO_FINDING_ORDINAL else str(ordinal)
