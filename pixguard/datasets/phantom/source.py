"""Phantoms as a dataset: which image shows what, made when it is read."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.datasets.base import ImageDataset, Images
from pixguard.datasets.cache import CachedReader
from pixguard.datasets.catalogue import PAPER_DATASETS, CatalogueEntry, paper_entry
from pixguard.datasets.phantom import chest, derma, oct, pathology
from pixguard.datasets.phantom.canvas import Field
from pixguard.datasets.splits import paper_splits
from pixguard.errors import UsageError
from pixguard.progress import Display
from pixguard.records import DatasetInfo, LabelSet, digest

GENERATOR_VERSION = 1
"""To be raised by any change of what is drawn: it is part of the datasets' fingerprint."""

GENERATION_SEED = 0
MIN_SIZE, MAX_SIZE = 28, 1024
MIN_IMAGES = 50

_HUNDRED = 100
_LABEL_STREAM, _IMAGE_STREAM = range(2)
_SMOOTH_BELOW = 64  # smaller images are drawn twice as large and averaged: fine lines survive

_SINGLE_CLASS: dict[str, tuple[Sequence[int], Callable[[Generator, int, int], Field]]] = {
    "derma": (derma.SHARES, derma.render),
    "pathology": (pathology.SHARES, pathology.render),
    "oct": (oct.SHARES, oct.render),
}


def open_phantom(settings: DatasetSettings, display: Display | None = None) -> ImageDataset:
    """Return procedural images of one of the paper's datasets; each is made when first read.

    Raises:
        UsageError: there are no phantoms of that name or size, or of so few images.
    """
    entry = paper_entry(settings.name)
    if entry is None:
        raise UsageError(
            f"there are no phantoms of {settings.name!r}, only of {', '.join(PAPER_DATASETS)}",
            "`dataset=oct` `source=phantom`",
        )
    if not MIN_SIZE <= settings.size <= MAX_SIZE:
        raise UsageError(
            f"phantoms are made at {MIN_SIZE} to {MAX_SIZE} pixels, not at {settings.size}",
            f"`size={min(max(settings.size, MIN_SIZE), MAX_SIZE)}`",
        )
    if settings.phantom_images < MIN_IMAGES:
        raise UsageError(
            f"{settings.phantom_images} phantoms are too few to split", f"ask for {MIN_IMAGES}"
        )
    if settings.split == "official":
        raise UsageError("phantoms have no split of their own", "`split=paper`")
    return _dataset(entry, settings)


def _dataset(entry: CatalogueEntry, settings: DatasetSettings) -> ImageDataset:
    count, size = settings.phantom_images, settings.size
    label_sets = phantom_label_sets(entry.name, count)
    labels: NDArray[np.int64] | NDArray[np.uint8]
    if entry.task == "multi-label":
        labels = np.zeros((count, entry.class_count), dtype=np.uint8)
        for row, label_set in zip(labels, label_sets, strict=True):
            row[list(label_set)] = 1
    else:
        labels = np.array([label_set[0] for label_set in label_sets], dtype=np.int64)

    def make(index: int) -> Images:
        return phantom_image(entry.name, index, size, label_sets[index])

    version = f"phantom-{GENERATOR_VERSION}-seed{GENERATION_SEED}-n{count}"
    return ImageDataset(
        info=DatasetInfo(
            name=entry.name,
            source="phantom",
            size=size,
            version=version,
            split_scheme=settings.split,
            split_seed=settings.split_seed,
            manifest_sha256=digest([entry.name, version, size]),
            task=entry.task,
            channels=entry.channels,
            classes=entry.classes,
            licence="synthetic: made by pixguard, free of rights",
            citation="Procedural phantoms of pixguard; not medical images.",
        ),
        labels=labels,
        splits=paper_splits(labels, settings.split_seed),
        read=CachedReader(count, (size, size, entry.channels), make),
        attack_codes=entry.attack_codes,
    )


def phantom_label_sets(name: str, count: int) -> list[LabelSet]:
    """Return what the first ``count`` images show: every hundred holds the classes' shares."""
    dealt: list[LabelSet] = []
    for block in range(-(-count // _HUNDRED)):
        rng = _generator(name, _LABEL_STREAM, block)
        if name in _SINGLE_CLASS:
            shares = _SINGLE_CLASS[name][0]
            deck: list[LabelSet] = [(o,) for o, share in enumerate(shares) for _ in range(share)]
        else:
            deck = _chest_deck(rng)
        dealt += [deck[position] for position in rng.permutation(len(deck))]
    return dealt[:count]


def _chest_deck(rng: Generator) -> list[LabelSet]:
    deck: list[LabelSet] = [()] * chest.NORMAL_SHARE
    deck += [(o,) for o, share in enumerate(chest.SINGLE_SHARES) for _ in range(share)]
    while len(deck) < _HUNDRED:
        together = rng.choice(len(chest.SINGLE_SHARES), int(rng.integers(2, 4)), replace=False)
        deck.append(tuple(sorted(int(o) for o in together)))
    return deck


def phantom_image(name: str, index: int, size: int, label_set: LabelSet) -> Images:
    """Return one phantom, uint8 (size, size, C)."""
    rng = _generator(name, _IMAGE_STREAM, index)
    factor = 2 if size < _SMOOTH_BELOW else 1
    if name in _SINGLE_CLASS:
        drawn = _SINGLE_CLASS[name][1](rng, size * factor, label_set[0])
    else:
        drawn = chest.render(rng, size * factor, label_set)
    if factor > 1:
        drawn = drawn.reshape(size, factor, size, factor, -1).mean(axis=(1, 3))
    return np.asarray(np.clip(np.rint(drawn * 255), 0, 255), dtype=np.uint8)


def _generator(name: str, stream: int, index: int) -> Generator:
    which = list(PAPER_DATASETS).index(name)
    return Generator(PCG64(SeedSequence([GENERATION_SEED, which, stream, index])))
