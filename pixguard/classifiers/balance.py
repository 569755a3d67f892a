"""Rare classes made as frequent, or as heavy, as common ones."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64] | NDArray[np.uint8]
"""int64 (N,) class ordinals, or uint8 (N, L) indicators."""


def loss_weights(labels: Labels, label_count: int) -> NDArray[np.float32]:
    """Return weights that make every class count alike in a loss, and average 1 over the images.

    Returns:
        (L,) weights of classes, N / (classes present * images of the class); for indicators (2, L),
        those of absent and of present labels, N / (2 * images). 0 for what does not occur.
    """
    if labels.ndim == 1:
        counts = np.bincount(labels, minlength=label_count).astype(np.float64)
        shares = counts * (counts > 0).sum() / len(labels)
    else:
        present = labels.sum(axis=0, dtype=np.float64)
        shares = 2 * np.stack([len(labels) - present, present]) / len(labels)
    weights = np.divide(1.0, shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(weights, dtype=np.float32)


class BalancedSampler:
    """Draws images with replacement, every class as often as any other.

    An image with several labels is drawn as its rarest one is. What is drawn depends on the seed
    and on the positions that it replaces, so that batches can be read ahead and again.
    """

    def __init__(self, labels: Labels, seed: int) -> None:
        """Take the labels of the training images, at least one label an image."""
        self._seed = seed
        if labels.ndim == 1:
            rarity = 1 / np.bincount(labels)[labels]
        else:
            counts = np.maximum(labels.sum(axis=0, dtype=np.float64), 1)
            rarity = (labels / counts).max(axis=1)
        self._probabilities = rarity / rarity.sum()

    def draw(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return as many positions (n,) among the training images, in place of those given."""
        generator = np.random.default_rng([self._seed, *positions.tolist()])
        drawn = generator.choice(len(self._probabilities), len(positions), p=self._probabilities)
        return drawn.astype(np.int64)
