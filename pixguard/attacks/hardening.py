"""Changed pixels for adversarial training: short searches against the classifier as it is.

The inner step of training on attacked images (Madry et al. 2018) for few pixels: an attack with a
budget that a training can pay, in evaluation mode, on half of a batch.
"""

import warnings
from typing import Any

import torch
from torch import Tensor

from pixguard.attacks.attack import attack_class
from pixguard.attacks.registry import ATTACKS
from pixguard.classifiers.classifier import Classifier

BUDGETS: dict[str, dict[str, Any]] = {
    "corner": {"queries": 30},
    "differential-evolution": {"population": 10, "generations": 3},
    "spgd": {"queries": 20},
}
"""Options of the searches, 20 to 40 candidates an image (ours)."""


def with_found_pixels(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    search: str,
    pixels: int,
) -> Tensor:
    """Return images of which the first half has pixels changed that an attack found.

    They are those of its success, or of its best candidate; an image that is decided wrong as it is
    stays so.

    Args:
        classifier: in any mode, which it keeps, as its gradients and statistics.
        images: float32 (N, C, H, W) in [0, 1]; not changed. The first half is rounded to 8 bits.
        labels: int64 (N,), or int (N, L) for multi-label tasks.
        generator: on the images' device; the only source of chance.
        search: a name in :data:`BUDGETS`.
        pixels: how many an image, at most H * W.
    """
    half = len(images) // 2
    if not half:
        return images
    seed = int(torch.randint(2**31, (), generator=generator, device=images.device))
    start = (images[:half].detach() * 255).round() / 255
    attack = attack_class(ATTACKS[search])(
        classifier, pixels, seed=seed, evaluator="dense", precision="float32", **BUDGETS[search]
    )
    with warnings.catch_warnings():
        # Its remark on a saturated classifier is for who judges by the attack.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = attack(start, labels[:half] if labels.ndim == 1 else labels[:half].bool())
    changed = start.clone()
    rows, cols = found.pixels[found.attacked].unbind(2)
    number = found.attacked.nonzero()[:, :1]
    changed[number, :, rows, cols] = found.colours[found.attacked] / 255
    return torch.cat([changed, images[half:]])
