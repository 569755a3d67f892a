"""Table 43: the success of one attack on two classifiers, on each dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets
from pixguard.reports.studies import Study, choose
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import (
    ATTEMPTS_NOTE,
    INTERVAL_NOTE,
    TableRequest,
    rate_cell,
)

FIRST, SECOND = "resnet50", "densenet121"
COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("ResNet50 images", "count"),
    Column("ResNet50 success %", "percent"),
    Column("DenseNet121 images", "count"),
    Column("DenseNet121 success %", "percent"),
    Column("images shared", "count"),
)
SHARED_NOTE = (
    "images shared: attacked on both classifiers; each classifier is attacked on the images that "
    "it gets right, so the two sets differ."
)


@dataclass(frozen=True, slots=True)
class _Pair:
    label: str
    dataset: str
    studies: tuple[Study | None, Study | None]
    in_paper: bool

    @property
    def found(self) -> list[Study]:
        return [c for c in self.studies if c is not None]


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a dataset; both classifiers on the same data where that exists."""
    pairs = _pairs(request)
    rows = [Row(_cells(request, pair), pair.in_paper) for pair in pairs]
    notes = [ATTEMPTS_NOTE, SHARED_NOTE, INTERVAL_NOTE]
    notes += [
        f"{pair.label}: the two classifiers were attacked on different data; do not compare them."
        for pair in pairs
        if len({c.dataset_id for c in pair.found}) > 1
    ]
    return request.table(COLUMNS, rows, [c for pair in pairs for c in pair.found], notes)


def _pairs(request: TableRequest) -> list[_Pair]:
    names = paper_datasets()
    fitting = [
        c for c in request.studies(request.evidence.attacked) if c.architecture in (FIRST, SECOND)
    ]
    asked = [request.dataset] if request.dataset else list(names)
    pairs = []
    for dataset in asked:
        own = [c for c in fitting if c.dataset == dataset]
        real = [c for c in own if request.is_papers(c)]
        in_paper = dataset in names and (bool(real) or not (request.dataset and own))
        label = names[dataset] if in_paper else dataset
        pairs.append(_Pair(label, dataset, _choose_pair(real if in_paper else own), in_paper))
    filled = {pair.dataset for pair in pairs if pair.found}
    for dataset in sorted({c.dataset for c in fitting} - filled):
        own = [c for c in fitting if c.dataset == dataset]
        pairs.append(_Pair(dataset, dataset, _choose_pair(own), False))
    return pairs


def _choose_pair(own: Sequence[Study]) -> tuple[Study | None, Study | None]:
    """Return a study of each architecture, both of one dataset row where that exists."""
    both = {c.dataset_id for c in own if c.architecture == FIRST} & {
        c.dataset_id for c in own if c.architecture == SECOND
    }
    pool = [c for c in own if c.dataset_id in both] or own
    first, second = (
        choose([c for c in pool if c.architecture == architecture], architecture)
        for architecture in (FIRST, SECOND)
    )
    return first, second


def _cells(request: TableRequest, pair: _Pair) -> tuple[Cell, ...]:
    data = " / ".join(dict.fromkeys(c.data for c in pair.found)) or None
    row = _fetch(request, pair) if pair.found else {}
    total = request.published(pair.label, "total images", pair.in_paper)
    cells = [Cell(pair.label), Cell(data)]
    sides = zip(("first", "second"), (FIRST, SECOND), (3, 5), pair.studies, strict=True)
    for side, architecture, column, study in sides:
        paper = request.published(pair.label, COLUMNS[column].name, pair.in_paper)
        if study is None:
            missing = request.fill_command(pair.dataset, architecture, real=pair.in_paper)
            cells.append(Cell(None, published=total, not_run=missing))
            cells.append(Cell(None, published=paper, not_run=missing))
        else:
            attacked, succeeded = int(row[f"{side}_attacked"]), int(row[f"{side}_succeeded"])
            cells.append(Cell(attacked, published=total))
            cells.append(rate_cell(succeeded, attacked, paper))
    return (*cells, Cell(int(row["shared"]) if len(pair.found) == 2 else None))


def _fetch(request: TableRequest, pair: _Pair) -> RowValues:
    parameters = {}
    for side, study in zip(("first", "second"), pair.studies, strict=True):
        plan = study.attack if study else None
        parameters[f"{side}_classifier_id"] = study.classifier_id if study else None
        parameters[f"{side}_attack_id"] = plan.attack_id if plan else None
        parameters[f"{side}_seed"] = plan.seed if plan else None
    (row,) = request.fetch("comparison", **parameters)
    return row


FAMILY = Family(build, numbers=(43,), of_attempts=True, of_one_classifier=False)
