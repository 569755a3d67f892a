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
    strata = _strata(labels)
    keys = np.random.PCG64(seed).random_raw(len(labels))
    order = np.lexsort((keys, strata))
    splits = np.empty(len(labels), dtype=np.uint8)
    splits[order] = np.resize(_DEAL, len(labels))
    return splits


def grouped_splits(
    labels: NDArray[np.int64] | NDArray[np.uint8], groups: NDArray[np.int64], seed: int
) -> NDArray[np.uint8]:
    """Return a 70/10/20 split in which no group (a patient, a lesion) stands in two parts.

    Groups are taken from the largest to the smallest, equal ones in random order, and each goes to
    the part that lacks most of it: the share of its images' strata that the part has still to get,
    summed over its images. So strata keep their shares as far as whole groups allow.

    Args:
        labels: as in :func:`paper_splits`.
        groups: int64 (N,), the number of each image's group, from 0 on.
        seed: of the order; drawn as in :func:`paper_splits`.

    Returns:
        uint8 (N,): positions in :data:`pixguard.datasets.base.SPLITS`.
    """
    strata = _strata(labels)
    shares = np.bincount(_DEAL, minlength=3) / len(_DEAL)
    wanted = shares[:, None] * np.bincount(strata)
    missing, splits = wanted.copy(), np.empty(len(labels), dtype=np.uint8)
    sizes = np.bincount(groups)
    keys = np.random.PCG64(seed).random_raw(len(sizes))
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    for group in np.lexsort((keys, -sizes)):
        own, counts = np.unique(strata[members[group]], return_counts=True)
        lack = (missing[:, own] / wanted[:, own] * counts).sum(1)
        # Of parts that lack the same, as for a stratum that is new, the one that lacks most in all.
        part = np.lexsort((missing.sum(1) / wanted.sum(1), lack))[-1]
        missing[part, own] -= counts
        splits[members[group]] = part
    return splits


def shared_groups(splits: NDArray[np.uint8], groups: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many groups stand in several parts, and how many test images in training too."""
    parts = np.zeros((int(groups.max(initial=-1)) + 1, 3), dtype=bool)
    parts[groups, splits] = True
    leaked = (splits == _TEST) & parts[groups, _TRAIN]
    return int((parts.sum(1) > 1).sum()), int(leaked.sum())


def _strata(labels: NDArray[np.int64] | NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return int64 (N,): the ordinal of a class, or the number of a label set."""
    if labels.ndim == 1:
        return labels.astype(np.int64)
    _, strata = np.unique(labels, axis=0, return_inverse=True)
    return strata.reshape(-1).astype(np.int64)


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
