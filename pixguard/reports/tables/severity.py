"""Table ``severity``: what the switched labels cost, by the user's own costs."""

from collections import defaultdict

from pixguard.reports.costs import FALSE, MISSED, Costs
from pixguard.reports.flips import (
    ANY,
    FEW,
    NAMED,
    SAMPLE_NOTE,
    Aim,
    aims,
    flip_table,
    label_names,
    labels_of,
)
from pixguard.reports.report_table import Cell, Column, ReportTable
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, changed_cell, rate_cell
from pixguard.statistics import mean_interval

COLUMNS = (
    Column("pixels", "count", is_label=True),
    Column("aim"),
    Column("images", "count"),
    Column("mean cost", "quantity"),
    Column("images with a cost", "count"),
    Column("with a cost %", "percent"),
    Column("maximal cost", "quantity"),
    Column("images at it", "count"),
    Column("at it %", "percent"),
)
NOTES = (
    f"The cost of an image is the sum of the costs of its flips, 0 where none was found. aim: {ANY}"
    ": of the one attempt without a target, which ends at the first flip, whatever it costs; "
    f"{NAMED}: of its worst attempt, over the targets (--target each: over all labels).",
    "mean cost (low–high): 95 % interval by the normal approximation"
    f"; below {FEW} images a rough one. {INTERVAL_NOTE} {SAMPLE_NOTE}",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each number of pixels and aim.

    Raises:
        UsageError: the costs name a label that the dataset lacks.
    """
    found, costs = aims(request), request.costs or Costs()
    lines = []
    if found:
        names = labels_of(label_names(request, found[0].study))
        costs.require(names.values())
        lines = [_cells(aim, names, costs) for aim in found]
    return flip_table(request, found, lines, COLUMNS, [str(costs), *NOTES])


def _cells(aim: Aim, names: dict[int, str], costs: Costs) -> tuple[Cell, ...]:
    worst: dict[int, float] = defaultdict(float)
    for attempt in aim.attempts:
        cost = sum(costs.of(names.get(label, ""), MISSED) for label in attempt.missed)
        cost += sum(costs.of(names.get(label, ""), FALSE) for label in attempt.false)
        worst[attempt.image] = max(worst[attempt.image], cost)
    values, count = list(worst.values()), len(worst)
    mean, greatest = sum(values) / count, max(values)
    squares = sum((value - mean) ** 2 for value in values)
    # Values that are all the same are no sign of a mean without error.
    interval = mean_interval(mean, squares, count) if squares else None
    if interval is not None:
        interval = max(0.0, interval[0]), interval[1]
    with_cost = sum(value > 0 for value in values)
    at_it = sum(value == greatest for value in values) if greatest else 0
    return (
        changed_cell(aim.pixels),
        Cell(aim.aim),
        Cell(count),
        Cell(mean, count, interval),
        Cell(with_cost),
        rate_cell(with_cost, count, None),
        Cell(greatest, count),
        Cell(at_it),
        rate_cell(at_it, count, None),
    )


FAMILY = Family(
    build,
    title="What the Attacks Cost, Image by Image",
    pool="attempted",
    of_attempts=True,
)
