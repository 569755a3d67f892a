"""Readers beside a writer: nobody gets an error, and every count is one that was true."""

import multiprocessing
import sqlite3
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from campaigns import hooks
from campaigns.processes import Running, must
from campaigns.rows import read_only
from campaigns.workshop import DATABASE, TRAIN, Workshop

WRITER = "attack --dataset oct --attack random --queries 1 --per-class 0 --resume --repeats"
REPEATS_A_SECOND = 100
"""More than it can make of the phantoms' some 60 test images."""


@dataclass
class Seen:
    """What one reader saw."""

    reads: int = 0
    attempts: int = 0
    faults: tuple[str, ...] = ()


def read(database: str, stop: Event, answers: "multiprocessing.Queue[Seen]", number: int) -> None:
    """Read in turn as reports do and as SQL clients do, until told to stop."""
    from pixguard.reports import table
    from pixguard.store import maintenance

    seen, faults = Seen(), list[str]()
    while not stop.is_set():
        try:
            connection = read_only(Path(database))
            connection.execute("BEGIN")
            attempts = connection.execute("SELECT COUNT(*) FROM attempt").fetchone()[0]
            changed = "SELECT COUNT(DISTINCT attempt_id) FROM pixel"
            whole = connection.execute(changed).fetchone()[0]
            if attempts != connection.execute("SELECT COUNT(*) FROM attempt").fetchone()[0]:
                faults.append("the count changed within one transaction")
            connection.close()
            if attempts < seen.attempts:
                faults.append(f"{seen.attempts} attempts, then {attempts}")
            if whole != attempts:
                faults.append(f"{attempts} attempts, pixels of {whole}")
            seen.attempts = attempts
            if number % 4 == 0:
                table(database, "attacks")
            elif number % 4 == 1:
                maintenance.info(database)
            seen.reads += 1
        except Exception as error:
            faults.append(repr(error))
    seen.faults = tuple(faults)
    answers.put(seen)


def campaign(workshop: Workshop, readers: int, seconds: float) -> tuple[int, list[Seen], str]:
    """Return the attempts that were written in that time, what readers saw, and the check."""
    folder = workshop.copy((TRAIN,), "read")
    writer = Running(f"{WRITER} {int(REPEATS_A_SECOND * seconds) + 100}", folder, hooks.often)
    writer.wait_until("attacking")
    context = multiprocessing.get_context("forkserver")
    stop, answers = context.Event(), context.Queue()
    database = str(folder / DATABASE)
    others = [
        context.Process(target=read, args=(database, stop, answers, n)) for n in range(readers)
    ]
    for other in others:
        other.start()
    time.sleep(seconds)
    stop.set()
    seen = [answers.get(timeout=120) for _ in others]
    writer.signal(2)
    ended = writer.wait()
    assert ended.code == 130, ended.errors
    checked = must("db check", folder).out.strip()
    attempts = sqlite3.connect(database).execute("SELECT COUNT(*) FROM attempt").fetchone()[0]
    return attempts, seen, checked
