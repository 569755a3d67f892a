"""Tables 44, 45 and 48 to 51: how long models took to train, from the registry."""

import json
from dataclasses import replace

from pixguard.records import NATIVE
from pixguard.reports import commands
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.published import published_rows
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets
from pixguard.reports.tables.family import Family, Held
from pixguard.reports.tables.request import TableRequest

FIGURES = (
    Column("data"),
    Column("count", "count"),
    Column("epochs", "count"),
    Column("computer"),
    Column("time"),
    Column("seconds", "quantity"),
    Column("seconds an epoch", "quantity"),
)
NOTES = (
    "count: images trained on. computer: the GPU of the run that finished the training, or its CPU "
    "where it has no GPU; a run may have been told not to use it. seconds: all epochs together, "
    "validation included.",
    "The paper counts all images of a dataset, and names its computers A and B.",
)


def is_classifier(request: TableRequest) -> bool:
    """Whether the table is about one classifier on all datasets, not a dataset's denoisers."""
    return request.spec.classifier is not None


def trainings(request: TableRequest) -> list[RowValues]:
    """Return what the registry holds for the table."""
    of_classifier = is_classifier(request)
    dataset = request.dataset or (None if of_classifier else request.spec.dataset)
    return request.fetch(
        "training_times",
        kind="classifier" if of_classifier else "denoiser",
        dataset=dataset or "",
        architecture=request.spec.classifier or "",
        size=-1 if request.size is None else request.size,
    )


def build(request: TableRequest) -> ReportTable:
    """Return the table: the published rows in their order, each with every training, then others.

    On another dataset than the paper's, every training of a denoiser stands in its row. Else a
    training stands for a published row where it is on the paper's dataset, real images, all
    classes, and of the denoiser that the paper proposes.
    """
    rows = trainings(request)
    first = "dataset" if is_classifier(request) else "architecture"
    others = not is_classifier(request) and _dataset(request) != request.spec.dataset
    lines: list[Row] = []
    for key in published_rows(request.spec.number):
        own = [row for row in rows if row[first] == key and (others or is_papers(request, row))]
        lines += [_line(request, row, None if others else key) for row in own]
        lines += [] if own else [_gap(request, key)]
        rows = [row for row in rows if row not in own]
    lines += [_line(request, row, None) for row in rows]
    head = Column("dataset" if is_classifier(request) else "model")
    table = request.table((head, *FIGURES), lines, [], NOTES, _title(request))
    trained = any(line.cells[1].value is not None for line in lines)
    return replace(table, caption=("all trainings in the registry",)) if trained else table


def is_papers(request: TableRequest, row: RowValues) -> bool:
    """Whether a training stands for one of the paper's."""
    settings = json.loads(row["hyperparameters"])
    return (
        row["source"] != SYNTHETIC_SOURCE
        and row["dataset"] in ([request.spec.dataset] if request.spec.dataset else paper_datasets())
        and not settings.get("variant")
        and not settings.get("only_class")
    )


def _dataset(request: TableRequest) -> str:
    return request.dataset or request.spec.dataset or next(iter(paper_datasets()))


def _title(request: TableRequest) -> str | None:
    if request.spec.dataset is None or request.dataset in (None, request.spec.dataset):
        return None
    return f"Denoising Model Training Time: {request.dataset} (form of Table {request.spec.number})"


def _line(request: TableRequest, row: RowValues, key: str | None) -> Row:
    settings = json.loads(row["hyperparameters"])
    images, seconds = settings.get("training_images"), float(row["training_seconds"])
    words = [row["architecture"], f"#{row['model_id']}"]
    if is_classifier(request):
        words = [row["dataset"], f"#{row['model_id']}"]
    own = [text for text in (settings.get("variant"), settings.get("only_class")) if text]
    name = " ".join(words) + (f" ({', '.join(own)})" if own else "")
    phantom = ", phantom data" if row["source"] == SYNTHETIC_SOURCE else ""

    def published(column: str) -> int | float | None:
        return request.published(key or "", column, key is not None)

    cells = (
        Cell(name),
        Cell(f"{row['source']} {row['size'] or NATIVE}{phantom}"),
        Cell(images, published=published("count"), note="" if images else "not recorded"),
        Cell(int(row["epochs"])),
        Cell(row["computer"]),
        Cell(words_of_time(seconds)),
        Cell(seconds, published=published("seconds")),
        Cell(seconds / int(row["epochs"])),
    )
    return Row(cells, in_paper=key is not None)


def words_of_time(seconds: float) -> str:
    """Return a time as the paper writes it: ``182 min 16 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _gap(request: TableRequest, key: str) -> Row:
    if is_classifier(request):
        command = commands.train(key, request.spec.classifier)
    else:
        command = commands.train_denoiser(_dataset(request), key)
    shown = request.dataset in (None, request.spec.dataset) or is_classifier(request)
    cells = (
        Cell(
            None,
            published=request.published(key, column.name, shown and not column.is_text),
            not_run=command,
        )
        for column in FIGURES
    )
    return Row((Cell(key), *cells))


def _held(request: TableRequest) -> Held:
    """Return the datasets that something was trained on."""
    rows = trainings(request)
    own = {row["dataset"] for row in rows if is_papers(request, row)}
    return own, {row["dataset"] for row in rows} - own


FAMILY = Family(
    build, numbers=(44, 45, 48, 49, 50, 51), tells_gaps=True, held=_held, of_one_classifier=False
)
