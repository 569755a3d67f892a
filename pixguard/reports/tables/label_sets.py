"""Table ``label-sets``: success by the whole label set of an image."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pixguard.records import NO_FINDING_ORDINAL, decode_label_set
from pixguard.reports.flips import ANY, SAMPLE_NOTE, Aim, aims, flip_table, label_names, support
from pixguard.reports.report_table import Cell, Column, ReportTable
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, changed_cell, rate_cell

COLUMNS = (
    Column("pixels", "count", is_label=True),
    Column("label set"),
    Column("test images", "count"),
    Column("right", "count"),
    Column("attacked", "count"),
    Column("success count", "count"),
    Column("success rate %", "percent"),
)
ALL = "all"
NOTES = (
    "right: images whose whole label set is decided rightly; only such are attacked (--which any: "
    "of every label set). Attempts without a target, first repeat, bare classifier, one attack and "
    f"one seed. {INTERVAL_NOTE} {SAMPLE_NOTE}",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each label set that was attacked, the most frequent first.

    And one for the others of the test images, and for all.
    """
    found = [aim for aim in aims(request) if aim.aim == ANY]
    return flip_table(request, found, _lines(request, found), COLUMNS, NOTES)


def _lines(request: TableRequest, found: Sequence[Aim]) -> Iterator[tuple[Cell, ...]]:
    if not found:
        return
    names = label_names(request, found[0].study)
    tested, right = Counter[str](), Counter[str]()
    for truth, decided, images in support(request, found[0].study):
        tested[truth] += images
        right[truth] += images if truth == decided else 0
    for aim in found:
        attacked = Counter(a.label_set for a in aim.attempts)
        fooled = Counter(a.label_set for a in aim.attempts if a.success)
        order = sorted(attacked, key=lambda code: (-tested[code], code))
        others = sorted({*tested} - {*attacked})
        groups = [(_name(code, names), [code]) for code in order]
        groups += [(f"{len(others)} others", others)] if others else []
        for name, codes in [*groups, (ALL, [*order, *others])]:
            numbers = [
                sum(counts[code] for code in codes) for counts in (tested, right, attacked, fooled)
            ]
            figures = [*map(Cell, numbers), rate_cell(numbers[3], numbers[2], None)]
            yield changed_cell(aim.pixels), Cell(name), *figures


def _name(code: str, names: dict[int, str]) -> str:
    ordinals = decode_label_set(code) or (NO_FINDING_ORDINAL,)
    return " + ".join(names.get(ordinal, "no label") for ordinal in ordinals)


FAMILY = Family(
    build,
    own="label-sets",
    title="Success of the Attacks by Label Set",
    pool="attempted",
    of_attempts=True,
)
