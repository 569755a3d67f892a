"""What a classifier is trained to make small: cross entropy, its binary form, the focal loss."""

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    one_hot,
)

from pixguard.config import LossName

FOCAL_GAMMA = 2.0
"""What Lin et al. 2017 found best."""


def classification_loss(
    kind: LossName,
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    gamma: float = FOCAL_GAMMA,
) -> Tensor:
    """Return the mean loss, scalar, of logits float32 (N, L).

    ``ce`` is the cross entropy of one class an image, ``bce`` the binary cross entropy of every
    label by itself (of one class an image: of that class against every other). ``focal`` is
    ``(1 - p)^gamma`` times the one or the other, by the kind of labels, where p is the probability
    of what is true (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 4).

    Args:
        kind: which loss.
        logits: float32 (N, L).
        labels: int64 (N,), one class an image, or (N, L) of 0 and 1.
        weights: float32 (L,), of classes; or (2, L), of absent and of present labels. Losses are
            multiplied by them and averaged plainly, so weights that average 1 keep the scale.
        gamma: of the focal loss, at least 0, where it is the cross entropy.
    """
    single = labels.ndim == 1
    present = one_hot(labels, logits.shape[1]).float() if single else labels.float()
    if kind == "ce" or (kind == "focal" and single):
        losses = cross_entropy(logits, labels, reduction="none")[:, None]
    else:
        losses = binary_cross_entropy_with_logits(logits, present, reduction="none")
    if kind == "focal":
        losses = (-torch.expm1(-losses)) ** gamma * losses
    if weights is not None:
        chosen = weights[labels][:, None] if single else torch.lerp(weights[0], weights[1], present)
        losses = losses * chosen
    return losses.mean()
