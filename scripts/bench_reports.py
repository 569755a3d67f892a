#!/usr/bin/env python3
"""How long reports on a large database take. Reports times, asserts none.

    scripts/bench_reports.py --attempts 1000000
    scripts/bench_reports.py --db /var/tmp/million.db --keep      # made once, timed again

Makes a database of synthetic rows (no image, no network): four datasets, two classifiers on each,
seven attack plans on each of these, every attempt with its pixels; 100,000 restorations with five
metrics each. Then it prints the seconds of each table inside one process, those of the whole
commands ``report --table 32`` and ``report --all``, and the steps of a query's plan that read a
large table from end to end without an index.

The table is Markdown, on stdout.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.report_database import make
from pixguard.reports.build import build_table
from pixguard.reports.evidence import Evidence
from pixguard.reports.querying import make_query
from pixguard.reports.report_table import Query
from pixguard.reports.specs import families, table_specs
from pixguard.reports.studies import PAPER_ATTACK
from pixguard.reports.tables.request import TableRequest
from pixguard.store.engine import open_engine

LARGE = (
    "attempt",
    "attempts_that_count",
    "pixel",
    "restoration",
    "clean_restorations",
    "score",
    "image",
    "prediction",
)
CHOOSING = (
    *(make_query(name, attack_name=PAPER_ATTACK) for name in ("attack_plans", "denoised_plans")),
    make_query("attacked_pairs"),
)
"""What is asked to choose what a table is about, before it is built."""


def scans(engine: Engine, queries: Iterable[Query]) -> set[str]:
    """Return the steps of the plans of queries that read a large table without an index."""
    found = set()
    with engine.connect() as connection:
        for query in queries:
            plan = connection.execute(
                text(f"EXPLAIN QUERY PLAN {query.sql}"), dict(query.parameters)
            )
            for row in plan:
                step = str(row.detail)
                words = step.split()
                if words[0] == "SCAN" and "USING" not in step and _is_large(words[1], query.sql):
                    found.add(f"{query.name}: {step}")
    return found


def _is_large(alias: str, sql: str) -> bool:
    """Say whether a name in a plan stands for a large table: directly, or as its alias."""
    words = sql.replace("\n", " ").split()
    pairs = pairwise(words)
    return alias in LARGE or any(a in LARGE and b.rstrip(",)") == alias for a, b in pairs)


def time_tables(engine: Engine) -> Iterator[tuple[str, float, float, int, set[str]]]:
    """Yield name, seconds by the clock and of the CPU, rows and scans of each table.

    Each takes a new look at the database, as a command of its own would.
    """
    for spec in table_specs().values():
        started, cpu_started = time.perf_counter(), time.process_time()
        table = build_table(engine, spec)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        request = TableRequest(Evidence(engine), spec)
        families()[spec.family].build(request)
        yield str(spec.number), seconds, cpu, len(table.rows), scans(engine, request.queries)


def time_command(path: Path, *arguments: str) -> tuple[float, float]:
    """Return the seconds of a whole command, by the clock and of the CPU."""
    command = [sys.executable, "-m", "pixguard", "report", "--db", str(path), *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(path: Path) -> None:
    """Print every time and scan."""
    engine = open_engine(str(path))
    try:
        print("| table | seconds | of the CPU | rows | large tables read without an index |")
        print("| --- | ---: | ---: | ---: | --- |")
        for name, seconds, cpu, rows, found in time_tables(engine):
            steps = "; ".join(sorted(found)) or "-"
            print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {rows} | {steps} |", flush=True)
        print("\nTo choose what a table is about:", scans(engine, CHOOSING) or "indexes alone.")
    finally:
        engine.dispose()
    print("\n| command, best of 3 | seconds | of the CPU |\n| --- | ---: | ---: |")
    for arguments in (("--table", "32"), ("--list",), ("--all",)):
        seconds, cpu = map(
            min, zip(*(time_command(path, *arguments) for _ in range(3)), strict=True)
        )
        print(f"| report {' '.join(arguments)} | {seconds:.2f} | {cpu:.2f} |")


def main() -> None:
    """Parse, make, time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--restorations", type=int, default=100_000)
    parser.add_argument("--db", type=Path, help="where it is made; by default a temporary file")
    parser.add_argument("--keep", action="store_true", help="use the file where it is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.db or Path(folder) / "bench.db"
        if not (arguments.keep and path.exists()):
            started = time.perf_counter()
            make(path, arguments.attempts, arguments.restorations)
            made = time.perf_counter() - started
            print(f"made {path.name} in {made:.0f} s, {path.stat().st_size / 1e6:.0f} MB\n")
        report(path)


if __name__ == "__main__":
    main()
