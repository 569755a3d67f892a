"""Tables 32, 33 and ``success``: attempts and successes on each dataset."""

from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.all_datasets import COLUMNS as HEAD
from pixguard.reports.tables.all_datasets import Entry, entries, title_over
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import (
    ATTEMPTS_NOTE,
    INTERVAL_NOTE,
    TableRequest,
    changed_cell,
    rate_cell,
)

FIGURES = (
    Column("total images", "count"),
    Column("success count", "count"),
    Column("percentage", "percent"),
)
PIXELS = Column("pixels", "count", is_label=True)


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a dataset; one a classifier and number of pixels, by its name."""
    own = (PIXELS,) if request.spec.pixels is None else ()
    found = list(entries(request, request.evidence.attacked))
    rows = [
        Row((*e.head(), *(_pixels(e) for _ in own), *_cells(request, e)), e.in_paper) for e in found
    ]
    used = [e.study for e in found if e.study]
    title = title_over(request, f"Successes of {request.pixels_word}-Pixel Attacks", found)
    return request.table((*HEAD, *own, *FIGURES), rows, used, (ATTEMPTS_NOTE, INTERVAL_NOTE), title)


def _pixels(entry: Entry) -> Cell:
    attack = entry.study.attack if entry.study else None
    return changed_cell(attack.pixels) if attack else Cell(None)


def _cells(request: TableRequest, entry: Entry) -> tuple[Cell, ...]:
    paper = [request.published(entry.label, c.name, entry.in_paper) for c in FIGURES]
    study = entry.study
    if study is None or study.attack is None:
        attack = request.wanted_attack if request.spec.pixels is None else None
        missing = entry.fill_command(request, attack)
        return tuple(Cell(None, published=value, not_run=missing) for value in paper)
    (row,) = request.fetch("attack_overview", **study.attempts)
    attacked, succeeded = int(row["attacked"]), int(row["succeeded"])
    return (
        Cell(attacked, published=paper[0]),
        Cell(succeeded, attacked, published=paper[1]),
        rate_cell(succeeded, attacked, paper[2]),
    )


FAMILY = Family(
    build,
    numbers=(32, 33),
    own="success",
    title="Success of the Attacks",
    pool="attacked",
    of_attempts=True,
)
