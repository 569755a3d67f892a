"""Layers and their parameters, and times."""

import re
from collections.abc import Iterator
from itertools import pairwise

from pixguard.reports.audit.checks import Check, Paper, Rule, compare

KERNEL = 3
"""Side of the kernels of the autoencoder."""
FACTOR = 10.0
"""How much slower an image may be trained on than one of another dataset."""
_TIME = re.compile(r"(?:([\d,]+) min)?\s*(?:([\d,]+) s)?")


def parameters(paper: Paper) -> Iterator[Check]:
    """Count the parameters of convolutions, and their totals."""
    for table in paper.with_columns("layer", "type", "parameters"):
        number, rows = int(table["number"]), table["rows"]
        layers = [row for row in rows if isinstance(row[0], int)]
        totals = {row[0]: row[3] for row in rows if isinstance(row[0], str)}
        for before, (n, kind, shape, count) in pairwise(layers):
            if kind.startswith("Convolution"):
                inputs, outputs = before[2][2], shape[2]
                expected = (KERNEL * KERNEL * inputs + 1) * outputs
                how = f"({KERNEL} x {KERNEL} x {inputs} + 1) x {outputs}"
            else:
                expected, how = 0, "no weights"
            yield compare((number,), f"layer {n}, parameters", count, expected, how)
        total = sum(row[3] for row in layers)
        yield compare(
            (number,), "Total Parameters", totals["Total Parameters"], total, "sum of the layers"
        )
        both = totals["Trainable Parameters"] + totals["Non-Trainable Parameters"]
        how = "trainable and others"
        yield compare((number,), "Total Parameters", totals["Total Parameters"], both, how)


def seconds_of(words: str) -> int:
    """Return the seconds of ``52,741 min 16 s``.

    Raises:
        ValueError: it is no such time.
    """
    found = _TIME.fullmatch(words)
    if found is None or not any(found.groups()):
        raise ValueError(f"{words!r} is not a time")
    minutes, seconds = (int((part or "0").replace(",", "")) for part in found.groups())
    return 60 * minutes + seconds


def times(paper: Paper) -> Iterator[Check]:
    """Convert minutes to seconds."""
    for table in paper.with_columns("time", "seconds"):
        number = int(table["number"])
        for row in paper.rows(number).values():
            computed = seconds_of(row["time"])
            yield compare(
                (number,), f"{row['label']}, seconds", row["seconds"], computed, row["time"], " s"
            )


def times_an_image(paper: Paper) -> Iterator[Check]:
    """Compare the training time an image of one classifier on all datasets."""
    for table in paper.with_columns("dataset", "count", "computer", "seconds"):
        if "Training" not in table["title"]:
            continue  # attacks stop early where they succeed
        number = int(table["number"])
        rows = paper.rows(number)
        spent = {name: row["seconds"] / row["count"] for name, row in rows.items()}
        for name, own in spent.items():
            others = [
                other
                for label, other in spent.items()
                if label != name and rows[label]["computer"] == rows[name]["computer"]
            ]
            if not others:
                continue
            slowest = min(others) / own
            yield Check(
                (number,),
                f"{rows[name]['label']}, seconds an image",
                f"{rows[name]['seconds']} s for {rows[name]['count']} images: {own:.3g} s",
                f"the others on the same computer: {', '.join(f'{o:.3g}' for o in others)} s",
                "" if slowest < FACTOR else f"{slowest:.0f} times as fast as the next",
                "agrees" if slowest < FACTOR else "implausible",
            )


RULES = (
    Rule("parameters", "A convolution has its kernels' weights and biases.", parameters),
    Rule("time", "Minutes and seconds are as many seconds.", times),
    Rule(
        "time an image",
        f"One classifier on one computer is trained at speeds within a factor of {FACTOR:g}.",
        times_an_image,
    ),
)
