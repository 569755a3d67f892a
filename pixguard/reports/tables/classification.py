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
N_UNKNOWN_NOTE = "n unknown: the number of training images was not recorded."


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a dataset."""
    found = list(entries(request, request.evidence.judged))
    rows = [Row((*e.head(), *_cells(request, e)), e.in_paper) for e in found]
    unknown = any(cell.note == "n unknown" for row in rows for cell in row.cells)
    notes = (*NOTES, N_UNKNOWN_NOTE) if unknown else NOTES
    title = title_over(request, "Classification Results", found)
    return request.table(COLUMNS, rows, [e.study for e in found if e.study], notes, title)


def _cells(request: TableRequest, entry: Entry) -> list[Cell]:
    paper = [request.published(entry.label, c.name, entry.in_paper) for c in COLUMNS[3:]]
    study = entry.study
    if study is None:
        missing = entry.fill_command(request)
        return [Cell(None, published=value, not_run=missing) for value in paper]
    (row,) = request.fetch(
        "classification", classifier_id=study.classifier_id, dataset_id=study.dataset_id
    )
    trained = json.loads(row["hyperparameters"]).get("training_images")
    tested, correct = int(row["test_images"]), int(row["correct"])
    accuracy = row["train_accuracy"]
    return [
        Cell(
            None if accuracy is None else 100 * accuracy,
            trained,
            published=paper[0],
            note="not recorded" if accuracy is None else "" if trained else "n unknown",
        ),
        rate_cell(correct, tested, paper[1]),
        Cell(correct, tested, published=paper[2]),
    ]


FAMILY = Family(build, numbers=(12, 34), own="accuracy", title="Accuracy of the Classifiers")
