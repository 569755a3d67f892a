"""What a kill costs: how much of an attack's work is made again, however long its attempts take."""

import random
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from campaigns import hooks, rows
from campaigns.processes import Running
from campaigns.workshop import DATABASE, TRAIN, Workshop

ATTACK = "attack --dataset oct --evaluator delta --pixels 1 --limit 24"
ROWS = ("attempt", "pixel", "plan", "planned_attempt")


@dataclass
class Tally:
    """What was killed: seconds of work that each kill lost, and how the end differs."""

    lost_s: list[float] = field(default_factory=list)
    attempts_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def campaign(
    workshop: Workshop, *, kills: int, generations: int, period_s: float, draw: random.Random
) -> Tally:
    """Kill an attack at random moments, and count what is not there when it goes on.

    Its progress is the time that attempts have taken, each its share of a step's: the committed
    ones and those that are saved in flight. What a killed process has taken beyond that is lost.

    Args:
        workshop: folders of the campaign.
        kills: how many.
        generations: of each attempt, of 400 candidates each: how long it takes.
        period_s: how often attempts in flight are saved.
        draw: the moments: up to four periods after the first step.
    """
    repeats = -(-kills // 3)  # so that there is work for all of them
    attack = f"{ATTACK} --repeats {repeats} --population 400 --generations {generations}"
    expected = workshop.template((TRAIN, attack)) / DATABASE
    folder, tally = workshop.copy((TRAIN,), "lost"), Tally()
    setup = partial(hooks.taking, period_s=period_s)
    again = True
    while again:
        tell = folder.parent / hooks.TAKEN
        tell.unlink(missing_ok=True)
        before = _progress(folder)
        running = Running(f"{attack} --resume", folder, setup)
        again = len(tally.lost_s) < kills
        if again:
            while not _size(tell) and running.process.is_alive():  # no step yet
                time.sleep(0.05)
            time.sleep(draw.uniform(0, 4 * period_s))
            running.signal(signal.SIGKILL)
        if not running.wait(3600).killed:
            break
        tally.lost_s.append(before + float(tell.read_text()[: hooks.WIDTH]) - _progress(folder))
    with closing(sqlite3.connect(expected)) as database:
        query = "SELECT AVG(elapsed_ms) / 1000 FROM attempt"
        (tally.attempts_s,) = database.execute(query).fetchone()
    tally.faults += rows.differences(expected, folder / DATABASE, ROWS)
    return tally


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _progress(folder: Path) -> float:
    """Return the seconds of committed attempts and of those in flight."""
    import torch

    from pixguard.attacks.engine.snapshot import Snapshot
    from pixguard.models.checkpoint import read_state

    with closing(sqlite3.connect(folder / DATABASE)) as database:
        done = dict(database.execute("SELECT attempt_key, elapsed_ms FROM attempt"))
    total = sum(done.values())
    for path in folder.glob("pixguard-files/in-flight/*.pt"):
        state = read_state(path, torch.device("cpu"))
        del state["made_with"]
        snapshot = Snapshot(**state)
        left = [row for key, row in snapshot.keys.items() if key not in done]
        total += float(snapshot.costs[left, 3].sum())
    return total / 1000
