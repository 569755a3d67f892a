"""Compare how often classifiers of one dataset are fooled, also at several sizes of its images.

    python scripts/studies/sizes.py DATABASE

For each classifier with one-pixel attempts: accuracy on the test images, successes, and the rate
weighted by how often each class is right in the test set, with a 95 % normal interval (a plan with
``--limit`` takes all classes in turn). Then, of each two, the test images on which both were
attacked: the split is the same at every size.
"""

import itertools
import math
import sqlite3
import sys

ATTEMPTS = """
    SELECT i.dataset_index, i.label_set, t.success
    FROM attempt t
    JOIN attack a ON a.id = t.attack_id
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = ? AND a.pixels = 1 AND a.name = 'differential-evolution'
"""
RIGHT = """
    SELECT i.label_set, SUM(p.predicted = i.label_set), COUNT(*)
    FROM prediction p JOIN image i ON i.id = p.image_id
    WHERE p.model_id = ? AND i.split = 'test' GROUP BY 1
"""


def weighted(attempts: list[tuple[int, str, int]], right: dict[str, int]) -> tuple[float, float]:
    """Return the weighted rate and half of its interval; classes without attempts are left out."""
    rate = variance = 0.0
    attacked = {label for _, label, _ in attempts}
    total = sum(count for label, count in right.items() if label in attacked)
    for label in attacked:
        own = [success for _, of, success in attempts if of == label]
        share, fooled = right[label] / total, sum(own) / len(own)
        rate += share * fooled
        variance += share**2 * fooled * (1 - fooled) / len(own)
    return rate, 1.96 * math.sqrt(variance)


def main() -> None:
    """Print both tables."""
    database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
    models = database.execute(
        "SELECT m.id, COALESCE(m.name, m.architecture), d.size FROM model m "
        "JOIN dataset d ON d.id = m.dataset_id WHERE m.kind = 'classifier'"
    )
    fooled: dict[str, dict[int, int]] = {}
    for number, name, size in models.fetchall():
        attempts = database.execute(ATTEMPTS, (number,)).fetchall()
        if not attempts:
            continue
        counts = database.execute(RIGHT, (number,)).fetchall()
        rate, half = weighted(attempts, {label: right for label, right, _ in counts})
        accuracy = sum(right for _, right, _ in counts) / sum(count for *_, count in counts)
        successes = sum(success for *_, success in attempts)
        print(
            f"{name} at {size}: accuracy {accuracy:.1%}, {successes} of {len(attempts)} fooled, "
            f"weighted {rate:.1%} ± {half:.1%}"
        )
        fooled[f"{name} at {size}"] = {index: success for index, _, success in attempts}
    for one, other in itertools.combinations(fooled, 2):
        both = fooled[one].keys() & fooled[other].keys()
        if both:
            here, there = (sum(fooled[name][index] for index in both) for name in (one, other))
            print(f"{one}, {other}: {len(both)} in common, {here} and {there} fooled")


if __name__ == "__main__":
    main()
