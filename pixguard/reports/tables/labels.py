"""Table ``labels``: label by label, how often attacks switch it off, and on."""

from collections.abc import Iterator, Sequence

from pixguard.records import decode_label_set
from pixguard.reports.flips import (
    ANY,
    NAMED,
    SAMPLE_NOTE,
    Aim,
    aims,
    flip_table,
    label_names,
    labels_of,
    support,
)
from pixguard.reports.report_table import Cell, Column, ReportTable
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, changed_cell, rate_cell

COLUMNS = (
    Column("pixels", "count", is_label=True),
    Column("aim"),
    Column("label"),
    Column("test images with it", "count"),
    Column("of these found %", "percent"),
    Column("attacked with it", "count"),
    Column("missed", "count"),
    Column("missed %", "percent"),
    Column("attacked without it", "count"),
    Column("false", "count"),
    Column("false %", "percent"),
)
NOTES = (
    f"aim: {ANY}: an attack without a target, which ends when any label flips; {NAMED}: attempts "
    "whose target is the label (--target). First repeat, bare classifier, one attack and one seed.",
    "test images with it: all that were judged; of these found: to how many the classifier gives "
    "the label before any attack. attacked with it, without it: attempts on images that were "
    "given the label, or not. missed: it is taken away; false: it is given, after the attack.",
    f"{INTERVAL_NOTE} {SAMPLE_NOTE}",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each label, of each number of pixels and aim."""
    found = aims(request)
    return flip_table(request, found, _lines(request, found), COLUMNS, NOTES)


def _lines(request: TableRequest, found: Sequence[Aim]) -> Iterator[tuple[Cell, ...]]:
    if not found:
        return
    study = found[0].study
    judged = [
        (set(decode_label_set(truth)), set(decode_label_set(decided)), images)
        for truth, decided, images in support(request, study)
    ]
    for label, name in labels_of(label_names(request, study)).items():
        carrying = sum(n for truth, _, n in judged if label in truth)
        given = sum(n for truth, decided, n in judged if label in truth & decided)
        for aim in found:
            own = [a for a in aim.attempts if a.target in (None, label)]
            on = [a for a in own if label in a.before]
            off = len(own) - len(on)
            missed, false = sum(label in a.missed for a in on), sum(label in a.false for a in own)
            yield (
                changed_cell(aim.pixels),
                Cell(aim.aim),
                Cell(name),
                Cell(carrying),
                rate_cell(given, carrying, None),
                Cell(len(on)),
                Cell(missed),
                rate_cell(missed, len(on), None),
                Cell(off),
                Cell(false),
                rate_cell(false, off, None),
            )


FAMILY = Family(
    build,
    title="Labels That the Attacks Switch Off and On",
    pool="attempted",
    of_attempts=True,
)
