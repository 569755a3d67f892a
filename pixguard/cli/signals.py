"""Ctrl-C twice: the first saves what is in flight, the second stops now."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pixguard.errors import InterruptedRunError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a polite kill, and a terminal that closes."""


class StopFlag:
    """Set by the first of :data:`STOPPING`; a second one raises InterruptedRunError at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.requested = False
        self._say = say

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested:
            raise InterruptedRunError("stopped at once; everything committed so far is kept")
        self.requested = True
        self._say("stopping: committing what is finished (again to stop now)")


@contextmanager
def graceful_stop(say: Callable[[str], None]) -> Iterator[StopFlag]:
    """Install the handlers while the work runs; what nohup has made deaf stays deaf."""
    flag = StopFlag(say)
    heard = [s for s in STOPPING if signal.getsignal(s) != signal.SIG_IGN]
    previous = {s: signal.signal(s, flag.handle) for s in heard}
    try:
        yield flag
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
