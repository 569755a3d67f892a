"""Tables 12, 34 and ``accuracy``: accuracy of a classifier on each dataset."""

import json

from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.all_datasets import COLUMNS as HEAD
from pixguard.reports.tables.all_datasets import Entry, entries, title_over
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell

COLUMNS = (
    *HEAD,
    Column("training accuracy %", "percent", show_denominator=True),
    Column("test accuracy %", "percent", show_denominator=True),
    Column("correctly classified test images", "count"),
)
NOTES = (
    "n: images that the accuracy was taken over. A multi-label image is correct when all its "
    "labels are. " + INTERVAL_NOTE,
)
AUC = Column("AUC", "score", show_denominator=True)
AUC_NOTE = (
    "AUC: of the probability of the second class, over all pairs of a test image of each; of two "
    "classes alone, since of each image only the probability of its decision is kept."
)
N_UNKNOWN_NOTE = "n unknown: the number of training images was not recorded."


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a dataset."""
    found = list(entries(request, request.evidence.judged))
    own = isinstance(request.spec.number, str)
    columns = (*COLUMNS, AUC) if own else COLUMNS
    rows = [Row((*e.head(), *_cells(request, e))[: len(columns)], e.in_paper) for e in found]
    unknown = any(cell.note == "n unknown" for row in rows for cell in row.cells)
    notes = (*NOTES, *[AUC_NOTE] * own, *[N_UNKNOWN_NOTE] * unknown)
    title = title_over(request, "Classification Results", found)
    return request.table(columns, rows, [e.study for e in found if e.study], notes, title)


def _cells(request: TableRequest, entry: Entry) -> list[Cell]:
    paper = [request.published(entry.label, c.name, entry.in_paper) for c in COLUMNS[3:]]
    study = entry.study
    if study is None:
        missing = entry.fill_command(request)
        empty = [Cell(None, published=value, not_run=missing) for value in paper]
        return [*empty, Cell(None, not_run=missing)]
    (row,) = request.fetch(
        "classification", classifier_id=study.classifier_id, dataset_id=study.dataset_id
    )
    trained = json.loads(row["hyperparameters"]).get("training_images")
    tested, correct = int(row["test_images"]), int(row["correct"])
    accuracy, pairs = row["train_accuracy"], row["pairs"]
    return [
        Cell(
            None if accuracy is None else 100 * accuracy,
            trained,
            published=paper[0],
            note="not recorded" if accuracy is None else "" if trained else "n unknown",
        ),
        rate_cell(correct, tested, paper[1]),
        Cell(correct, tested, published=paper[2]),
        Cell(float(row["beaten"]) / int(pairs), tested) if pairs else Cell(None, note="not binary"),
    ]


FAMILY = Family(build, numbers=(12, 34), own="accuracy", title="Accuracy of the Classifiers")
