"""The one loop over chunks: what it shows, commits and keeps, and that its bar is closed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from pixguard.errors import InterruptedRunError
from pixguard.progress import SILENT, Silent
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.session import Session
from support import StopAfter


class Bar(Silent):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @contextmanager
    def track(self, title: str, total: int, unit: str) -> Iterator["Bar"]:  # type: ignore[override]
        self.seen.append((title, total, unit))
        try:
            yield self
        finally:
            self.seen.append("closed")

    def update(self, done: int, note: str = "", most_s: float | None = None) -> None:
        self.seen.append((done, note))


class Flushes:
    """A writer that counts."""

    count = 0

    def flush(self) -> None:
        self.count += 1


def session(bar: Bar, stop: Any = SILENT) -> Session:
    return Session("x.db", Path(), torch.device("cpu"), bar, stop, "pixguard score")


def test_progress_notes_and_commits_come_after_every_chunk() -> None:
    bar, writer, done = Bar(), Flushes(), list[int]()
    chunks = cut(range(5), 2)
    for chunk, note in in_chunks(
        session(bar),
        "scoring",
        chunks,
        7,
        kept="all",
        writer=writer,
        done=2,  # type: ignore[arg-type]
    ):
        assert writer.count == len(done) // 2
        done += chunk
        note(f"{len(done)} seen")
    assert done == [0, 1, 2, 3, 4] and writer.count == 3
    assert bar.seen == [
        ("scoring", 7, "images"), (2, ""), (4, "2 seen"), (6, "4 seen"), (7, "5 seen"), "closed",
    ]  # fmt: skip


def test_a_stop_is_honoured_when_the_chunk_is_committed() -> None:
    bar, writer = Bar(), Flushes()
    turns = in_chunks(
        session(bar, StopAfter(1)),
        "s",
        cut(range(9), 3),
        9,
        kept="two",
        writer=writer,  # type: ignore[arg-type]
    )
    with pytest.raises(InterruptedRunError, match="stopped; two") as stopped:
        list(turns)
    assert stopped.value.hint == "pixguard score"
    assert writer.count == 2 and bar.seen[-2:] == [(6, ""), "closed"]


def test_the_bar_is_closed_before_an_error_is_told() -> None:
    bar = Bar()
    with pytest.raises(ZeroDivisionError) as caught:
        for chunk, _ in in_chunks(session(bar), "s", cut(range(4), 2), 4, kept=""):
            assert chunk[0] // 0
    assert caught.value and bar.seen[-1] == "closed"
