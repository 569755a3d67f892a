"""Asks a process to stop, once it is certain which one it is."""

import os
import select
import signal
import time

from pixguard.cli.speech import say
from pixguard.errors import PixguardError, UsageError, listed
from pixguard.reports.status import Look
from pixguard.store.engine import reading
from pixguard.store.presence import Worker, is_same_process, read, workers

TELL_EVERY_S = 30


def to_stop(database: str, pid: int | None) -> Worker | None:
    """Return the process to stop; None where nobody works on the database.

    One that another one started is not asked: what started it hands the wish on.

    Raises:
        UsageError: there are several and none is named, or no such one.
        PixguardError: who works on it is on another computer, or cannot be told.
    """
    living = [w for w in workers(database) if w.state != "gone"]
    pids = {w.pid for w in living}
    first = [w for w in living if w.parent not in pids]
    if pid is not None:
        named = [w for w in living if w.pid == pid]
        if not named:
            there = listed(f"{w.pid} ({w.command})" for w in living) or "nobody"
            raise UsageError(
                f"process {pid} does not work on {database}: {there} does",
                "pixguard status",
            )
        return named[0]
    if len(first) > 1:
        raise UsageError(
            f"several processes work on {database}: "
            + listed(f"{w.pid} ({w.command})" for w in first),
            f"pixguard stop {first[0].pid}, or another",
        )
    if not first:
        _refuse_elsewhere(database)
    return first[0] if first else None


def _refuse_elsewhere(database: str) -> None:
    """Raise where a run goes on that no file beside the database tells of."""
    with reading(database) as engine:
        found = [w for w in Look(engine, database).now()["working"] if w["state"] == "running"]
    for one in found:
        raise PixguardError(
            f"process {one['pid']} on {one['host']} works on {database} from another folder or "
            f"computer: {one['command']}",
            f"pixguard stop {one['pid']}, where it was started",
        )


def stop_one(worker: Worker) -> float:
    """Send SIGTERM, and wait for the end; return how many seconds that took.

    Raises:
        PixguardError: it is not a process of this computer or user.
    """
    elsewhere = PixguardError(
        f"process {worker.pid} is on {worker.host}, or cannot be seen from here",
        f"pixguard stop {worker.pid}, where it runs",
    )
    started = time.monotonic()
    try:
        descriptor = os.pidfd_open(worker.pid)
    except ProcessLookupError:
        raise elsewhere from None
    try:
        # The descriptor is of one process: what is true of it now is of the one that is asked.
        said = read(worker.path) if worker.path is not None else None
        if said is None or not is_same_process(said):
            raise elsewhere
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        except PermissionError:
            raise PixguardError(
                f"process {worker.pid} is another user's", "ask whoever started it"
            ) from None
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        while not ended.poll(1000 * TELL_EVERY_S):
            say("it still finishes what it has in flight (pixguard stop again: at once)")
    finally:
        os.close(descriptor)
    return time.monotonic() - started
