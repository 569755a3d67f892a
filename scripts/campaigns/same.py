"""The same plan in other ways: threads, order, batches, parts, interruptions; the same rows."""

import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from campaigns import hooks
from campaigns.processes import Running, must, run
from campaigns.rows import differences
from campaigns.workshop import DATABASE, TRAIN, Workshop

ATTEMPTS = 24
COMPARED = ("attempt", "pixel", "image", "model", "prediction", "attack")
"""Not the plan: one that grew in parts says so."""
ATTACKS = {
    "differential-evolution, 1 pixel": "--pixels 1 --population 40 --generations 40",
    "differential-evolution, 2 pixels": "--pixels 2 --population 40 --generations 40",
    "corner, 2 pixels": "--attack corner --pixels 2 --queries 4000",
    "sparse-rs": "--attack sparse-rs --pixels 2 --queries 2000",
    "sigma-zero": "--attack sigma-zero --pixels 2 --queries 200",
    "random": "--attack random --pixels 2 --queries 2000",
}


def _once(command: str, folder: Path, setup: partial[None] | None = None, more: str = "") -> None:
    must(f"{command} --limit {ATTEMPTS} --resume {more}", folder, setup)


def _in_parts(command: str, folder: Path) -> None:
    for part in (5, 13, ATTEMPTS):
        must(f"{command} --limit {part} --resume", folder)


def _interrupted(command: str, folder: Path, number: int) -> None:
    """Stop or kill it over and over, until it comes to its end."""
    draw = random.Random(number)
    for _ in range(50):
        running = Running(f"{command} --limit {ATTEMPTS} --resume", folder, hooks.often)
        running.wait_until("candidates at a time")
        running.process.join(draw.uniform(0.05, 1.0))
        running.signal(number)
        if running.wait().code == 0:
            return
    _once(command, folder)


WAYS: dict[str, Callable[[str, Path], None]] = {
    "2 threads": lambda c, f: _once(c, f, partial(hooks.threads, count=2)),
    "in reverse order": lambda c, f: _once(c, f, partial(hooks.reversed_order)),
    "batches of 8": lambda c, f: _once(c, f, more="--batch-size 8"),
    "batches of 256": lambda c, f: _once(c, f, more="--batch-size 256"),
    "in three parts": _in_parts,
    "stopped over and over": lambda c, f: _interrupted(c, f, signal.SIGINT),
    "killed over and over": lambda c, f: _interrupted(c, f, signal.SIGKILL),
}


def compare(options: str, way: Callable[[str, Path], None], workshop: Workshop) -> list[str]:
    """Return how the rows of an attack differ when its plan is carried out in that way."""
    command = (
        f"attack --dataset oct --evaluator delta {options}"  # by measurement it may be another
    )
    expected = workshop.template((TRAIN, f"{command} --limit {ATTEMPTS} --resume"))
    folder = workshop.copy((TRAIN,), "other-way")
    way(command, folder)
    told = differences(expected / DATABASE, folder / DATABASE, COMPARED)
    checked = run("db check", folder)
    return told if checked.code == 0 else [*told, checked.out]
