#!/usr/bin/env python3
"""Where many GPUs stop helping: one client and its workers, or shards that are merged afterwards.

    scripts/simulate_cluster.py --attempt-s 0.34
    scripts/simulate_cluster.py --attempt-s 0.05 --gpus 64,512 --written-per-second 4000

An event simulation of ``pixguard attack --scheduler`` on the OCT table (21,024 images). Chunks are
sized by pixguard's own code. Sending, and taking an answer, keep the client busy for what
``scripts/bench_cluster.py --json`` measures; messages pass the scheduler one after the other at
``--bandwidth``. ``--attempt-s`` is what an attempt takes on one GPU that uses its whole budget
(10,100 candidates: at 30,000 a second, 0.34 s); a share of them succeeds early. What is printed is
reckoned, not measured.

Shards get every n-th attempt, run each for themselves, and their files are merged by one process,
at ``--merged-per-second`` rows and ``--merge-file-s`` a file.
"""

import argparse
import heapq
import random
import sys
from dataclasses import dataclass

from pixguard.runner.pace import Pace


@dataclass(frozen=True)
class Costs:
    """What things cost: seconds, bytes, and per second."""

    attempts: int
    attempt_s: float
    succeeding: float
    ready_s: float
    trip_ms: float
    written_per_second: float
    kit_bytes: float
    job_bytes: float
    answer_bytes: float
    bandwidth: float
    merged_per_second: float
    merge_file_s: float

    def durations(self, seed: int = 0) -> list[float]:
        """Return what each attempt takes: its whole budget, or a part of it where it succeeds."""
        draw = random.Random(seed)
        return [
            self.attempt_s * (draw.random() if draw.random() < self.succeeding else 1.0)
            for _ in range(self.attempts)
        ]


@dataclass(frozen=True)
class Came:
    """How it went: the time in all, and what share of it somebody was busy."""

    seconds: float
    gpus: float
    client: float
    scheduler: float


def by_client(costs: Costs, gpus: int) -> Came:
    """Return how one client with that many workers fares."""
    todo, pace = costs.durations()[::-1], Pace()
    work_s = sum(todo)
    # Weights go to all in a tree: each that has them sends them on.
    begin_s = costs.ready_s + costs.kit_bytes / costs.bandwidth * gpus.bit_length()
    client_s = scheduler_s = begin_s
    client_busy = scheduler_busy = 0.0
    end_s = begin_s
    events = [(begin_s, worker, 0, 0.0) for worker in range(gpus)]  # free, with how many, after
    heapq.heapify(events)
    while events:
        free_s, worker, made, took_s = heapq.heappop(events)
        # The answer passes the scheduler, then the client, which then sends the next chunk.
        size = pace.size(len(todo), gpus) if todo else 0
        passing = (made * costs.answer_bytes + size * costs.job_bytes) / costs.bandwidth
        scheduler_s = max(scheduler_s, free_s) + passing
        taking = made / costs.written_per_second + costs.trip_ms / 1000
        client_s = max(client_s, scheduler_s) + taking
        scheduler_busy, client_busy = scheduler_busy + passing, client_busy + taking
        end_s = client_s
        if made:
            pace.take(made, took_s)
        if size := min(size, len(todo)):
            took = sum(todo.pop() for _ in range(size))
            heapq.heappush(events, (client_s + took, worker, size, took))
    return Came(end_s, work_s / (gpus * end_s), client_busy / end_s, scheduler_busy / end_s)


def by_shards(costs: Costs, gpus: int) -> tuple[float, float, float]:
    """Return how shards fare: seconds in all, of those the merge, and the GPUs' busy share."""
    each = costs.durations()
    longest = costs.ready_s + max(sum(each[n::gpus]) for n in range(gpus))
    merge = costs.merge_file_s * gpus + costs.attempts / costs.merged_per_second
    merge = merge if gpus > 1 else 0.0
    return longest + merge, merge, sum(each) / (gpus * (longest + merge))


def main() -> int:
    """Simulate what the command line asks for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    numbers = {
        "attempts": 21_024,
        "attempt_s": 0.34,
        "succeeding": 0.4,
        "ready_s": 20.0,
        "trip_ms": 20.0,
        "written_per_second": 2_600.0,
        "kit_bytes": 94e6,
        "job_bytes": 50_500.0,
        "answer_bytes": 1_000.0,
        "bandwidth": 1e8,
        "merged_per_second": 20_000.0,
        "merge_file_s": 0.1,
    }
    for name, value in numbers.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(value), default=value)
    parser.add_argument("--gpus", default="1,8,64,512")
    chosen = vars(parser.parse_args())
    gpus = [int(word) for word in chosen.pop("gpus").split(",")]
    costs = Costs(**chosen)
    print(
        "| GPUs | workers, s | GPUs busy | client busy | scheduler busy "
        "| shards, s | of which merge, s | GPUs busy |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in gpus:
        came, (seconds, merge, share) = by_client(costs, count), by_shards(costs, count)
        print(
            f"| {count} | {came.seconds:,.0f} | {came.gpus:.0%} | {came.client:.0%} "
            f"| {came.scheduler:.0%} | {seconds:,.0f} | {merge:,.0f} | {share:.0%} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
