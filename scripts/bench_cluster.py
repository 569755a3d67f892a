#!/usr/bin/env python3
"""What workers cost and bring: the same attempts here, by one worker, and by several.

    scripts/bench_cluster.py --workers 2 --chunk-s 5 --attempts 3000 --rounds 3

Each round makes the attempts of one plan three times, one after the other: in this process with one
thread, by one worker, by ``--workers``. Times run from the first candidate to the last outcome;
what it takes to start workers is told apart. Each ratio is the median over the rounds of one within
a round, so that a machine that is busy in one and idle in the next does not decide it. Processor
seconds are told as well: they hardly depend on what else the machine does.

It trains a small classifier of OCT phantoms first. ``--json`` also gives what
``scripts/simulate_cluster.py`` reckons with: bytes of messages, and how many attempts a second one
client writes down.
"""

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from pixguard.config import AttackSettings, DatasetRequest
from pixguard.records import AttackRecord
from pixguard.runner import cluster, dispatch, execution, pace, planning
from pixguard.runner.judging import judge_test_images
from pixguard.runner.kits import known_kit
from pixguard.runner.outcomes import Budget
from pixguard.runner.plan import Plan
from pixguard.runner.searching import Crew, Here, make_jobs
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject, open_subject

TRIPS = 50
TRAIN = (
    "train --dataset oct --source phantom --size {size} --images 400 --model {model} "
    "--epochs 6 --learning-rate 0.02 --batch-size 32"
)


class Bench:
    """One plan, to be carried out in several ways.

    Args:
        folder: with the database of one classifier.
        attempts: how many, at least.
    """

    def __init__(self, folder: Path, attempts: int) -> None:
        self._file = folder / "in-flight"  # no device: it is removed at the end
        self.session = Session.of(str(folder / "pixguard.db"), "cpu")
        subject = open_subject(self.session, DatasetRequest("oct"), "latest")
        self.settings = AttackSettings(repeats=-(-attempts // 24), limit=24)
        self.search, self.record = planning.open_search(subject, self.settings)
        with self.session.writer({}, 0) as writer:
            self.subject: Subject = subject.registered(writer)
            found = judge_test_images(self.session, writer, self.subject, "")
            self.plan = self._plan(writer.engine, found)

    def _plan(self, engine: Any, predictions: Any) -> Plan:
        record: AttackRecord = self.record
        return planning.make_plan(
            self.session, engine, self.subject, record, self.settings, predictions
        )

    def seconds(self, crew: Crew) -> float:
        """Return how long the attempts take, from the first candidate to the last outcome."""
        budget = Budget(self.search, self.subject, self.plan.todo)
        started = time.perf_counter()
        self.ends = list(crew.attempts(self.plan, self._file, budget, lambda asked: None))
        assert len(self.ends) == len(self.plan.todo)
        return time.perf_counter() - started

    def here(self) -> float:
        """Return the seconds that this process takes."""
        session, subject = self.session, self.subject
        return self.seconds(Here(session, subject, self.settings, self.search, lambda _: None))

    def by(self, count: int) -> tuple[float, float]:
        """Return the seconds that workers take, and those to start them and to make them ready."""
        started = time.perf_counter()
        with cluster.started(count, [torch.device("cpu")], lambda _: None) as workers:
            crew = self._dispatch(workers)
            workers.client.wait_for_workers(count)
            warm = Plan(self.record, self.plan.todo[: 2 * count], {}, self.plan.predictions)
            budget = Budget(self.search, self.subject, warm.todo)
            list(crew.attempts(warm, self._file, budget, lambda asked: None))
            ready, (address, *_) = time.perf_counter() - started, workers.addresses()
            started = time.perf_counter()
            for number in range(TRIPS):
                workers.addresses()
                options = {"workers": [address], "pure": False}
                workers.client.submit(abs, number, **options).result()
            self.trip_ms = (time.perf_counter() - started) / TRIPS * 1000
            before, own = workers.client.run(time.process_time), time.process_time()
            seconds = self.seconds(crew)
            after = workers.client.run(time.process_time)
            self.of_workers_s = sum(after.values()) - sum(before.values())
            self.of_client_s = time.process_time() - own
            return seconds, ready

    def _dispatch(self, workers: cluster.Workers) -> dispatch.Dispatch:
        own, say = self.subject.dataset.info, lambda _: None
        return dispatch.Dispatch(
            self.session, self.subject, self.settings, own, workers, "cpu", say
        )

    def messages(self) -> dict[str, float]:
        """Return the bytes of what is sent: once a worker, and there and back an attempt."""
        session, subject, plan = self.session, self.subject, self.plan
        jobs = list(make_jobs(session, subject, plan.todo[:24], self.settings, plan.predictions))
        crew = self._dispatch(None)  # type: ignore[arg-type] # nothing is sent: a kit needs no workers
        back = [end for end, _ in self.ends[:24]]
        return {
            "kit_bytes": len(pickle.dumps(known_kit(crew, plan))),
            "job_bytes": len(pickle.dumps(jobs)) / len(jobs),
            "answer_bytes": len(pickle.dumps(back)) / len(back),
        }

    def written_per_second(self) -> float:
        """Return how many attempts a second one client takes and commits, made by nobody."""
        ends, started = self.ends, time.perf_counter()

        class Replayed:
            used: dict[str, str] = {"delta": "float32"}  # noqa: RUF012 (one is made, once)

            def attempts(self, part: Plan, file: Path, budget: Budget, tell: Callable) -> Iterator:
                nonlocal started
                started = time.perf_counter()
                for number, end in enumerate(ends):
                    yield end
                    if number % 64 == 0:
                        tell(number)

        with self.session.writer({}, 0) as writer:
            execution.carry_out(
                self.session,
                writer,
                self.subject,
                self.plan,
                self.settings,
                self.search,
                Replayed(),
            )
            writer.flush()
            return len(ends) / (time.perf_counter() - started)


def main() -> int:
    """Measure what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--chunk-s", type=float, default=5.0)
    parser.add_argument("--attempts", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--model", default="small-cnn")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    pace.WANTED_S = pace.SHORTEST_S = chosen.chunk_s
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        words = TRAIN.format(size=chosen.size, model=chosen.model).split()
        command = [sys.executable, "-m", "pixguard", *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        bench = Bench(folder, chosen.attempts)
        rounds = []
        for _ in range(chosen.rounds):
            begun, here = time.process_time(), bench.here()
            cpu = {"here_cpu_s": time.process_time() - begun}
            one, ready = bench.by(1)
            cpu |= {"one_cpu_s": bench.of_workers_s, "client_cpu_s": bench.of_client_s}
            many, _ = bench.by(chosen.workers)
            times = {"here_s": here, "one_s": one, "many_s": many, "ready_s": ready}
            rounds.append({**times, **cpu})
            print(", ".join(f"{k} {v:.2f}" for k, v in rounds[-1].items()), file=sys.stderr)
        found = {
            "attempts": len(bench.plan.todo),
            "chunk_s": chosen.chunk_s,
            "workers": chosen.workers,
            "overhead": statistics.median(r["one_s"] / r["here_s"] - 1 for r in rounds),
            "overhead_of_workers_cpu": statistics.median(
                r["one_cpu_s"] / r["here_cpu_s"] - 1 for r in rounds
            ),
            "client_cpu_share": statistics.median(r["client_cpu_s"] / r["one_s"] for r in rounds),
            "speedup_over_one_worker": statistics.median(r["one_s"] / r["many_s"] for r in rounds),
            "speedup_over_here": statistics.median(r["here_s"] / r["many_s"] for r in rounds),
            "ready_s": statistics.median(r["ready_s"] for r in rounds),
            "trip_ms": bench.trip_ms,
            **bench.messages(),
            "written_per_second": bench.written_per_second(),
            "rounds": rounds,
        }
    if chosen.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if not isinstance(value, list):
            print(f"{name:<24} {value:,.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
