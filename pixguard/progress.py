"""How long-running work tells its progress, without knowing who listens."""

from contextlib import AbstractContextManager
from typing import Protocol


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
