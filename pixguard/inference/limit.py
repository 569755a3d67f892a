"""A limit to how long something may take that cannot be asked to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeIsUpError(Exception):
    """A trial took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise in what takes longer; only the main thread can be interrupted, and only in Python.

    Raises:
        TimeIsUpError: in the midst of it. Again and again, for a compiler may swallow one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
