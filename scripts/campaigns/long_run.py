"""Very many attempts with a small classifier: does memory stay flat, and the speed the same?"""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from campaigns.kills import own_network
from campaigns.processes import Running, must
from campaigns.rows import read_only
from campaigns.workshop import DATABASE, PHANTOMS, Workshop

ADD = f"models add own.pt --trust {PHANTOMS}"


@dataclass(frozen=True)
class Sample:
    """A look at the process: attempts committed, processor seconds used, memory in bytes.

    ``yardstick_s`` is what a fixed piece of work took at that moment: a processor second is worth
    more on a quiet machine than beside other work.
    """

    attempts: int
    cpu_s: float
    resident: int
    yardstick_s: float


def _sample(pid: int, database: sqlite3.Connection) -> Sample:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    attempts = database.execute("SELECT MAX(id) FROM attempt").fetchone()[0] or 0
    return Sample(attempts, cpu_s, pages * os.sysconf("SC_PAGE_SIZE"), _yardstick())


def _yardstick() -> float:
    """Return the processor seconds of a fixed piece of work, some thousandths of a second."""
    started = time.process_time()
    words = {number * 31 % 4001: str(number) for number in range(8000)}
    sorted(words.values())
    return time.process_time() - started


@dataclass(frozen=True)
class LongRun:
    """What came of it. The end is compared with the second tenth of the run.

    ``cost_at_the_end`` is the ratio of processor seconds an attempt, each in units of the yardstick
    of that time.
    """

    attempts: int
    wall_s: float
    cpu_ms_an_attempt: float
    cost_at_the_end: float
    memory_at_the_end: float
    resident_mib: float
    bytes_an_attempt: float
    check_s: float
    report_s: float


def campaign(workshop: Workshop, attempts: int) -> LongRun:
    """Make that many attempts, a query each."""
    folder = workshop.copy((), "long")
    (folder / "own.pt").write_bytes(own_network())
    must(ADD, folder)
    database = read_only(folder / DATABASE)
    correct = database.execute(
        "SELECT COUNT(*) FROM prediction p JOIN image i ON i.id = p.image_id "
        "WHERE p.predicted = i.label_set AND i.split = 'test'"
    ).fetchone()[0]
    repeats = -(-attempts // correct)
    before = (folder / DATABASE).stat().st_size
    command = f"attack --dataset oct --attack random --queries 1 --repeats {repeats} --per-class 0"
    running, started = Running(command, folder), time.monotonic()
    samples = list[Sample]()
    while running.process.is_alive():
        time.sleep(0.05)
        try:
            samples.append(_sample(running.process.pid or 0, database))
        except (FileNotFoundError, IndexError, sqlite3.OperationalError):
            continue
    ended = running.wait()
    assert ended.code == 0, ended.errors
    wall_s = time.monotonic() - started
    made = database.execute("SELECT COUNT(*) FROM attempt").fetchone()[0]
    samples = [s for s in samples if s.resident and s.attempts]
    early, late = _part(samples, made, 0.1, 0.2), _part(samples, made, 0.9, 1.0)
    size = (folder / DATABASE).stat().st_size - before
    took = []
    for reader in ("db check", "report --table attacks"):
        begun = time.monotonic()
        must(reader, folder)
        took.append(time.monotonic() - begun)
    return LongRun(
        attempts=made,
        wall_s=wall_s,
        cpu_ms_an_attempt=1000 * _cost(late),
        cost_at_the_end=_in_yardsticks(late) / _in_yardsticks(early),
        memory_at_the_end=max(s.resident for s in late) / max(s.resident for s in early),
        resident_mib=max(s.resident for s in late) / (1 << 20),
        bytes_an_attempt=size / made,
        check_s=took[0],
        report_s=took[1],
    )


def _part(samples: list[Sample], made: int, first: float, last: float) -> list[Sample]:
    part = [s for s in samples if first * made <= s.attempts <= last * made]
    assert len(part) > 1, "the run is too short to compare its parts"
    return part


def _cost(part: list[Sample]) -> float:
    """Return processor seconds an attempt."""
    return (part[-1].cpu_s - part[0].cpu_s) / (part[-1].attempts - part[0].attempts)


def _in_yardsticks(part: list[Sample]) -> float:
    return _cost(part) / median(sample.yardstick_s for sample in part)
