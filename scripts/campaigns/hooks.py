"""What a campaign changes in a process before the command begins. See ``processes.Setup``."""

import dataclasses
import hashlib
import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS = ("commit", "fsync", "replace")
"""What a kill may fall upon: a commit of the database, a file on its way to the disk, its name."""
COUNTED = "events.json"
TAKEN, WIDTH = "taken", 16


def often(folder: Path) -> None:
    """Save attempts in flight every fifth of a second, and commit at every fourth row."""
    from pixguard.runner import in_flight
    from pixguard.store import writer

    in_flight.PERIOD_S = 0.2
    writer.COMMIT_EVERY_ROWS = 4


def taking(folder: Path, *, period_s: float) -> None:
    """Write beside the folder, after each step, how many seconds steps have taken.

    Attempts in flight are saved every ``period_s``.
    """
    from pixguard.attacks.engine.scheduler import Scheduler
    from pixguard.runner import in_flight

    in_flight.PERIOD_S, run = period_s, Scheduler.run
    file = os.open(folder.parent / TAKEN, os.O_WRONLY | os.O_CREAT)

    def noting(self: Any, jobs: Any, stop: Any, after_step: Any, *others: Any) -> Any:
        begun_s = time.monotonic()

        def note(asked: int) -> None:
            os.pwrite(file, f"{time.monotonic() - begun_s:{WIDTH}.6f}".encode(), 0)
            after_step(asked)

        return run(self, jobs, stop, note, *others)

    Scheduler.run = noting  # type: ignore[method-assign] # of this process alone


def served(folder: Path, *, port: int, size: int, md5: str) -> None:
    """Fetch octmnist from a server on this machine."""
    from pixguard.datasets import download
    from pixguard.datasets.catalogue import medmnist_info

    url = f"http://127.0.0.1:{port}/octmnist.npz"
    facts = dataclasses.replace(medmnist_info()["octmnist"], url={size: url}, md5={size: md5})
    info = {**medmnist_info(), "octmnist": facts}
    download.medmnist_info = lambda: info  # type: ignore[attr-defined] # imported there
    os.environ["PIXGUARD_DATA"] = str(folder / "data")
    os.environ["no_proxy"] = "127.0.0.1"


def counting(folder: Path, *, setup: Callable[[Path], None] | None = None) -> None:
    """Write how often each event happened beside the folder, at the end."""
    seen: Counter[str] = Counter()
    path = folder.parent / COUNTED
    path.unlink(missing_ok=True)

    def note(event: str) -> None:
        seen[event] += 1
        path.write_text(json.dumps(seen))

    _watch(note, lambda event: None)
    if setup is not None:
        setup(folder)


def dying(
    folder: Path,
    *,
    event: str,
    number: int,
    after: bool,
    setup: Callable[[Path], None] | None = None,
) -> None:
    """Die by SIGKILL before, or right after, an event happens for the ``number``-th time."""
    numbers = itertools.count(1)

    def die(seen: str) -> None:
        if seen == event and next(numbers) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def nothing(seen: str) -> None:
        pass

    _watch(nothing, die) if after else _watch(die, nothing)
    if setup is not None:
        setup(folder)


def _watch(before: Callable[[str], None], after: Callable[[str], None]) -> None:
    from sqlalchemy import Engine, event

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            before(name)
            result = function(*arguments, **named)
            after(name)
            return result

        return wrapped

    os.fsync = wrap("fsync", os.fsync)
    os.replace = wrap("replace", os.replace)
    event.listen(Engine, "commit", lambda connection: before("commit"))
    # SQLAlchemy tells of a commit before it is done only; the next begin is the first to know.
    committed: list[bool] = []
    event.listen(Engine, "commit", lambda connection: committed.append(True))
    event.listen(Engine, "begin", lambda connection: after("commit") if committed else None)


def failing(
    folder: Path, *, kind: str, share: float = 1.0, at: int = 1, times: int = 1_000_000
) -> None:
    """Make networks fail: ``kind`` is "memory", "gradient memory", "nan" or "error".

    From the ``at``-th batch on, in that share of the batches, so many times at most.
    """
    import torch

    from pixguard.classifiers.classifier import Classifier

    forward, calls, draw = Classifier.forward, itertools.count(1), random.Random(1)
    failed = 0

    def broken(self: Any, images: torch.Tensor) -> torch.Tensor:
        nonlocal failed
        logits = forward(self, images)
        if next(calls) < at or draw.random() >= share or failed == times:
            return logits
        failed += 1
        if kind == "memory" or (kind == "gradient memory" and images.requires_grad):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if kind == "error":
            raise RuntimeError("the model raised")
        return logits * float("nan") if kind == "nan" else logits

    Classifier.forward = broken  # type: ignore[method-assign] # of this process alone


def backwards(folder: Path) -> None:
    """Let the clock jump back an hour each time that it is asked."""
    hours, now = itertools.count(), time.time
    time.time = lambda: now() - 3600.0 * next(hours)


def threads(folder: Path, *, count: int) -> None:
    """Compute with so many threads."""
    import torch

    torch.set_num_threads(count)


def reversed_order(folder: Path) -> None:
    """Begin the attempts in the opposite order."""
    from pixguard.attacks.engine.scheduler import Scheduler

    run = Scheduler.run

    def backward(self: Any, jobs: Any, *others: Any) -> Any:
        return run(self, list(jobs)[::-1], *others)

    Scheduler.run = backward  # type: ignore[method-assign] # of this process alone


def strict_umask(folder: Path) -> None:
    """Let nobody else read what is written."""
    os.umask(0o077)


def on_file_system(folder: Path, *, kind: str) -> None:
    """Let the folder seem to lie on a file system of that kind."""
    from pixguard.store import location

    location.mount = lambda path, mountinfo=Path(): (folder, kind)


def md5(content: bytes) -> str:
    """Return the checksum that MedMNIST publishes of a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
