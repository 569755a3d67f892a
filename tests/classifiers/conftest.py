"""Tiny datasets made of arrays, for the tests of classifiers."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pixguard.datasets.base import ImageDataset
from pixguard.records import NO_FINDING_ORDINAL, ClassInfo, DatasetInfo, Task

MakeDataset = Callable[..., ImageDataset]


def _dataset(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | NDArray[np.uint8],
    splits: NDArray[np.uint8],
    *,
    label_count: int,
    task: Task = "multi-class",
) -> ImageDataset:
    classes = [ClassInfo(i, f"class {i}") for i in range(label_count)]
    if task == "multi-label":
        classes.append(ClassInfo(NO_FINDING_ORDINAL, "no finding"))
    info = DatasetInfo(
        name="tiny",
        source="folder",
        size=images.shape[1],
        version="1",
        split_scheme="paper",
        split_seed=0,
        manifest_sha256="0" * 64,
        task=task,
        channels=images.shape[3],
        classes=tuple(classes),
    )
    return ImageDataset(info, labels, splits, read=lambda indices: images[indices])


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """Make an ImageDataset from arrays: images, labels, splits, label_count, task."""
    return _dataset


@pytest.fixture(scope="session")
def stripes() -> ImageDataset:
    """60 noisy 12x12 images with vertical (0) or horizontal (1) stripes: 40 train, 10, 10."""
    generator = np.random.default_rng(7)
    labels = np.arange(60) % 2
    pattern = np.where(np.arange(12) // 2 % 2, 200, 60)
    vertical = np.broadcast_to(pattern, (12, 12))
    images = np.stack([vertical.T if label else vertical for label in labels])
    images = np.clip(images + generator.normal(0, 30, images.shape), 0, 255).astype(np.uint8)
    splits = np.repeat(np.array([0, 1, 2], dtype=np.uint8), [40, 10, 10])
    return _dataset(images[..., None], labels.astype(np.int64), splits, label_count=2)
