"""How cost grows with the number of images, and where the time goes."""

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.contenders import Budget, fit, make_evaluator, schedule, warm_up
from benchmarks.subjects import Subject
from benchmarks.timing import Clock, synchronised
from pixguard.attacks.differential_evolution import DifferentialEvolutionSearch
from pixguard.attacks.engine import scheduler
from pixguard.cli.app import app
from pixguard.config import EvaluatorName, PrecisionName
from pixguard.errors import PixguardError
from pixguard.runner import attacking
from pixguard.store.writer import Writer

COLUMNS = {
    "images": "images",
    "slots": "images at a time",
    "queries_per_second": "queries/s",
    "evaluated_share": "evaluated share",
    "seconds_per_image": "s/image",
    "evaluator": "evaluator",
    "search": "search",
    "memory": "memory",
    "verification": "verification",
    "elsewhere": "elsewhere",
    "overhead": "overhead / evaluator",
}

PARTS = ("evaluator", "search", "memory", "verification")
_PLACES = (
    (DifferentialEvolutionSearch, "start", "search"),
    (DifferentialEvolutionSearch, "ask", "search"),
    (DifferentialEvolutionSearch, "tell", "search"),
    (scheduler.Memory, "new", "memory"),
    (scheduler.Memory, "learn", "memory"),
    (scheduler.Memory, "recall", "memory"),
    (scheduler, "canonical_logits", "verification"),
)


def scale(
    subject: Subject,
    budget: Budget,
    counts: Sequence[int],
    *,
    evaluator: EvaluatorName = "auto",
    precision: PrecisionName = "auto",
    batch: int | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each number of images: its rate, and the shares of its wall time.

    The shares are ``evaluator`` (logits, and taking in clean images), ``search`` (breeding and
    selection), ``memory`` (which candidates were asked for before), ``verification`` (the
    canonical evaluation that closes an attempt) and ``elsewhere``. ``overhead`` is all but
    evaluator and verification, over the evaluator.
    """
    rows = []
    for count in counts:
        print(f"{count} image(s) ...", file=sys.stderr, flush=True)
        part = subject.first(count)
        chosen = make_evaluator(part, evaluator, precision, batch, [])
        slots = fit(chosen, count, budget)
        warm_up(chosen, part, budget.pixels)
        clock = Clock(subject.device)
        own = ((chosen, "logits", "evaluator"), (chosen, "load", "evaluator"))
        with clock.watching(*own, *_PLACES):
            started = synchronised(subject.device)
            outcomes = schedule(part, budget, chosen, slots)
            seconds = synchronised(subject.device) - started
        queries = sum(outcome.queries for outcome in outcomes)
        shares = {name: clock.seconds[name] / seconds for name in PARTS}
        elsewhere = 1 - sum(shares.values())
        outside = shares["search"] + shares["memory"] + elsewhere
        rows.append(
            {
                "images": count,
                "slots": slots,
                "batch": chosen.batch,
                "evaluator_name": chosen.name,
                "queries_per_second": queries / seconds,
                "evaluated_share": sum(o.distinct_queries or 0 for o in outcomes) / queries,
                "seconds": seconds,
                "seconds_per_image": seconds / count,
                **shares,
                "elsewhere": elsewhere,
                "overhead": outside / shares["evaluator"],
            }
        )
    return rows


def database_share(
    architecture: str, size: int, images: int, budget: Budget, device: torch.device
) -> dict[str, float]:
    """Return what share of a real ``pixguard attack`` the database takes.

    On phantoms, with a briefly trained classifier, in a folder that is thrown away. The time is
    that of ``Writer.flush``, which holds every commit of an attack, over that of carrying the plan
    out.

    Returns:
        ``seconds``, ``database_seconds``, ``share``, and the number of ``attempts``.
    """
    clock = Clock(device)
    with tempfile.TemporaryDirectory() as folder:
        common = ("--dataset", "oct", "--db", str(Path(folder) / "bench.db"))
        common += ("--device", str(device))
        _run(
            *("train", *common, "--source", "phantom", "--size", str(size), "--model"),
            *(architecture, "--images", str(max(200, 10 * images)), "--epochs", "2"),
            *("--batch-size", "32", "--learning-rate", "0.02", "--limit", "320"),
        )
        made: list[dict[str, Any]] = []
        carry_out = clock.around(attacking.carry_out, "attack")

        def watched(*args: Any, **kwargs: Any) -> dict[str, Any]:
            clock.seconds["database"] = 0.0
            made.append(carry_out(*args, **kwargs))
            made[0]["within"] = clock.seconds["database"]
            return {name: value for name, value in made[0].items() if name != "within"}

        flush = (Writer, "flush", "database")
        with mock.patch.object(attacking, "carry_out", watched), clock.watching(flush):
            _run(
                *("attack", *common, "--pixels", str(budget.pixels), "--limit", str(images)),
                *("--population", str(budget.population)),
                *("--generations", str(budget.generations)),
            )
    # What waits when the last attempt has ended is committed after the plan was carried out.
    writing = clock.seconds["database"]
    seconds = clock.seconds["attack"] + writing - made[0]["within"]
    return {
        "attempts": made[0]["made"],
        "seconds": seconds,
        "database_seconds": writing,
        "share": writing / seconds,
    }


def _run(*arguments: str) -> None:
    """Run a pixguard command in this process."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the benchmark's own result
            app(list(arguments))
    except SystemExit as end:
        if end.code not in (0, None):
            message = f"`pixguard {' '.join(arguments)}` failed"
            raise PixguardError(message, "see above") from end
