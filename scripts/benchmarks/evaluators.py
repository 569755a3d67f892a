"""Candidates per second of the evaluators, one after the other and again, by image size."""

import math
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.comparison import OCT_IMAGES
from benchmarks.contenders import make_evaluator
from benchmarks.subjects import Subject
from benchmarks.timing import random_candidates, seconds_of, within_memory
from pixguard.config import EvaluatorName, PrecisionName
from pixguard.inference.base import Evaluator
from pixguard.models.inputs import to_unit_range

ROUND_SECONDS = 0.5
"""A round lasts at least this long: a shorter one would measure the clock."""

PAPER_QUERIES = 10_100

COLUMNS = {
    "size": "size",
    "dense_batch": "dense batch",
    "delta_batch": "delta batch",
    "dense_rate": "dense candidates/s",
    "delta_rate": "delta candidates/s",
    "ratio": "delta / dense",
    "share": "multiply-adds left",
    "difference": "largest logit difference",
    "largest_logit": "largest logit",
    "dense_peak_share": "dense, of peak",
    "delta_peak_share": "delta, of peak",
    "dense_oct_hours": "dense, hours of OCT",
    "delta_oct_hours": "delta, hours of OCT",
    "note": "note",
}


def compare_evaluators(
    subject: Subject,
    batches: Sequence[int],
    *,
    pixels: int = 1,
    rounds: int = 5,
    precision: PrecisionName = "auto",
    memory_gib: float = 8.0,
    peak_tflops: float | None = None,
    distinct_share: float = 1.0,
) -> dict[str, Any]:
    """Return the row of one image size: medians of alternating rounds, each at its best batch.

    Args:
        subject: what is evaluated; candidates are of all its images.
        batches: which are tried, as far as the memory allows.
        pixels: k.
        rounds: how often each evaluator is measured.
        precision: of both evaluators.
        memory_gib: what the activations of a batch may take.
        peak_tflops: of the device, in 1e12 floating point operations a second.
        distinct_share: candidates that have to be evaluated, of those asked for.
    """
    size = subject.images.shape[1]
    allowed = within_memory(subject.classifier, size, list(batches), memory_gib)
    said: list[str] = []
    dense, tried = _at_best_batch(subject, "dense", precision, allowed, pixels, said)
    print(f"{size} pixels: dense tried {_rates(tried)}", file=sys.stderr, flush=True)
    delta, tried_delta = _at_best_batch(subject, "delta", precision, allowed, pixels, said)
    print(f"{size} pixels: delta tried {_rates(tried_delta)}", file=sys.stderr, flush=True)
    measured: dict[str, list[float]] = {"dense": [], "delta": []}
    for _ in range(rounds):
        for name, evaluator in (("dense", dense), ("delta", delta)):
            measured[name].append(_rate(evaluator, subject, pixels))
    row = {
        "size": size,
        "pixels": pixels,
        "dense_batch": dense.batch,
        "delta_batch": delta.batch,
        "dense_evaluator": dense.name,
        "delta_evaluator": delta.name,
        "precision": delta.precision,
        "dense_rate": statistics.median(measured["dense"]),
        "delta_rate": statistics.median(measured["delta"]),
        "ratio": statistics.median(
            fast / slow for fast, slow in zip(measured["delta"], measured["dense"], strict=True)
        ),
        "rounds": measured,
        "tried": {"dense": tried, "delta": tried_delta},
        "share": getattr(delta, "share", None),
        **_difference(dense, delta, subject, pixels),
        "note": "; ".join(dict.fromkeys(said)),
    }
    if delta.name != "delta":
        row["note"] = f"NOT delta: {delta.name} took its place; {row['note']}".rstrip("; ")
    if peak_tflops is not None:
        row |= _peak_shares(subject, row, peak_tflops)
    for name in ("dense", "delta"):
        queries = OCT_IMAGES * PAPER_QUERIES * distinct_share
        row[f"{name}_oct_hours"] = queries / row[f"{name}_rate"] / 3600
    return row


def _rates(tried: dict[int, float]) -> str:
    return ", ".join(f"{batch}: {rate:.4g}/s" for batch, rate in tried.items())


def _at_best_batch(
    subject: Subject,
    name: EvaluatorName,
    precision: PrecisionName,
    batches: Sequence[int],
    pixels: int,
    said: list[str],
) -> tuple[Evaluator, dict[int, float]]:
    """Return an evaluator at the batch that is fastest, and the candidates/s of each batch."""
    tried: dict[int, float] = {}
    for batch in batches:
        try:
            evaluator = _ready(subject, name, precision, batch, pixels, said)
            seconds_of(evaluator, _candidates(subject, batch, pixels), subject.device)
            tried[batch] = _rate(evaluator, subject, pixels)
        except torch.OutOfMemoryError:
            break
    best = max(tried, key=lambda batch: tried[batch])
    evaluator = _ready(subject, name, precision, best, pixels, said)
    seconds_of(evaluator, _candidates(subject, best, pixels), subject.device)
    return evaluator, tried


def _ready(
    subject: Subject,
    name: EvaluatorName,
    precision: PrecisionName,
    batch: int,
    pixels: int,
    said: list[str],
) -> Evaluator:
    evaluator = make_evaluator(subject, name, precision, batch, said)
    count, height, width, _ = subject.images.shape
    evaluator.allocate(count, height, width, pixels)
    for slot, image in enumerate(to_unit_range(subject.images, subject.device)):
        evaluator.load(slot, image)
    return evaluator


def _candidates(subject: Subject, count: int, pixels: int) -> tuple[Tensor, Tensor, Tensor]:
    slots, *shape = subject.images.shape
    height, width, channels = shape
    return random_candidates(count, slots, (height, width, channels), pixels, subject.device)


def _rate(evaluator: Evaluator, subject: Subject, pixels: int) -> float:
    """Return candidates per second, of full batches, over at least :data:`ROUND_SECONDS`."""
    candidates = _candidates(subject, evaluator.batch, pixels)
    spent, done = 0.0, 0
    while spent < ROUND_SECONDS:
        spent += seconds_of(evaluator, candidates, subject.device)
        done += 1
    return done * evaluator.batch / spent


def _difference(
    dense: Evaluator, delta: Evaluator, subject: Subject, pixels: int
) -> dict[str, float]:
    """Return the largest difference between the logits of both, and the largest logit."""
    candidates = _candidates(subject, max(dense.batch, delta.batch), pixels)
    expected, found = dense.logits(*candidates), delta.logits(*candidates)
    return {
        "difference": float((expected - found).abs().max()),
        "largest_logit": float(expected.abs().max()),
    }


def _peak_shares(subject: Subject, row: dict[str, Any], peak_tflops: float) -> dict[str, Any]:
    """Return what is achieved of a device's peak; a multiply-add counts as two operations."""
    image = to_unit_range(subject.images[:1], subject.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        subject.classifier(image)
    operations = counter.get_total_flops()
    left = row["share"] if row["share"] is not None else math.nan
    if row["delta_evaluator"] == "dense":
        left = 1.0
    peak = peak_tflops * 1e12
    shares = {
        "multiply_adds": operations // 2,
        "dense_peak_share": operations * row["dense_rate"] / peak,
        "delta_peak_share": operations * left * row["delta_rate"] / peak,
    }
    return {name: None if math.isnan(share) else share for name, share in shares.items()}
