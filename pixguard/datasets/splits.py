"""Which images train, validate and are held out for attack."""

import numpy as np
from numpy.typing import NDArray

_TRAIN, _VAL, _TEST = range(3)

# Ten consecutive images of one stratum: 70 % train, 10 % validation, 20 % test, spread evenly so
# that short strata come as near to those shares as whole images allow.
_DEAL = np.array(
    [_TRAIN, _TEST, _TRAIN, _TRAIN, _VAL, _TRAIN, _TEST, _TRAIN, _TRAIN, _TRAIN], dtype=np.uint8
)


def paper_splits(labels: NDArray[np.int64] | NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return a stratified 70/10/20 split (the paper, section 4.1.2).

    Images are shuffled within their stratum, the strata laid end to end, and dealt out in tens:
    the whole keeps the shares to the image, each stratum to within two images. Label sets that
    occur once (many do in the Chest dataset) are so spread over the three parts as well.

    Args:
        labels: int64 (N,) class ordinals, or uint8 (N, L) indicators; a stratum is an ordinal,
            or a label set.
        seed: of the shuffle. The raw stream of PCG64 is used, which numpy keeps the same forever.

    Returns:
        uint8 (N,): positions in :data:`pixguard.datasets.base.SPLITS`.
    """
    if labels.ndim == 1:
        strata = labels.astype(np.int64)
    else:
        _, strata = np.unique(labels, axis=0, return_inverse=True)
    keys = np.random.PCG64(seed).random_raw(len(labels))
    order = np.lexsort((keys, strata.reshape(-1)))
    splits = np.empty(len(labels), dtype=np.uint8)
    splits[order] = np.resize(_DEAL, len(labels))
    return splits


def grouped_splits(
    labels: NDArray[np.int64] | NDArray[np.uint8], groups: NDArray[np.int64], seed: int
) -> NDArray[np.uint8]:
    """Return a 70/10/20 split in which no group (a patient, a lesion) stands in two parts.

    Groups are taken from the largest to the smallest, equal ones in random order, and each goes to
    the part that brings the whole nearest to its shares: by the squares of the distances in images,
    of all images and of each class, each part's divided by its share. So the few large groups do
    not crowd into one part, and the many small ones make good what those miss. No part stays empty.

    Args:
        labels: as in :func:`paper_splits`; of a multi-label task, each label counts as a class, and
            so does none of them.
        groups: int64 (N,), the number of each image's group, from 0 on; at least 3 groups.
        seed: of the order; drawn as in :func:`paper_splits`.

    Returns:
        uint8 (N,): positions in :data:`pixguard.datasets.base.SPLITS`.
    """
    counted = _counted(labels)
    sizes = np.bincount(groups)
    contents = np.zeros((len(sizes), counted.shape[1]), dtype=np.int64)
    np.add.at(contents, groups, counted)
    # In tenths of an image all numbers are whole, and no rounding decides who goes where.
    tenths = np.bincount(_DEAL, minlength=3)
    missing = tenths[:, None] * counted.sum(axis=0)
    weights = np.lcm.reduce(tenths) // tenths
    keys = np.random.PCG64(seed).random_raw(len(sizes))
    parts, empty = np.empty(len(sizes), dtype=np.uint8), [_TRAIN, _VAL, _TEST]
    for position, group in enumerate(np.lexsort((keys, -sizes))):
        own = 10 * contents[group]
        growth = weights * ((own - 2 * missing) @ own)
        open_to = empty if len(sizes) - position <= len(empty) else (_TRAIN, _VAL, _TEST)
        part = min(open_to, key=growth.__getitem__)
        missing[part] -= own
        parts[group] = part
        empty = [other for other in empty if other != part]
    return parts[groups]


def _counted(labels: NDArray[np.int64] | NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return int64 (N, K) of 0 and 1: that it is an image, and what each class counts of it."""
    if labels.ndim == 1:
        classes = labels[:, None] == np.arange(labels.max() + 1)
    else:
        classes = np.column_stack([labels, labels.sum(axis=1) == 0])
    return np.column_stack([np.ones(len(labels)), classes]).astype(np.int64)


def shared_groups(splits: NDArray[np.uint8], groups: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many groups stand in several parts, and how many test images in training too."""
    parts = np.zeros((int(groups.max(initial=-1)) + 1, 3), dtype=bool)
    parts[groups, splits] = True
    leaked = (splits == _TEST) & parts[groups, _TRAIN]
    return int((parts.sum(1) > 1).sum()), int(leaked.sum())


def with_validation(
    splits: NDArray[np.uint8], labels: NDArray[np.int64] | NDArray[np.uint8], seed: int
) -> NDArray[np.uint8]:
    """Return a split whose training part gives a stratified tenth of itself to validation.

    Args:
        splits: uint8 (N,), train and test alone.
        labels: as in :func:`paper_splits`.
        seed: of the draw.
    """
    split, (train,) = splits.copy(), np.nonzero(splits == _TRAIN)
    split[train[paper_splits(labels[train], seed) == _VAL]] = _VAL
    return split
