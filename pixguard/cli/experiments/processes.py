"""Each step in a process of its own, which does not outlive the one that started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from pixguard.cli.signals import STOPPING

ONE_STEP = "pixguard.cli.experiments"
"""What is run as a module for a step: its ``__main__``."""
KILLS = 3
"""The how-manieth signal is not asked nicely any more."""


class Steps:
    """Runs command lines one after the other, and hands signals on to the one that runs.

    The first Ctrl-C or SIGTERM ends the running step as it ends a command that was typed: what is
    in flight is committed; a second one stops it now, a third one kills it. A step has a process
    group of its own, so that a terminal's Ctrl-C reaches it through here, and once.
    """

    def __init__(self) -> None:
        self._stops = 0
        self._running: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Steps":
        heard = [s for s in STOPPING if signal.getsignal(s) != signal.SIG_IGN]
        self._before = {s: signal.signal(s, self._hand_on) for s in heard}
        return self

    def __exit__(self, *exc: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        if self._running is not None:  # an error here: the step must not go on alone
            self._running.terminate()
            self._running.wait()

    def _hand_on(self, signum: int, frame: FrameType | None) -> None:
        self._stops += 1
        if self._running is not None:
            self._running.send_signal(signal.SIGTERM if self._stops < KILLS else signal.SIGKILL)

    def were_stopped(self) -> bool:
        """Say whether a stop was asked for."""
        return self._stops > 0

    def run(self, words: Sequence[str]) -> int:
        """Run a command line without ``pixguard``, and return its exit code.

        What it prints goes to stderr: stdout is for what the whole plan comes to. One that was
        killed has the code that a shell gives it, 128 and its signal.
        """
        sys.stderr.flush()
        self._running = subprocess.Popen(
            [sys.executable, "-P", "-m", ONE_STEP, str(os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=2,
            process_group=0,
        )
        if self._stops:  # between the last step and this one
            self._running.send_signal(signal.SIGTERM)
        code = self._running.wait()
        self._running = None
        return code if code >= 0 else 128 - code
