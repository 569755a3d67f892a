#!/usr/bin/env python
"""Bounds against brute force on networks drawn at random: the long form of tests/inference.

    scripts/check_bounds.py --cases 1000 --first 1000
    scripts/check_bounds.py --cases 1000 --chains

A case is a random network, image, pixel and box of colours, for which the least and the greatest of
each logit are bounded and compared with delta evaluation, in float64, of colours in the box. Stops
at the first bound that does not hold.
"""

import argparse
import importlib
import sys
from pathlib import Path


def main() -> None:
    """Draw networks until there are enough cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1000, help="seed of the first network")
    parser.add_argument("--chains", action="store_true", help="chains of layers alone, in colour")
    given = parser.parse_args()
    sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("", "tests")]
    tests = importlib.import_module("inference.test_inference_bounds")
    check = tests.check_chain if given.chains else tests.check_random
    seed, bounded, without = given.first, 0, 0
    while bounded * tests.BOXES < given.cases:
        if check(seed):
            bounded += 1
        else:
            without += 1
        seed += 1
    cases = bounded * tests.BOXES
    print(f"{cases} cases on {bounded} networks, no bound is wrong; {without} have none")


if __name__ == "__main__":
    main()
