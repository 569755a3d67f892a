"""How long-running work tells its progress, without knowing who listens."""

import time
from contextlib import AbstractContextManager
from typing import Protocol

from pixguard.words import printable


class Progress(Protocol):
    """One bar (or a plain line now and then) for one piece of work."""

    def update(self, done: int, note: str = "", most_s: float | None = None) -> None:
        """Report ``done`` units finished in all, with a short note such as a success rate.

        ``most_s`` is how many seconds are left at most, where the work knows.
        """


class Display(Protocol):
    """Opens progress bars and prints what a person should know; everything goes to stderr."""

    def track(self, title: str, total: int, unit: str) -> AbstractContextManager[Progress]:
        """Open a bar for ``total`` units of work, named ``unit`` in the plural."""

    def say(self, message: str) -> None:
        """Tell the user one line."""


class StopSignal(Protocol):
    """Set by the first Ctrl-C or SIGTERM: finish what is in flight, commit, and return."""

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""


class Silent:
    """A Display, Progress and StopSignal that does nothing: for the Python API and the tests."""

    requested = False

    def track(self, title: str, total: int, unit: str) -> "Silent":
        """Open nothing."""
        return self

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def update(self, done: int, note: str = "", most_s: float | None = None) -> None:
        """Report nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""


SILENT = Silent()
"""For whoever neither watches nor stops."""


class Pace:
    """How far work has come, and how long it still takes."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = printable(title), total, unit
        self.done, self.note, self.is_over = 0, "", False
        self._started = time.monotonic()
        self._first_done: int | None = None
        self._end: float | None = None
        self.is_at_most = False

    def update(self, done: int, note: str, most_s: float | None) -> None:
        """Take how far it is; ``most_s`` is how many seconds are left at most, if that is known."""
        now = time.monotonic()
        self._first_done = done if self._first_done is None else self._first_done
        self.done, self.note = done, printable(note)
        finished = done - self._first_done
        # Where units run side by side, those that end early end first: how many have ended says
        # too little of those that have not, and the time left would grow. A bound does not.
        self.is_at_most = most_s is not None
        if most_s is not None:
            self._end = now + most_s
        elif finished:
            self._end = now + (now - self._started) / finished * (self.total - done)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._started

    @property
    def left_s(self) -> float | None:
        """How many seconds it still takes; None where that is not known, or it is over."""
        if self._end is None or self.is_over or self.done >= self.total:
            return None
        return max(0.0, self._end - time.monotonic())

    @property
    def left(self) -> str:
        """How long it still takes, in words; empty where nothing is known, or it is over."""
        seconds = self.left_s
        return "" if seconds is None else time_left(seconds, at_most=self.is_at_most)

    @property
    def count(self) -> str:
        """``12/40 attempts``."""
        return f"{self.done:,}/{self.total:,} {self.unit}"


def human_duration(seconds: float) -> str:
    """Return a duration as a person says it: ``42 s``, ``3 min 10 s``, ``2 h 5 min``, ``35 d``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def time_left(seconds: float, *, at_most: bool) -> str:
    """Return how long work still takes, in words: a bound, or an estimate."""
    return f"{'at most' if at_most else 'about'} {human_duration(seconds)} left"
