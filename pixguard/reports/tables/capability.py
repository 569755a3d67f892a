"""Tables 13 to 16: precision, recall and F1 of a classifier by class."""

from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.one_dataset import find_topic, in_papers_order, known_classes
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell

COLUMNS = (
    Column("class"),
    Column("images", "count"),
    Column("precision %", "percent", show_denominator=True),
    Column("recall %", "percent"),
    Column("F1 %", "percent"),
)
NOTES = (
    "images: test images that carry the class. Precision: the share of the images given the "
    "class (n) that carry it; recall: the share of the images that carry it that are given it; "
    "F1: their harmonic mean, over the images that carry the class or are given it.",
    INTERVAL_NOTE,
)
NOT_DEFINED = "not defined"


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a class, a multi-label image in every class that it carries."""
    topic = find_topic(request, request.evidence.judged)
    study = topic.study
    if study is None:
        measured = known_classes(request, topic)
    else:
        measured = request.fetch(
            "capability",
            classifier_id=study.classifier_id,
            dataset_id=study.dataset_id,
        )
    rows = []
    for row, in_paper in in_papers_order(request, topic, measured, "carried"):
        paper = {
            c.name: request.published(row["class"], c.name, topic.is_papers) for c in COLUMNS[2:]
        }
        if study is None:
            missing = topic.fill_command
            cells = [Cell(None, not_run=missing)]
            cells += [Cell(None, published=value, not_run=missing) for value in paper.values()]
        else:
            carried, given, hits = (int(row[k]) for k in ("carried", "predicted", "both_agree"))
            cells = [
                Cell(carried),
                _share(hits, given, paper["precision %"]),
                _share(hits, carried, paper["recall %"]),
                _f1(hits, carried + given, paper["F1 %"]),
            ]
        rows.append(Row((Cell(row["class"]), *cells), in_paper))
    title = topic.title(request, "Prediction Capability of a Classification Model")
    return request.table(COLUMNS, rows, [study] if study else [], NOTES, title)


def _share(part: int, whole: int, published: int | float | None) -> Cell:
    """Return a percentage of images with its interval."""
    if whole == 0:
        return Cell(None, 0, published=published, note=NOT_DEFINED)
    return rate_cell(part, whole, published)


def _f1(hits: int, both: int, published: int | float | None) -> Cell:
    """Return F1, which is no share of images and has no such interval.

    ``both`` counts the images that carry the class and those that are given it, some twice.
    """
    if both == 0:
        return Cell(None, 0, published=published, note=NOT_DEFINED)
    return Cell(200 * hits / both, both - hits, published=published)


FAMILY = Family(build, numbers=(13, 14, 15, 16))
