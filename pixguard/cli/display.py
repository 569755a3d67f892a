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
from pixguard.progress import Pace, Progress, human_duration
from pixguard.words import printable

PLAIN_LINE_EVERY_S = 15.0
WIDEST_BAR, NARROWEST_BAR = 24, 3


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
