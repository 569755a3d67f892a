"""What would mislead a search: answers at the limit of float32, gradients that point nowhere.

A step without a slope inside (rounding, quantisation, a threshold) gives gradients of zero; so does
a classifier whose confidence has saturated before its logits. A white-box search then stands still,
and its failure is no sign of robustness (Athalye, Carlini, Wagner 2018, "Obfuscated gradients give
a false sense of security").
"""

from collections.abc import Sequence

import torch

from pixguard.attacks.engine.jobs import Job
from pixguard.attacks.engine.objectives import Objective
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.classifiers.external import no_gradient
from pixguard.classifiers.outputs import lost_remark
from pixguard.models.inputs import to_unit_range

TRIED = 8
"""Images that are looked at."""
STEP = 0.05
"""Euclidean length of the step along the gradient, in units of the pixels' range."""
_OTHERS = "attacks that see answers only, such as sparse-rs, are not"


def search_remark(
    classifier: Classifier,
    objective: Objective,
    jobs: Sequence[Job],
    device: torch.device,
    *,
    uses_gradients: bool,
) -> str | None:
    """Return what would mislead a search on some images, None where nothing would.

    Args:
        classifier: in evaluation mode, on the device.
        objective: whose margin a search brings down.
        jobs: attempts on images of one shape; the first :data:`TRIED` are looked at.
        device: of the classifier.
        uses_gradients: whether the search follows the classifier's gradients.

    Raises:
        UsageError: there are none.
    """
    jobs = jobs[:TRIED]
    if not jobs:
        return None
    images = torch.cat([to_unit_range(job.image[None], device) for job in jobs])
    with torch.no_grad(), plain_float32(device):
        lost = lost_remark(classifier, classifier(images))
    if lost or not uses_gradients:
        return lost
    clean = torch.zeros(len(jobs), classifier.label_count, dtype=torch.bool, device=device)
    for row, job in zip(clean, jobs, strict=True):
        row[list(job.clean)] = True
    focus = torch.tensor([job.focus for job in jobs], device=device)
    with torch.inference_mode(False), torch.enable_grad(), plain_float32(device):
        leaf = images.clone().requires_grad_()
        margin = objective.margin(classifier, classifier(leaf), clean, focus)
        if not margin.requires_grad:
            raise no_gradient()
        (gradient,) = torch.autograd.grad(margin.sum(), leaf, allow_unused=True)
    gradient = torch.zeros_like(images) if gradient is None else gradient
    lengths = gradient.flatten(1).double().norm(dim=1)
    flat = int(((lengths == 0) | ~lengths.isfinite()).sum())
    if 2 * flat >= len(jobs):
        return (
            f"the classifier's gradients are zero on {flat} of {len(jobs)} images (is there "
            "rounding or a threshold inside?): where this attack fails, that is no sign of "
            f"robustness; {_OTHERS} misled so"
        )
    unit = gradient / lengths.clamp_min(1e-30).float().view(-1, 1, 1, 1)
    with torch.no_grad(), plain_float32(device):
        after = objective.margin(classifier, classifier(images - STEP * unit), clean, focus)
    downhill = int((after < margin.detach()).sum())
    if 2 * downhill <= len(jobs):
        return (
            f"a small step against the classifier's gradient lowers the margin on {downhill} of "
            f"{len(jobs)} images only: where this attack fails, that is no sign of robustness; "
            f"{_OTHERS} misled so"
        )
    return None
