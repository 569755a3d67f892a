"""Commands in processes of their own, forked from one that has imported everything already.

Importing torch takes seconds; a campaign starts hundreds of processes. Each is a real one, with its
own pid, that a signal ends as it would end a user's.
"""

import multiprocessing
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = (
    "pixguard.cli.app pixguard.runner.attacking pixguard.runner.classifier_training "
    "pixguard.runner.denoiser_training pixguard.runner.restoring pixguard.runner.scoring "
    "pixguard.runner.detecting pixguard.runner.certifying pixguard.runner.detector_training "
    "pixguard.runner.importing pixguard.reports pixguard.store.maintenance torchvision "
    "sklearn.svm campaigns.hooks"
).split()

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(PRELOADED)

Setup = Callable[[Path], None]
"""What a process does before the command, in its folder: it must be a module's function."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: ``code`` is negative where a signal ended it."""

    code: int
    out: str
    errors: str

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.code == -signal.SIGKILL


class Running:
    """A command at work in a folder.

    Args:
        command: what stands after ``pixguard``.
        folder: to work in.
        setup: called first, in the process.
        environment: changes to the variables; None removes one.
        name: of the files beside the folder that its streams go to.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        folder: Path,
        setup: Setup | None = None,
        environment: Mapping[str, str | None] | None = None,
        name: str = "streams",
    ) -> None:
        words = shlex.split(command) if isinstance(command, str) else list(command)
        self._streams = [folder.parent / f"{name}.{stream}" for stream in ("out", "err")]
        arguments = (words, str(folder), [str(s) for s in self._streams], setup, environment or {})
        self.process: BaseProcess = _CONTEXT.Process(target=_serve, args=arguments)
        self.process.start()

    def signal(self, number: int) -> None:
        """Send a signal; nothing where it has ended."""
        if self.process.pid is not None and self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def wait(self, seconds: float = 600.0) -> Ended:
        """Return how it ended.

        Raises:
            TimeoutError: it has not; it is killed.
        """
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"still at work after {seconds:.0f} s: {self.errors()[-500:]}")
        assert self.process.exitcode is not None
        out = self._streams[0].read_text(errors="replace")
        return Ended(self.process.exitcode, out, self.errors())

    def errors(self) -> str:
        """Return what it has written to stderr until now."""
        with suppress(FileNotFoundError):
            return self._streams[1].read_text(errors="replace")
        return ""

    def wait_until(self, said: str, seconds: float = 60.0) -> None:
        """Wait until stderr holds some words, or it has ended.

        Raises:
            TimeoutError: it says them not.
        """
        end = time.monotonic() + seconds
        while said not in self.errors() and self.process.is_alive():
            if time.monotonic() > end:
                raise TimeoutError(f"never said {said!r}: {self.errors()[-500:]}")
            time.sleep(0.01)


def run(
    command: str | Sequence[str],
    folder: Path,
    setup: Setup | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> Ended:
    """Run a command to its end."""
    return Running(command, folder, setup, environment).wait()


def must(command: str, folder: Path, setup: Setup | None = None) -> Ended:
    """Run a command that has to succeed.

    Raises:
        AssertionError: it did not.
    """
    ended = run(command, folder, setup)
    assert ended.code == 0, f"pixguard {command}: exit {ended.code}\n{ended.errors[-2000:]}"
    return ended


def _serve(
    words: list[str],
    folder: str,
    streams: list[str],
    setup: Setup | None,
    environment: Mapping[str, str | None],
) -> None:
    """Be the command: in its folder, with its streams, until it exits."""
    from pixguard.cli.app import main

    # A campaign behind nohup or & hears neither; its commands stand for some in a terminal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir(folder)
    for number, path in zip((1, 2), streams, strict=True):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
    os.environ["XDG_CONFIG_HOME"] = f"{folder}/.config"
    for name, value in environment.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    sys.argv = ["pixguard", *words]
    if setup is not None:
        setup(Path(folder))
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
