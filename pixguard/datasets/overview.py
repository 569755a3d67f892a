"""What a dataset holds, in the columns of the paper's Tables 6 to 10."""

from collections import Counter
from typing import Any

import numpy as np

from pixguard.datasets.base import SPLITS, ImageDataset
from pixguard.datasets.catalogue import MEDICAL_MNIST, PAPER_DATASETS, CatalogueEntry
from pixguard.datasets.owners import find_original
from pixguard.records import DatasetContent, DatasetInfo

CLASS_TABLES = {"derma": 7, "pathology": 8, "oct": 9, "chest": 10}
"""Numbers of the paper's tables of classes, by dataset."""


def overview(dataset: ImageDataset) -> dict[str, Any]:
    """Return a dataset's row of Table 6; an original size is its width x height in pixels."""
    about, entry = dataset.info, _entry(dataset)
    modality = entry.modality if entry else ""
    return {
        "name": about.name,
        "images": len(dataset),
        "classes": about.label_count,
        "original_size": size_range(dataset),
        "type": "binary-class multi-label" if about.task == "multi-label" else about.task,
        "colour": "colour" if about.channels == 3 else "grayscale",
        "modality": f"{modality} (synthetic)" if about.is_synthetic else modality or "unknown",
    }


def attribution(info: DatasetInfo) -> str | None:
    """Return what to show with any picture of a dataset; None where nothing is known, or asked.

    Creative Commons licences ask for the maker, the licence, and that changes are told.
    """
    if info.is_synthetic or not info.licence:
        return None
    original = find_original(info.name) if info.source == "originals" else None
    who = original.attribution if original else info.citation
    return f"{who}. Licence: {info.licence}. Images were resized, and pixels changed."


def content(dataset: ImageDataset) -> DatasetContent:
    """Return what a dataset holds, counted over all of its images."""
    entry = _entry(dataset)
    counts = Counter(
        (SPLITS[int(split)], dataset.label_set(index)) for index, split in enumerate(dataset.splits)
    )
    if dataset.original_sizes is None or not len(dataset):
        low = high = (dataset.info.size, dataset.info.size)
    else:
        low, high = np.min(dataset.original_sizes, axis=0), np.max(dataset.original_sizes, axis=0)
    heights, widths = zip(low, high, strict=True)
    return DatasetContent((entry and entry.modality) or None, heights, widths, counts)


def class_table(dataset: ImageDataset) -> list[dict[str, Any]]:
    """Return the rows of Tables 7 to 10: a class, its disease type, and its share of all images.

    Where label sets are attacked rather than classes (Table 10), a row counts the images that have
    that label and no other.
    """
    if dataset.attack_codes is None:
        counts = dataset.class_counts()
    else:
        found = [dataset.label_set(i) for i in range(len(dataset))]
        alone = {c.code: c for c in dataset.info.classes}
        counts = {
            alone[code].name: found.count((alone[code].ordinal,) if code else ())
            for code in dataset.attack_codes
        }
    kinds = {c.name: c.disease_type for c in dataset.info.classes}
    return [
        {
            "class": name,
            "disease_type": kinds[name],
            "count": count,
            "percentage": round(100 * count / max(len(dataset), 1), 2),
        }
        for name, count in counts.items()
    ]


def _entry(dataset: ImageDataset) -> CatalogueEntry | None:
    return {MEDICAL_MNIST.name: MEDICAL_MNIST, **PAPER_DATASETS}.get(dataset.info.name)


def size_range(dataset: ImageDataset) -> str:
    """Return width x height of the images' files as the paper's Table 6: (384~1536) x (277~512)."""
    if dataset.original_sizes is None or not len(dataset):
        return f"{dataset.info.size} x {dataset.info.size}"
    low, high = np.min(dataset.original_sizes, axis=0), np.max(dataset.original_sizes, axis=0)
    sides = (f"{a}" if a == b else f"({a}~{b})" for a, b in zip(low, high, strict=True))
    height, width = sides
    return f"{width} x {height}"
