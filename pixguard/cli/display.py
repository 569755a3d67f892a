"""Progress and messages for people, on stderr: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from pixguard.cli.speech import Speech, speech
from pixguard.cli.wording import as_flags
from pixguard.progress import Progress
from pixguard.words import printable

PLAIN_LINE_EVERY_S = 15.0
WIDEST_BAR, NARROWEST_BAR = 24, 3


class Pace:
    """How far work has come, and how long it still takes."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = printable(title), total, unit
        self.done, self.note, self.is_over = 0, "", False
        self._started = time.monotonic()
        self._first_done: int | None = None
        self._end: float | None = None
        self._at_most = False

    def update(self, done: int, note: str, most_s: float | None) -> None:
        """Take how far it is; ``most_s`` is how many seconds are left at most, if that is known."""
        now = time.monotonic()
        self._first_done = done if self._first_done is None else self._first_done
        self.done, self.note = done, printable(note)
        finished = done - self._first_done
        # Where units run side by side, those that end early end first: how many have ended says
        # too little of those that have not, and the time left would grow. A bound does not.
        self._at_most = most_s is not None
        if most_s is not None:
            self._end = now + most_s
        elif finished:
            self._end = now + (now - self._started) / finished * (self.total - done)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> str:
        """How long it still takes, in words; empty where nothing is known, or it is over."""
        if self._end is None or self.is_over or self.done >= self.total:
            return ""
        seconds = max(0.0, self._end - time.monotonic())
        return f"{'at most' if self._at_most else 'about'} {human_duration(seconds)} left"

    @property
    def count(self) -> str:
        """``12/40 attempts``."""
        return f"{self.done:,}/{self.total:,} {self.unit}"


class Bar:
    """A bar on a terminal: one line where it fits, else the note, and the time, on a second one."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        pace, width = self._pace, options.max_width
        clock = ", ".join(filter(None, (human_duration(pace.elapsed_s), pace.left)))
        room = width - Text(f"{pace.title}  {pace.count}").cell_len
        first, rest = [pace.count], [part for part in (clock, pace.note) if part]
        for part in (clock, pace.note):
            needed = Text(part).cell_len + 2
            if rest and rest[0] == part and room - needed >= NARROWEST_BAR:
                first.append(rest.pop(0))
                room -= needed
        if Text("  ".join(rest)).cell_len <= width:
            rest = ["  ".join(rest)] if rest else []
        bar = self._drawn(min(WIDEST_BAR, room), options.ascii_only)
        for text in (Text.assemble(pace.title, " ", bar, " ", "  ".join(first)), *map(Text, rest)):
            text.truncate(width, overflow="ellipsis")
            yield text

    def _drawn(self, width: int, ascii_only: bool) -> Text:
        full, empty = ("#", "-") if ascii_only else ("━", "╌")
        pace = self._pace
        filled = width * min(pace.done, pace.total) // max(1, pace.total)
        return Text.assemble(
            (full * filled, "bar.complete"), (empty * (width - filled), "bar.back")
        )


class _Shown:
    """Passes progress on to a bar, and to plain lines now and then."""

    def __init__(self, pace: Pace, write: Callable[[str], None]) -> None:
        self._pace, self._write = pace, write
        self._last = time.monotonic()

    def update(self, done: int, note: str = "", most_s: float | None = None) -> None:
        pace, now = self._pace, time.monotonic()
        pace.update(done, note, most_s)
        if done < pace.total and now - self._last < PLAIN_LINE_EVERY_S:
            return
        self._last = now
        parts = (f"{pace.title}: {pace.count}", note, pace.left)
        self._write(", ".join(filter(None, parts)))


class TerminalDisplay:
    """The display of the command line."""

    def __init__(self, chosen: Speech | None = None) -> None:
        self.console = Console(stderr=True)
        self._speech = chosen or speech()
        self._status: Live | None = None

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show on a terminal that something is going on, until there is a bar to show it."""
        if self.console.is_terminal and not self._speech.quiet:
            self._status = Live(Spinner("dots", what), console=self.console, transient=True)
            self._status.start(refresh=True)
        try:
            yield
        finally:
            self._end_waiting()

    def _end_waiting(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    @contextmanager
    def track(self, title: str, total: int, unit: str) -> Iterator[Progress]:
        """Open a bar, or plain lines when stderr is not a terminal."""
        self._end_waiting()
        pace = Pace(title, total, unit)
        if self._speech.quiet or not self.console.is_terminal:
            yield _Shown(pace, self._line)
            return
        with Live(Bar(pace), console=self.console, refresh_per_second=4):
            yield _Shown(pace, self._speech.log)
            pace.is_over = True  # perhaps before its total: what stops early leaves nothing

    def say(self, message: str) -> None:
        """Print one line to stderr."""
        if self._status is not None:  # what was waited for is there; more is to come
            self._status.update(Spinner("dots", "preparing"))
        self._line(as_flags(message))

    def _line(self, text: str) -> None:
        self._speech.log(text)
        if self._speech.quiet:
            return
        if self._speech.verbose:
            text = f"{time.strftime('%H:%M:%S')}  {text}"
        self.console.print(
            printable(text), highlight=False, soft_wrap=True, markup=False, emoji=False
        )


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
