#!/usr/bin/env python3
"""How fast phantoms are drawn, on one core. Reports rates, asserts none.

    OMP_NUM_THREADS=1 scripts/bench_phantoms.py --sizes 28 64 224 512 1024 --seconds 2

The time is the processor's, not the clock's: other work on the machine does not count. Images are
drawn one after the other, as a dataset's first reading does, until ``--seconds`` are used up, but
at least eight of them. The table is Markdown, on stdout.
"""

import argparse
from itertools import count
from time import process_time

from pixguard.datasets.catalogue import PAPER_DATASETS
from pixguard.datasets.phantom.source import phantom_image, phantom_label_sets

LEAST = 8
DISTINCT = 2000


def rate(name: str, size: int, seconds: float) -> float:
    """Return images a second of processor time."""
    label_sets = phantom_label_sets(name, DISTINCT)
    phantom_image(name, 0, size, label_sets[0])  # what is made once
    started = process_time()
    for drawn in count(1):
        index = drawn % DISTINCT
        phantom_image(name, index, size, label_sets[index])
        elapsed = process_time() - started
        if drawn >= LEAST and elapsed >= seconds:
            return drawn / elapsed
    raise AssertionError("unreachable")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 64, 224, 512, 1024])
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    print("| phantoms | " + " | ".join(f"{size}, images/s" for size in options.sizes) + " |")
    print("|---|" + "---:|" * len(options.sizes))
    for name in PAPER_DATASETS:
        rates = (rate(name, size, options.seconds) for size in options.sizes)
        print(f"| {name} | " + " | ".join(f"{value:,.1f}" for value in rates) + " |", flush=True)


if __name__ == "__main__":
    main()
