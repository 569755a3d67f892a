"""Tables 17 to 41 where they count attempts and successes by class, and ``by-class``."""

from collections.abc import Sequence

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.one_dataset import (
    PIXELS,
    Topic,
    find_topic,
    in_papers_order,
    known_classes,
    own_topics,
    pixels_cell,
)
from pixguard.reports.tables.request import ATTEMPTS_NOTE, INTERVAL_NOTE, TableRequest, rate_cell

COLUMNS = (
    Column("class"),
    Column("disease type"),
    Column("test count", "count"),
    Column("success count", "count"),
    Column("success rate %", "percent"),
)
NOTES = (ATTEMPTS_NOTE, "test count: images attacked. " + INTERVAL_NOTE)
NOTHING_TO_ATTACK = "none correct"
NO_TEST_IMAGE = "no test image"
NOTHING_NOTE = "none correct: the classifier gets no test image of the class right."


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a class."""
    if isinstance(request.spec.number, str):
        return _build_own(request)
    topic = find_topic(request, request.evidence.attacked)
    study = topic.study
    rows = _rows(request, topic)
    return request.table(
        COLUMNS,
        rows,
        [study] if study else [],
        _notes(rows),
        topic.title(request, f"Results of {request.pixels_word}-Pixel Attacks"),
    )


def _build_own(request: TableRequest) -> ReportTable:
    topics = own_topics(request, request.evidence.attacked)
    rows = [
        Row((pixels_cell(topic), *row.cells), row.in_paper)
        for topic in topics
        for row in _rows(request, topic)
    ]
    columns, used = (PIXELS, *COLUMNS), [t.study for t in topics if t.study]
    if not rows:
        command = topics[0].fill_command
        rows = [Row(tuple(Cell(None, not_run=command) for _ in columns), in_paper=False)]
    notes = [*_notes(rows)]
    notes += request.elsewhere(request.evidence.attacked, used[0]) if used else ()
    return request.table(columns, rows, used, notes, request.title_about(*used))


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    nothing = any(cell.note == NOTHING_TO_ATTACK for row in rows for cell in row.cells)
    return (*NOTES, NOTHING_NOTE) if nothing else NOTES


def _rows(request: TableRequest, topic: Topic) -> list[Row]:
    study = topic.study
    if study is None or study.attack is None:
        measured = known_classes(request, topic)
    else:
        measured = request.fetch("attack_by_class", **study.attempts)
    return [
        Row(_cells(request, topic, row), in_paper)
        for row, in_paper in in_papers_order(request, topic, measured, "attacked")
    ]


def _cells(request: TableRequest, topic: Topic, row: RowValues) -> tuple[Cell, ...]:
    paper = [request.published(row["class"], c.name, topic.is_papers) for c in COLUMNS[2:]]
    head = (Cell(row["class"]), Cell(row["disease_type"]))
    attacked = int(row.get("attacked", 0))
    if attacked:
        succeeded = int(row["succeeded"])
        counts = (
            Cell(attacked, published=paper[0]),
            Cell(succeeded, attacked, published=paper[1]),
        )
        return (*head, *counts, rate_cell(succeeded, attacked, paper[2]))
    if topic.study is not None and row["correct"] == 0:
        note = NOTHING_TO_ATTACK if row["tested"] else NO_TEST_IMAGE
        gaps = (Cell(None, 0, published=value, note=note) for value in paper)
    else:
        gaps = (Cell(None, published=value, not_run=topic.fill_command) for value in paper)
    return (*head, *gaps)


FAMILY = Family(
    build,
    numbers=(17, 19, 21, 22, 24, 26, 28, 30, 35, 37, 39, 41),
    own="by-class",
    title="Success of the Attacks by Class",
    pool="attacked",
    of_attempts=True,
)
