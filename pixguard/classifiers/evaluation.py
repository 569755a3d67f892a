"""The canonical evaluation: float32, one image at a time, the truth that results are recorded by.

Kernels differ in the last bits between batch shapes and precisions. With the batch fixed at one
image and reduced precision off, a decision depends on the image, the weights and the device, and
never on which other images were judged beside it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.classifiers.classifier import Classifier, Decision
from pixguard.datasets.base import ImageDataset, Images
from pixguard.errors import DataError
from pixguard.models.inputs import plain_layout, to_unit_range
from pixguard.records import PredictionRecord

CHUNK = 256
"""Images read at a time, so that memory does not grow with the dataset."""


class NotFiniteError(DataError):
    """A classifier's answer to an image is no number."""


def canonical_logits(classifier: Classifier, image: Tensor) -> Tensor:
    """Return the float32 logits (1, L) of one image.

    Args:
        classifier: in evaluation mode, on the image's device.
        image: float32 (1, C, H, W) in [0, 1].

    Raises:
        ValueError: not exactly one float32 image, or the classifier is in training mode.
    """
    if image.ndim != 4 or len(image) != 1 or image.dtype != torch.float32:
        raise ValueError(f"expected one float32 image (1, C, H, W), got {tuple(image.shape)}")
    if classifier.training:
        raise ValueError("the classifier is in training mode")
    with torch.inference_mode(), plain_float32(image.device):
        logits: Tensor = classifier(plain_layout(image))
    return logits


def judge(
    classifier: Classifier, images: Iterable[Images], *, device: torch.device
) -> list[Decision]:
    """Return the canonical decisions on uint8 images (H, W, C), in their order.

    The classifier is moved to the device and left there, in evaluation mode.
    """
    classifier.to(device).eval()
    decisions = []
    for image in images:
        logits = canonical_logits(classifier, to_unit_range(image[None], device))
        decisions += classifier.decide(logits)
    return decisions


def predict(
    classifier: Classifier,
    dataset: ImageDataset,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    device: torch.device,
) -> list[PredictionRecord]:
    """Return the canonical decisions on images of a dataset, in the order of ``indices``.

    The classifier is moved to the device and left there, in evaluation mode.

    Raises:
        NotFiniteError: an answer is not finite.
    """
    records = []
    for start in range(0, len(indices), CHUNK):
        chunk = indices[start : start + CHUNK]
        decisions = judge(classifier, dataset.each(chunk), device=device)
        for index, decision in zip(chunk, decisions, strict=True):
            if not math.isfinite(decision.confidence):
                raise NotFiniteError(
                    f"the classifier's answer to image {index} of {dataset.info.name!r} is not "
                    "finite",
                    "check its weights and its normalisation; one that was trained here needs a "
                    "smaller `learning_rate=...`",
                )
        records += [
            PredictionRecord(int(index), decision.label_set, decision.confidence)
            for index, decision in zip(chunk, decisions, strict=True)
        ]
    return records


@contextmanager
def plain_float32(device: torch.device) -> Iterator[None]:
    """Switch off what a GPU does faster and less exactly, and any autocast around this."""
    if device.type != "cuda":
        with torch.autocast(device.type, enabled=False):
            yield
        return
    cudnn: Any = torch.backends.cudnn  # torch adds its attributes as it is imported
    wanted = [
        (torch.backends.cuda.matmul, "fp32_precision", "ieee"),
        (cudnn.conv, "fp32_precision", "ieee"),
        (cudnn, "benchmark", False),
        (cudnn, "deterministic", True),
    ]
    before = [getattr(owner, name) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for (owner, name, _), value in zip(wanted, before, strict=True):
            setattr(owner, name, value)
