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
