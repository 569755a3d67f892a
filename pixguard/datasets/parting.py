"""Which part of a split each image of a layout goes to, and what is said of that."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.config.data import BY_IMAGE
from pixguard.datasets.base import SPLITS
from pixguard.datasets.layout import Layout, Sample
from pixguard.datasets.splits import (
    grouped_splits,
    paper_splits,
    shared_groups,
    with_validation,
)
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.words import shell_word


def group_numbers(layout: Layout, samples: Sequence[Sample]) -> NDArray[np.int64] | None:
    """Return int64 (N,), the number of each image's group, in the order of their names."""
    if not layout.grouped_by:
        return None
    _, numbers = np.unique([sample.group for sample in samples], return_inverse=True)
    return numbers.astype(np.int64)


def kept_together(settings: DatasetSettings, layout: Layout, *, by_default: bool) -> str:
    """Return what no two parts of the split share: a column, ``patient``; empty for nothing.

    Raises:
        UsageError: the images are not known to have that in common.
    """
    known = layout.grouped_by
    if settings.group == BY_IMAGE or settings.split == "official":
        if settings.split == "official" and settings.group not in (None, BY_IMAGE):
            raise UsageError(
                "a split of the source's own is taken as it is, whatever it parts",
                f"`split=paper` `group={settings.group}`, or leave one of them out",
            )
        return ""
    if settings.group is None:
        return known if by_default else ""
    if settings.group != known:
        raise UsageError(
            f"of {settings.name} it is not known which images are of one {settings.group}",
            f"`group={known}`, or `group={BY_IMAGE}`" if known else f"`group={BY_IMAGE}`",
        )
    return known


def draw_split(
    settings: DatasetSettings,
    samples: Sequence[Sample],
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: NDArray[np.int64] | None,
    words: tuple[str, str],
    display: Display,
) -> NDArray[np.uint8]:
    """Return the split that the settings ask for, and say what of it is not as it might seem.

    Args:
        settings: which split.
        samples: N images.
        labels: int64 (N,) or uint8 (N, L).
        groups: int64 (N,), None where none are known.
        words: what images of one group have in common, and what the split keeps together.
        display: told of the split, its leak, and the one of their own that images have.

    Returns:
        uint8 (N,): positions in :data:`pixguard.datasets.base.SPLITS`.

    Raises:
        DataError: the images have no split of their own, which was asked for; or too few groups.
    """
    word, together = words
    if together and groups is not None:
        if (count := int(groups.max()) + 1) < len(SPLITS):
            raise DataError(
                f"all {len(groups)} images are of {count} {together}: to train, validate and test "
                f"without one in two parts takes {len(SPLITS)}",
                f"check `group={together}`, or split image by image: `group={BY_IMAGE}`",
            )
        parted = grouped_splits(labels, groups, settings.split_seed)
        counts = np.bincount(parted, minlength=3)
        display.say(
            f"no {together} stands in two parts of the split: {counts[0]} images train, "
            f"{counts[1]} validate, {counts[2]} test; `group={BY_IMAGE}` splits image by image"
        )
        return parted
    splits = _by_image(settings, samples, labels, display)
    if groups is not None:
        several, leaked = shared_groups(splits, groups)
        if several:
            display.say(
                f"LEAK: {leaked} of {int((splits == SPLITS.index('test')).sum())} test images show "
                f"a {word} that training images show too ({several} {word}s in several parts): "
                "accuracy and robustness look better than they are; `split=paper` "
                f"`group={shell_word(word)}` keeps each in one part"
            )
    return splits


def _by_image(
    settings: DatasetSettings,
    samples: Sequence[Sample],
    labels: NDArray[np.int64] | NDArray[np.uint8],
    display: Display,
) -> NDArray[np.uint8]:
    if settings.split == "paper":
        own = Counter(sample.split for sample in samples if sample.split)
        if own:
            counts = ", ".join(f"{split} {own[split]}" for split in SPLITS)
            display.say(
                f"the split is drawn image by image (70/10/20, seed {settings.split_seed}); the "
                f"images have one of their own ({counts}) that is not used: `split=official` takes "
                "it"
            )
        return paper_splits(labels, settings.split_seed)
    named = [sample.split for sample in samples if sample.split]
    if len(named) < len(samples) or not {"train", "test"} <= set(named):
        raise DataError(
            f"{settings.data_dir} has no split of its own: expected the folders train and test "
            "(and val), or a column split in the CSV, with images in each",
            "`split=paper`",
        )
    splits = np.array([SPLITS.index(split) for split in named], dtype=np.uint8)
    if "val" in named:
        return splits
    display.say("a tenth of the training images is drawn for validation: the split has none")
    return with_validation(splits, labels, settings.split_seed)
