"""The one shape that every image source takes: images by index, labels, splits, fingerprints."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixguard.records import (
    NO_FINDING_ORDINAL,
    DatasetInfo,
    ImageRecord,
    LabelSet,
    Split,
)

SPLITS: tuple[Split, ...] = ("train", "val", "test")

Images = NDArray[np.uint8]
"""uint8 images (N, H, W, C), C = 1 or 3."""


def image_sha256(image: Images) -> str:
    """Return the SHA-256 of one uint8 image (H, W, C): its shape and its bytes."""
    header = "x".join(str(side) for side in image.shape).encode()
    return hashlib.sha256(header + b":" + np.ascontiguousarray(image).tobytes()).hexdigest()


@dataclass(frozen=True)
class ImageDataset:
    """A dataset that is ready to read.

    Attributes:
        info: identity, classes and task.
        labels: int64 (N,) class ordinals, or uint8 (N, L) indicators for a multi-label task.
        splits: uint8 (N,), positions in :data:`SPLITS`.
        read: maps indices (n,) to uint8 images (n, H, W, C) of one shape; order is kept.
        attack_codes: the codes of the label sets that are attacked; None for all of them.
        original_sizes: int32 (N, 2), height and width of each image's file in pixels; None where
            the source keeps its images at one size.
        groups: int64 (N,), the number of each image's group, from 0 on, in which images are of one
            patient or lesion; None where nothing is known.
        grouped_by: what they have in common, such as ``patient``.
        skipped: the files that were left out, as (path, what is wrong with it).
        file: returns what an index is called, such as the path of its file.
        problem: returns (path, what is wrong with it) of the file of an index that can be decoded
            and yet is damaged, else None; None where images have no files of their own.
    """

    info: DatasetInfo
    labels: NDArray[np.int64] | NDArray[np.uint8]
    splits: NDArray[np.uint8]
    read: Callable[[NDArray[np.int64]], Images]
    attack_codes: tuple[str, ...] | None = None
    original_sizes: NDArray[np.int32] | None = None
    groups: NDArray[np.int64] | None = None
    grouped_by: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    file: Callable[[int], str] = "image {}".format
    problem: Callable[[int], tuple[str, str] | None] | None = None

    def __len__(self) -> int:
        return len(self.splits)

    def images(self, indices: Sequence[int] | NDArray[np.int64]) -> Images:
        """Return uint8 images (n, H, W, C) for dataset indices, in the order asked for.

        Of a dataset at native size, only images of one shape fit into one array: see
        :meth:`by_shape`.

        Raises:
            ValueError: the images are not of one shape.
        """
        return self.read(np.asarray(indices, dtype=np.int64))

    def each(self, indices: Sequence[int] | NDArray[np.int64]) -> Iterator[Images]:
        """Yield the uint8 image (H, W, C) of every index, whatever their shapes."""
        if not self.info.is_native:
            yield from self.images(indices)
            return
        for index in indices:
            yield self.images([int(index)])[0]

    def shape(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image, as it is loaded, without loading it."""
        if not self.info.is_native:
            return self.info.size, self.info.size
        assert self.original_sizes is not None
        height, width = self.original_sizes[index].tolist()
        return height, width

    def by_shape(self, indices: Sequence[int] | NDArray[np.int64]) -> list[list[int]]:
        """Return indices in groups of one shape each, the order kept within and between them."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index in indices:
            groups.setdefault(self.shape(int(index)), []).append(int(index))
        return list(groups.values())

    def indices(self, split: Split) -> NDArray[np.int64]:
        """Return the dataset indices of a split, ascending."""
        return np.flatnonzero(self.splits == SPLITS.index(split)).astype(np.int64)

    def label_set(self, index: int) -> LabelSet:
        """Return the label set of an image."""
        if self.info.task == "multi-class":
            return (int(self.labels[index]),)
        return tuple(int(o) for o in np.flatnonzero(self.labels[index]))

    def records(self, indices: Sequence[int] | NDArray[np.int64]) -> list[ImageRecord]:
        """Return the records of images, their fingerprints taken from the pixels just read."""
        return [
            ImageRecord(
                index=int(index),
                split=SPLITS[int(self.splits[index])],
                sha256=image_sha256(image),
                height=image.shape[0],
                width=image.shape[1],
                label_set=self.label_set(int(index)),
            )
            for index, image in zip(indices, self.each(indices), strict=True)
        ]

    def class_counts(self, split: Split | None = None) -> dict[str, int]:
        """Return the number of images that carry each class (the pseudo-class: no label at all)."""
        rows = self.labels if split is None else self.labels[self.indices(split)]
        if self.info.task == "multi-class":
            return {c.name: int((rows == c.ordinal).sum()) for c in self.info.classes}
        return {
            c.name: int(
                (rows.sum(axis=1) == 0).sum()
                if c.ordinal == NO_FINDING_ORDINAL
                else rows[:, c.ordinal].sum()
            )
            for c in self.info.classes
        }
