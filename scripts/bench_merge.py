#!/usr/bin/env python3
"""How long it takes to merge the databases of many machines. Reports times, asserts none.

    scripts/bench_merge.py --attempts 1000000 --parts 16

Makes a database of synthetic rows (as ``bench_reports.py`` does), deals its attempts with all that
belongs to them to as many databases, merges these into an empty one, once more into the full one,
and asks the result for Table 32. No image, no network. The table is Markdown, on stdout.
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report_database import make
from pixguard.store.engine import open_engine
from pixguard.store.merging.merge import merge
from pixguard.store.merging.rules import RULES

OF_A_PART = {
    "attempt": "id % :parts = :part",
    "pixel": "attempt_id % :parts = :part",
    "restoration": "COALESCE(attempt_id, 0) % :parts = :part",
    "score": "restoration_id IN (SELECT id FROM main.restoration)",
}


def deal(whole: Path, part: Path, number: int, parts: int) -> None:
    """Write one machine's database."""
    open_engine(str(part), create=True).dispose()
    with sqlite3.connect(part) as database:
        database.execute("ATTACH DATABASE ? AS whole", (str(whole),))
        for rule in RULES:
            name = rule.table.__tablename__
            where = OF_A_PART.get(name, "1")
            database.execute(
                f"INSERT INTO main.{name} SELECT * FROM whole.{name} WHERE {where}",
                {"parts": parts, "part": number},
            )


def main() -> None:
    """Make, deal, merge, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=16)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        whole, merged = folder / "whole.db", folder / "merged.db"
        make(whole, wanted.attempts, wanted.attempts // 10)
        parts = [folder / f"part-{number}.db" for number in range(wanted.parts)]
        for number, part in enumerate(parts):
            deal(whole, part, number, wanted.parts)
        open_engine(str(merged), create=True).dispose()
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            done = list(merge(str(merged), [str(part) for part in parts]))
            seconds.append(time.perf_counter() - started)
        if any(one.added for one in done):
            sys.exit("a second merge added rows")
        attempts = sqlite3.connect(merged).execute("SELECT COUNT(*) FROM attempt").fetchone()[0]
        started = time.perf_counter()
        report = [sys.executable, "-m", "pixguard", "report", "--table", "32", "--db", str(merged)]
        subprocess.run(report, check=True, capture_output=True)
        reported = time.perf_counter() - started
        size, apart = merged.stat().st_size / 1e6, sum(p.stat().st_size for p in parts) / 1e6
        print(f"| what | {attempts:,} attempts from {wanted.parts} databases |")
        print("| --- | ---: |")
        print(f"| merge | {seconds[0]:.1f} s |")
        print(f"| once more, nothing new | {seconds[1]:.1f} s |")
        print(f"| size: parts, merged | {apart:.0f} MB, {size:.0f} MB |")
        print(f"| report --table 32 | {reported:.1f} s |")


if __name__ == "__main__":
    main()
