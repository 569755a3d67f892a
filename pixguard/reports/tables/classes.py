"""Table ``classes``: which class turns into which when an attack succeeds."""

from collections import Counter
from collections.abc import Iterator

from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, changed_cell, rate_cell

COLUMNS = (
    Column("pixels", "count", is_label=True),
    Column("class"),
    Column("becomes"),
    Column("images", "count"),
    Column("share %", "percent", show_denominator=True),
)
SEVERAL = "several labels"
NOTES = (
    "images: successful attempts; share: of those on images that were given the class before (n). "
    + INTERVAL_NOTE,
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), one attack and one seed for each number of pixels.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each change, the most frequent of a class first."""
    plans = request.plans_by_pixels(request.evidence.attacked)
    rows = [Row(cells, in_paper=False) for plan in plans for cells in _changes(request, plan)]
    notes = [*NOTES, *(request.elsewhere(request.evidence.attacked, plans[0]) if plans else ())]
    if plans and not rows:
        notes.append("No attempt succeeded.")
    if not plans:
        command = request.attack_command(None)
        rows = [Row(tuple(Cell(None, not_run=command) for _ in COLUMNS), in_paper=False)]
    return request.table(COLUMNS, rows, plans, notes, request.title_about(*plans[:1]))


def _changes(request: TableRequest, plan: Study) -> Iterator[tuple[Cell, ...]]:
    assert plan.attack is not None
    known = request.fetch("classes", dataset_id=plan.dataset_id)
    names = {"" if c["ordinal"] == -1 else str(c["ordinal"]): c["class"] for c in known}
    found = request.fetch("class_changes", **plan.attempts)
    changes: Counter[tuple[str, str]] = Counter()
    for row in found:
        before, after = (_name(names, row[side]) for side in ("before", "after"))
        changes[before, after] += int(row["images"])
    order = [*names.values(), "no label", SEVERAL]
    for name in dict.fromkeys(order):
        own = {after: images for (before, after), images in changes.items() if before == name}
        for after, images in sorted(own.items(), key=lambda item: (-item[1], item[0])):
            share = rate_cell(images, sum(own.values()), None)
            yield changed_cell(plan.attack.pixels), Cell(name), Cell(after), Cell(images), share


def _name(names: dict[str, str], code: str) -> str:
    return names.get(code, SEVERAL if code else "no label")


FAMILY = Family(build, title="Which Class Turns Into Which", pool="attacked", of_attempts=True)
