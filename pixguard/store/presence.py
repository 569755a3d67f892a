"""Who works on a database now: a small file beside it for each process, held while it lives.

It says what the process does and how far it is, for ``pixguard status``, and is no result: it goes
with the process. The kernel's ``flock`` on it ends however the process ends, and the moment at
which a process began tells it from a later one with the same number.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from pixguard.errors import PixguardError
from pixguard.files import is_held
from pixguard.progress import Display, Pace, Progress
from pixguard.store.location import files_folder, locate

FOLDER = "running"
"""Where the files lie, in :func:`pixguard.store.location.files_folder`."""
BEAT_EVERY_S = 5.0
SILENT_AFTER_S = 60.0
"""Since when a process that does not beat is said to be silent: it is stopped, or cut off."""

State = Literal["running", "silent", "gone"]


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that works on a database, or did when it was killed.

    ``parent`` is the process that started it; ``doing`` has the ``title``, ``done``, ``total``,
    ``unit``, ``note``, ``left_s`` and ``at_most`` of its progress, and what else the work told.
    """

    command: str
    host: str
    pid: int
    parent: int
    started_ms: int
    beat_ms: int
    state: State
    doing: dict[str, Any]
    path: Path | None = None


class Presence:
    """The file of this process beside a database, while it works; else it does nothing.

    Where the file cannot be written the work goes on without.

    Args:
        database: what it works on.
        command: the command line.
    """

    def __init__(self, database: str, command: str) -> None:
        self._folder = files_folder(database) / FOLDER
        self._said = {"database": _name(database), "command": command, **_this_process()}
        self._facts: dict[str, Any] = {}
        self._pace: Pace | None = None
        self._beats: list[Callable[[], None]] = []
        self._depth, self._size, self._descriptor = 0, 0, -1
        self._guard, self._over = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def at_work(self, beat: Callable[[], None] | None = None) -> Iterator[None]:
        """Be there until the end, the outermost one; ``beat`` is called every few seconds.

        It is called from another thread, and must be quick.
        """
        self._depth += 1
        if beat is not None:
            with self._guard:
                self._beats.append(beat)
        if self._depth == 1:
            self._begin()
        try:
            yield
        finally:
            self._depth -= 1
            if beat is not None:
                with self._guard:  # not while it beats: what it needs is about to be closed
                    self._beats.remove(beat)
            if self._depth == 0:
                self._end()

    def tell(self, **facts: Any) -> None:
        """Say more of what is done, until the end of the progress that runs."""
        self._facts |= facts

    def watching(self, display: Display) -> Display:
        """Return a display that shows the same, and whose progress stands in the file."""
        return _Watched(display, self)

    @contextmanager
    def follow(self, pace: Pace) -> Iterator[None]:
        """Let a piece of work be what is done now."""
        before = self._pace, self._facts
        self._pace, self._facts = pace, {}
        try:
            yield
        finally:
            self._pace, self._facts = before

    def _begin(self) -> None:
        self._said["started_ms"] = time.time_ns() // 1_000_000
        with suppress(OSError):
            self._folder.parent.mkdir(exist_ok=True)
            self._folder.mkdir(exist_ok=True)
            _remove_gone(self._folder)
            path = self._folder / f"{os.getpid()}-{token_hex(4)}.json"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor, self._path, self._size = os.open(path, flags, 0o644), path, 0
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._write()
        self._over.clear()
        self._thread = threading.Thread(target=self._go_on, name="presence", daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        while not self._over.wait(BEAT_EVERY_S):
            self._write()
            with self._guard:
                for beat in self._beats:
                    with suppress(PixguardError):  # the work itself will meet it
                        beat()

    def _write(self) -> None:
        """Write in one call, over what is there: a rename would lose the lock."""
        if self._descriptor < 0:
            return
        pace, doing = self._pace, dict(self._facts)
        if pace is not None:
            names = ("title", "done", "total", "unit", "note", "left_s")
            doing |= {name: getattr(pace, name) for name in names} | {"at_most": pace.is_at_most}
        said = {**self._said, "beat_ms": time.time_ns() // 1_000_000, "doing": doing}
        text = json.dumps(said).encode()
        with suppress(OSError):
            os.pwrite(self._descriptor, text.ljust(self._size), 0)
            self._size = max(self._size, len(text))

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._descriptor >= 0:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1
            for folder in (self._folder, self._folder.parent):
                with suppress(OSError):  # it holds something
                    folder.rmdir()


class _Watched:
    """A display that passes everything on, and lets a presence follow."""

    def __init__(self, display: Display, presence: Presence) -> None:
        self._display, self._presence = display, presence
        self.say = display.say

    @contextmanager
    def track(self, title: str, total: int, unit: str) -> Iterator[Progress]:
        """Open a bar, and follow it."""
        pace = Pace(title, total, unit)
        with self._display.track(title, total, unit) as progress, self._presence.follow(pace):
            yield _Followed(progress, pace)


@dataclass(frozen=True, slots=True)
class _Followed:
    progress: Progress
    pace: Pace = field(repr=False)

    def update(self, done: int, note: str = "", most_s: float | None = None) -> None:
        self.pace.update(done, note, most_s)
        self.progress.update(done, note, most_s)


def workers(database: str) -> list[Worker]:
    """Return who works on a database, by this computer's files beside it, oldest first.

    Those that were killed are among them until another command begins.
    """
    folder, name = files_folder(database) / FOLDER, _name(database)
    found = (_read(path, name) for path in _listed(folder))
    return sorted((w for w in found if w is not None), key=lambda w: w.started_ms)


def process_began(pid: int) -> int | None:
    """Return when a process of this computer began, in ticks since it was started; None: it is not.

    A number that is given anew, with another beginning, is another process. Source: proc(5).
    """
    try:
        status = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(status.rpartition(")")[2].split()[19])


def is_here(said: dict[str, Any]) -> bool:
    """Whether a process that said this of itself was one of this computer since it was started."""
    return (said.get("host"), said.get("boot")) == (socket.gethostname(), _boot())


def is_same_process(said: dict[str, Any]) -> bool:
    """Whether the very process that said this of itself lives here."""
    began = said.get("began")
    return is_here(said) and began is not None and process_began(int(said["pid"])) == began


def read(path: Path) -> dict[str, Any] | None:
    """Return what a process said of itself in its file; None where that cannot be read."""
    for _ in range(3):  # it may be written just now
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return said if isinstance(said, dict) else None
        except ValueError:
            time.sleep(0.01)
        except OSError:
            return None
    return None


def _read(path: Path, name: str) -> Worker | None:
    said = read(path)
    if said is None or said.get("database") != name:
        return None
    try:
        beat_ms = int(said["beat_ms"])
        silent = time.time() - beat_ms / 1000 > SILENT_AFTER_S
        state: State = "silent" if silent else "running"
        if is_here(said) and _is_gone(path, said):
            state = "gone"
        pid, parent, started_ms = (int(said[key]) for key in ("pid", "parent", "started_ms"))
        who = said["command"], said["host"], pid, parent
        return Worker(*who, started_ms, beat_ms, state, said["doing"], path)
    except (KeyError, TypeError, ValueError):
        return None


def _remove_gone(folder: Path) -> None:
    for path in _listed(folder):
        said = read(path)
        if said is not None and is_here(said) and _is_gone(path, said):
            path.unlink(missing_ok=True)


def _is_gone(path: Path, said: dict[str, Any]) -> bool:
    """Whether a process of this computer is no more.

    One in a container has another number there, and holds its file; where a file system has no
    locks, the number and the beginning tell.
    """
    return not is_held(path) and not is_same_process(said)


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _name(database: str) -> str:
    location = locate(database)
    return location.name if location.path is None else str(location.path)


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    here = {"host": socket.gethostname(), "boot": _boot(), "began": process_began(pid)}
    return {**here, "pid": pid, "parent": os.getppid()}


@cache
def _boot() -> str:
    """Return what tells this start of the computer from others; '' where the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
