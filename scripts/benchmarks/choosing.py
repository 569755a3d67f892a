"""What the measured choice takes, and how far that is from the best fixed choice."""

import statistics
import sys
import time
from dataclasses import replace
from typing import Any

from benchmarks.subjects import Subject
from benchmarks.timing import random_candidates, synchronised
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import Work, choose_evaluator
from pixguard.inference.choices import Choices
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.dense import automatic_batch
from pixguard.inference.form import Form
from pixguard.inference.truth import Forms, Truth
from pixguard.models.inputs import to_unit_range

ROUND_S = 0.3
"""A round lasts at least this long: a shorter one would measure the clock."""
HOPELESS = 0.5
"""Of the fastest in the first round: slower forms are not timed again."""

COLUMNS = {
    "network": "network",
    "size": "size",
    "taken": "taken",
    "measured_s": "measured for, s",
    "candidates_per_second": "candidates/s",
    "best_fixed": "best fixed choice",
    "ratio": "taken / best fixed",
    "usual_ratio": "taken / unmeasured",
}


def compare(
    subject: Subject, network: str, planned: int, pixels: int, rounds: int
) -> dict[str, Any]:
    """Return the row of one network and size: the choice and fixed forms, timed in turn.

    Args:
        subject: whose first image the candidates are of.
        network: its name.
        planned: candidates, of which measuring may take two percent.
        pixels: that a candidate changes.
        rounds: how often each form is timed.
    """
    device, (height, width) = subject.device, subject.images.shape[1:3]
    on = (subject.classifier, height, width, device)
    said: list[str] = []
    started = time.perf_counter()
    usual = choose_evaluator(*on, pixels=pixels)
    usual_s = time.perf_counter() - started
    work = Work(planned, planned, Choices())
    started = time.perf_counter()
    taken = choose_evaluator(*on, pixels=pixels, work=work, say=said.append)
    measured_s = time.perf_counter() - started - usual_s
    for line in said:
        print(f"{network} at {height}: {line}", file=sys.stderr, flush=True)
    contenders = {"taken": taken, "unmeasured": usual, **_fixed(subject, usual, pixels)}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for name, evaluator in list(contenders.items()):
        try:
            evaluator.allocate(1, height, width, pixels)
            evaluator.load(0, to_unit_range(subject.images[:1], device)[0])
            _rate(evaluator, subject, pixels, 0.0)
        except Exception as error:  # a kernel that there is not on this device
            print(f"{network} at {height}: {name}: {error}", file=sys.stderr, flush=True)
            del contenders[name], rates[name]
    for _ in range(rounds):
        for name, evaluator in contenders.items():
            fastest = max((own[0] for own in rates.values() if own), default=0.0)
            if not rates[name] or rates[name][0] > HOPELESS * fastest:
                rates[name].append(_rate(evaluator, subject, pixels, ROUND_S))
    fixed = [name for name in contenders if name != "taken"]
    best = max(fixed, key=lambda name: statistics.median(rates[name]))
    return {
        "network": network,
        "size": height,
        "taken": _words(taken),
        "measured_s": measured_s,
        "candidates_per_second": statistics.median(rates["taken"]),
        "best_fixed": _words(contenders[best]),
        "ratio": _ratio(rates["taken"], rates[best]),
        "usual_ratio": _ratio(rates["taken"], rates["unmeasured"]),
        "rates": rates,
        "said": said,
    }


def _fixed(subject: Subject, usual: Evaluator, pixels: int) -> dict[str, Evaluator]:
    """Return evaluators in the forms that one could have fixed, without a look at the network."""
    height, width = subject.images.shape[1:3]
    most = automatic_batch(subject.device, max(height, width))
    truth = Truth(subject.classifier, height, width, pixels)
    forms = Forms(truth, 1 << 40, most, 1 << 20)
    dense = Form("dense", usual.precision, most)
    wanted = [replace(dense, batch=max(1, most // part)) for part in (1, 4, 12)]
    wanted += [replace(form, channels_last=True) for form in wanted[:2]]
    if usual.name == "delta":
        delta = Form("delta", usual.precision, usual.batch)
        wanted += [replace(delta, whole_from=share) for share in (0.7, 0.5, 0.3)]
        wanted += [replace(delta, batch=max(1, int(usual.batch * by))) for by in (0.25, 0.5, 2, 4)]
        if subject.device.type == "cuda":
            wanted += [
                replace(delta, gathers=True),
                replace(delta, execution="captured", gathers=True),
            ]
    return {str(form): forms.make(form) for form in wanted}


def _words(evaluator: Evaluator) -> str:
    variant = f", {evaluator.variant}" if evaluator.variant else ""
    return f"{evaluator.name} {evaluator.precision}, {evaluator.batch}{variant}"


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(own / other for own, other in zip(ours, theirs, strict=False))


def _rate(evaluator: Evaluator, subject: Subject, pixels: int, least_s: float) -> float:
    """Return candidates per second, of full batches."""
    height, width, channels = subject.images.shape[1:]
    shape = (height, width, channels)
    candidates = random_candidates(evaluator.batch, 1, shape, pixels, subject.device)
    parts = [(1.0, evaluator.logits, candidates)]
    if isinstance(evaluator, DeltaEvaluator):
        owners, positions, colours = candidates
        parts = [
            (weight, part.evaluated, (owners, part.moved(positions), colours))
            for weight, part in evaluator.parts
        ]
    seconds = 0.0
    for weight, evaluate, own in parts:
        spent, done = 0.0, 0
        while spent < least_s or not done:
            started = synchronised(subject.device)
            evaluate(*own)
            spent += synchronised(subject.device) - started
            done += evaluator.batch
        seconds += weight * spent / done
    return 1 / seconds
