"""Progress and messages for people, on stderr: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from pixguard.cli.wording import as_flags
from pixguard.progress import Progress

PLAIN_LINE_EVERY_S = 15.0


class _Bar:
    """A bar on a terminal."""

    def __init__(self, progress: RichProgress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, done: int, note: str = "") -> None:
        self._progress.update(self._task, completed=done, note=note)


class _Lines:
    """A plain line now and then, for logs: done/total, the note, and the time that is left."""

    def __init__(self, console: Console, title: str, total: int, unit: str) -> None:
        self._console = console
        self._title = title
        self._total = total
        self._unit = unit
        self._started = self._last = time.monotonic()
        self._first_done: int | None = None

    def update(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        self._first_done = done if self._first_done is None else self._first_done
        if done < self._total and now - self._last < PLAIN_LINE_EVERY_S:
            return
        self._last = now
        finished = done - self._first_done
        line = f"{self._title}: {done}/{self._total} {self._unit}"
        if note:
            line += f", {note}"
        if finished and done < self._total:
            left = (now - self._started) / finished * (self._total - done)
            line += f", about {human_duration(left)} left"
        self._console.print(line, highlight=False, soft_wrap=True)


class TerminalDisplay:
    """The display of the command line."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    @contextmanager
    def track(self, title: str, total: int, unit: str) -> Iterator[Progress]:
        """Open a bar, or plain lines when stderr is not a terminal."""
        if not self.console.is_terminal:
            yield _Lines(self.console, title, total, unit)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("[dim]{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self.console) as progress:
            yield _Bar(progress, progress.add_task(title, total=total, note=""))

    def say(self, message: str) -> None:
        """Print one line to stderr."""
        self.console.print(as_flags(message), highlight=False, soft_wrap=True, markup=False)


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
