"""``--detach``: the same command in a session of its own, which outlives the terminal."""

import os
import subprocess
import sys
import time
from pathlib import Path

import typer

from pixguard.cli.common import print_json, print_result
from pixguard.cli.groups import OutputOptions
from pixguard.errors import PixguardError
from pixguard.files import write_atomically
from pixguard.store.engine import check_place
from pixguard.store.location import files_folder, locate
from pixguard.store.presence import workers
from pixguard.words import command_line

MARK = "PIXGUARD_DETACHED"
"""Set for who must not detach: it has, or is a step of what does."""
LOGS = "logs"
"""The folder in :func:`pixguard.store.location.files_folder` for what detached commands say."""
LOOK_EVERY_S = 0.1


def is_wanted() -> bool:
    """Whether a command that is told to detach has not yet."""
    return MARK not in os.environ


def detach(output: OutputOptions) -> None:
    """Start the command that was typed once more, detached; return when it is at work.

    Where it ends before, what it said is said here, and its exit code is this one's.
    """
    location = locate(output.database)
    if location.path is not None:
        check_place(location, create=True)
    words = [word for word in sys.argv[1:] if word != "--detach"]
    name = next((word for word in words if not word.startswith("-")), "pixguard")
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    log = (files_folder(output.database) / LOGS / stem).with_suffix(".log").absolute()
    results = log.with_suffix(".out")
    for path in (log, results):
        write_atomically(path, b"")
    with log.open("ab") as said, results.open("ab") as printed:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "pixguard", *words],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=said,
            start_new_session=True,
            env={**os.environ, MARK: "1"},
        )
    try:
        while child.poll() is None and not _is_at_work(output.database, child.pid):
            time.sleep(LOOK_EVERY_S)
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if child.returncode is not None:
        _say_what_it_said(log, results, child.returncode)
        return
    told = {"pid": child.pid, "log": str(log), "result": str(results)}
    if output.json:
        print_json({"detached": True, **told})
        return
    at = [] if location.name == "pixguard.db" else ["--db", output.database]
    look, end = (
        command_line(["pixguard", *words, *at]) for words in (["status"], ["stop", str(child.pid)])
    )
    print_result({**told, "look": look, "end": end}, as_json=False)


def _is_at_work(database: str, pid: int) -> bool:
    return any(w.pid == pid and w.state == "running" for w in workers(database))


def _say_what_it_said(log: Path, results: Path, code: int) -> None:
    """Be as the command itself would have been: what there is to tell is told."""
    for path, err in ((results, False), (log, True)):
        typer.echo(path.read_text(encoding="utf-8", errors="replace"), nl=False, err=err)
        path.unlink()
    if code < 0:
        raise PixguardError(f"the command was killed by signal {-code} before it was at work")
    if code:
        raise typer.Exit(code)
