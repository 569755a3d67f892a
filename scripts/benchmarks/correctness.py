"""How far each evaluator is, in each precision, from float64 on the CPU."""

import copy
from typing import Any

import torch

from benchmarks.subjects import Subject
from benchmarks.timing import random_candidates
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.inference.choice import choose_evaluator
from pixguard.inference.images import with_pixels
from pixguard.inference.truth import FLOAT32_BOUND, TIMES_AUTOCAST
from pixguard.models.inputs import to_unit_range

LARGEST = 64
"""Side of the images up to which float64 on a CPU takes seconds."""
CANDIDATES = 24

COLUMNS = {
    "network": "network",
    "size": "size",
    "evaluator": "evaluator",
    "precision": "precision",
    "difference": "largest difference / largest logit",
    "bound": "bound",
    "is_right": "right",
    "note": "note",
}


def compare(subject: Subject) -> list[dict[str, Any]]:
    """Return a row for each evaluator and precision, and one for what judges successes."""
    count, height, width, channels = subject.images.shape
    candidates = random_candidates(
        CANDIDATES, count, (height, width, channels), 1, torch.device("cpu")
    )
    images = to_unit_range(subject.images, torch.device("cpu"))
    changed = with_pixels(images, *candidates)
    wide = copy.deepcopy(subject.classifier).cpu().double()
    with torch.inference_mode():
        expected = torch.cat([wide(one[None]) for one in changed.double()])
    network = subject.words.partition(" ")[0]
    rows = []

    def off(found: torch.Tensor) -> float:
        return float((found.double().cpu() - expected).abs().max() / expected.abs().max())

    with torch.inference_mode(), torch.autocast(subject.device.type, torch.bfloat16):
        rounded = off(subject.classifier(changed.to(subject.device)))
    bounds = {"float32": FLOAT32_BOUND, "bfloat16": TIMES_AUTOCAST * rounded}

    def take(evaluator: str, precision: str, found: torch.Tensor, note: str = "") -> None:
        difference, bound = off(found), bounds[precision]
        rows.append(
            {
                "network": network,
                "size": height,
                "evaluator": evaluator,
                "precision": precision,
                "difference": difference,
                "bound": bound,
                "is_right": difference <= bound,
                "note": note,
            }
        )

    judged = [canonical_logits(subject.classifier, one[None]) for one in changed.to(subject.device)]
    take("judge", "float32", torch.cat(judged))
    on_device = [part.to(subject.device) for part in candidates]
    for name in ("dense", "delta"):
        for precision in ("float32", "bfloat16"):
            said: list[str] = []
            evaluator = choose_evaluator(
                subject.classifier,
                height,
                width,
                subject.device,
                evaluator=name,
                precision=precision,
                batch=10,
                say=said.append,
            )
            evaluator.allocate(count, height, width, 1)
            for slot, image in enumerate(images.to(subject.device)):
                evaluator.load(slot, image)
            take(evaluator.name, precision, evaluator.logits(*on_device), "; ".join(said))
    return rows
