"""Which evaluator, which precision and how much at a time, for a classifier on a device."""

import copy
import os
from collections.abc import Callable

import torch

from pixguard.classifiers.classifier import Classifier
from pixguard.config import EvaluatorName, PrecisionName
from pixguard.errors import is_out_of_memory
from pixguard.inference.base import Evaluator
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.dense import DenseEvaluator, automatic_batch
from pixguard.inference.images import with_pixels

CPU_WORK_BYTES = 160 << 20
"""A batch's feature maps on a CPU: larger ones leave the caches, and tensors above 32 MiB are given
back to the system after every use."""
MOST = {"cpu": 100, "cuda": 1024}
"""Candidates at a time, at most: more is not faster, and fills the last batch of a step less."""
TOLERANCE = 1e-8
"""How far delta may be from the classifier itself, in float64, relative to the largest logit."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_evaluator(
    classifier: Classifier,
    height: int,
    width: int,
    device: torch.device,
    *,
    pixels: int = 1,
    evaluator: EvaluatorName = "auto",
    precision: PrecisionName = "auto",
    batch: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Evaluator:
    """Return the evaluator for candidates on images of a size.

    The delta evaluator is compared with the classifier itself on a few candidates, in float64,
    and taken only where they agree.

    Args:
        classifier: in evaluation mode, on the device.
        height: of the images, in pixels.
        width: of the images, in pixels.
        device: where to compute.
        pixels: how many pixels a candidate changes.
        evaluator: ``auto`` takes delta where the classifier allows it.
        precision: ``auto`` takes what the device is fastest in: bfloat16 on a GPU that has it.
        batch: candidates evaluated at a time; None: by the device's memory.
        say: told why what was asked for is not what is taken.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bfloat16" if fast else "float32"
    dtype = PRECISIONS[precision]
    dense = DenseEvaluator(classifier, batch or automatic_batch(device, max(height, width)), dtype)
    if evaluator == "dense":
        return dense
    try:
        difference = _difference(classifier, height, width, pixels)
        delta = DeltaEvaluator(classifier, 1, dtype)
        delta.allocate(1, height, width, pixels)
    except Exception as error:  # NotTraceableError, or a node that does not run by itself
        if is_out_of_memory(error):
            raise
        say(f"delta evaluation is not possible for this classifier, going dense ({error})")
        return dense
    if not difference <= TOLERANCE:  # nor where an answer is not finite
        say(f"delta evaluation differs from the classifier by {difference:.2g}, going dense")
        return dense
    if delta.share >= 1 and evaluator == "auto":
        return dense  # there is nothing to save
    candidate_bytes, slot_bytes = delta.memory()
    memory = _memory_bytes(device)
    work = CPU_WORK_BYTES if device.type == "cpu" else memory // 4
    delta.batch = batch or max(1, min(MOST[device.type], work // candidate_bytes))
    delta.most_slots = max(1, memory // 8 // slot_bytes)
    return delta


def _difference(classifier: Classifier, height: int, width: int, pixels: int) -> float:
    """Return how far delta is from the classifier on a few candidates, relative to the logits.

    In float64, where rounding cannot be taken for a fault nor a fault for rounding.
    """
    wide = copy.deepcopy(classifier).double()
    stream = torch.Generator().manual_seed(0)
    device, channels = wide.mean.device, wide.channels
    image = torch.rand(channels, height, width, generator=stream).to(device)
    limits = torch.tensor([height, width])
    drawn = (torch.rand(1, pixels, 2, generator=stream) * limits).long()
    corner = torch.zeros(1, pixels, 2, dtype=torch.int64)
    positions = torch.cat([drawn, corner, corner + limits - 1]).to(device)
    colours = torch.randint(0, 256, (3, pixels, channels), generator=stream).byte().to(device)
    owners = torch.zeros(3, dtype=torch.int64, device=device)
    delta = DeltaEvaluator(wide, 3, torch.float64)
    delta.allocate(1, height, width, pixels)
    delta.load(0, image)
    answers = delta.logits(owners, positions, colours)
    with torch.inference_mode():
        images = with_pixels(image.double()[None], owners, positions, colours)
        expected = torch.cat([wide(one[None]) for one in images])
    return float((answers - expected).abs().max() / expected.abs().max())


def _memory_bytes(device: torch.device) -> int:
    """Return all of a device's memory: what is free now would give a resumed run other batches."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
