"""Tables 18 to 42 where they say what denoisers make of attacked images, and ``denoising``."""

import math
from collections.abc import Callable, Iterator, Sequence

from pixguard.metrics import METRICS
from pixguard.reports import commands
from pixguard.reports.published import published_rows
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.one_dataset import PIXELS, Topic, find_topic, own_topics, pixels_cell
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell

IDENTITY = "identity"
NO_SUCCESS = "none"
NO_SUCCESS_NOTE = "none: no attempt succeeded, so there is nothing to denoise."
QUALITY = (
    Column("PSNR", "decibel"),
    Column("median PSNR", "decibel"),
    Column("SSIM", "score"),
    Column("MSE", "error"),
    Column("GMSD", "score"),
    Column("FSIM", "score"),
)
COLUMNS = (
    Column("denoiser"),
    Column("images", "count"),
    *QUALITY,
    Column("recovered %", "percent"),
)
NOTES = (
    "Means over the restorations of successfully attacked images, against the clean image; data "
    "range 0 to 1, PSNR in dB. An infinite PSNR (restored without a trace) is counted beside the "
    "mean of the others, and is the largest value of the median.",
    "recovered: the classifier gives the true label set back. " + INTERVAL_NOTE,
    "What a denoiser breaks of clean images that the classifier gets right: --table recovery.",
    "identity: the attacked image untouched. One changed pixel of 224 x 224 leaves at least "
    "47.0 dB, two at least 44.0 dB: read every denoiser's PSNR and MSE against that row.",
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), one attack and one seed.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a denoiser; the identity always, run or not."""
    if isinstance(request.spec.number, str):
        return _build_own(request)
    topic = find_topic(request, request.evidence.denoised)
    if topic.study is None:  # what waits to be denoised tells which commands would do it
        topic = find_topic(request, request.evidence.attacked)
    study = topic.study
    rows = list(_rows(request, topic))
    title = topic.title(request, f"Denoising of {request.pixels_word}-Pixel Attack Images")
    return request.table(COLUMNS, rows, [study] if study else [], _notes(rows), title)


def _build_own(request: TableRequest) -> ReportTable:
    evidence = request.evidence
    topics = own_topics(request, evidence.denoised, evidence.attacked)
    rows = [
        Row((pixels_cell(topic), *row.cells), row.in_paper)
        for topic in topics
        for row in _rows(request, topic)
    ]
    used = [topic.study for topic in topics if topic.study]
    notes = [*_notes(rows), *(request.elsewhere(evidence.denoised, used[0]) if used else ())]
    return request.table((PIXELS, *COLUMNS), rows, used, notes, request.title_about(*used))


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    nothing = any(cell.note == NO_SUCCESS for row in rows for cell in row.cells)
    return (*NOTES, NO_SUCCESS_NOTE) if nothing else NOTES


def _rows(request: TableRequest, topic: Topic) -> Iterator[Row]:
    """Yield the paper's denoisers in its order, the identity, then all others by name."""
    study, measured = topic.study, list[RowValues]()
    if study is not None and study.attack is not None:
        measured = request.fetch("denoising", **study.attempts)
    by_name: dict[str, list[RowValues]] = {}
    for row in measured:
        by_name.setdefault(row["denoiser"], []).append(row)
    printed = list(published_rows(request.spec.number))
    others = sorted(set(by_name) - {*printed, IDENTITY})
    for name in [*printed, IDENTITY, *others]:
        in_paper = topic.is_papers and name in printed
        runs = by_name.get(name, [])
        for row in runs:
            label = name if len(runs) == 1 else f"{name} #{row['denoiser_id']}"
            yield Row(_cells(request, topic, name, label, row), in_paper)
        if not runs:
            yield Row(_gaps(request, topic, name), in_paper)


def _cells(
    request: TableRequest, topic: Topic, name: str, label: str, row: RowValues
) -> tuple[Cell, ...]:
    images = int(row["images"])
    study = topic.study
    missing = commands.score(topic.dataset, study.classifier_id) if study else ""
    quality = quality_cells(
        row,
        missing,
        study.size if study else 0,
        lambda metric: request.published(name, metric, topic.is_papers),
    )
    recovered = rate_cell(int(row["recovered"]), images, None)
    return (Cell(label), Cell(images), *quality, recovered)


def quality_cells(
    row: RowValues, missing: str, side: int, published: Callable[[str], int | float | None]
) -> tuple[Cell, ...]:
    """Return the cells of :data:`QUALITY` from the columns that all queries of scores share.

    ``missing`` is the command that takes the metrics, ``side`` that of the images, 0 where they
    have sizes of their own; ``published`` gives the paper's value.
    """
    scored = int(row["psnr_finite"] or 0) + int(row["psnr_infinite"] or 0)
    middle = math.inf if row["psnr_median_infinite"] else row["psnr_median"]
    return (
        psnr_cell(row, missing, side, published("PSNR")),
        Cell(middle, scored, not_run=None if scored else missing),
        *(
            mean_cell(row, metric, missing, side, published(metric.upper()))
            for metric in ("ssim", "mse", "gmsd", "fsim")
        ),
    )


def mean_cell(
    row: RowValues, metric: str, missing: str, side: int, published: int | float | None = None
) -> Cell:
    """Return the mean of a metric, from the columns that all queries of scores share."""
    count = int(row[f"{metric}_finite"] or 0)
    least = METRICS[metric].least_side
    if count == 0 and 0 < side < least:  # no command fills it
        return Cell(None, 0, published=published, note=f"needs {least} pixels")
    if count == 0:
        return Cell(None, 0, published=published, not_run=missing)
    return Cell(row[metric], count, published=published)


def psnr_cell(
    row: RowValues, missing: str, side: int, published: int | float | None = None
) -> Cell:
    """Return the mean PSNR in dB, beside which infinite ones are counted."""
    mean, infinite = (
        mean_cell(row, "psnr", missing, side, published),
        int(row["psnr_infinite"] or 0),
    )
    if not infinite:
        return mean
    if mean.value is None:
        return Cell(math.inf, infinite, published=published)
    return Cell(mean.value, mean.denominator, published=published, note=f"{infinite} inf")


def _gaps(request: TableRequest, topic: Topic, name: str) -> tuple[Cell, ...]:
    study = topic.study
    paper = [request.published(name, c.name, topic.is_papers) for c in COLUMNS[1:]]
    if study is not None and study.attack is not None and not study.attack.successes:
        return (Cell(name), *(Cell(None, 0, published=p, note=NO_SUCCESS) for p in paper))
    trained = (topic.dataset, name) in request.evidence.trained_denoisers
    denoise = commands.denoise(topic.dataset, name, topic.classifier_id, trained=trained)
    command = denoise if study else f"{topic.fill_command}; {denoise}"
    return (Cell(name), *(Cell(None, published=value, not_run=command) for value in paper))


FAMILY = Family(
    build,
    numbers=(18, 20, 23, 25, 27, 29, 31, 36, 38, 40, 42),
    own="denoising",
    title="Denoising of Attacked Images",
    pool="denoised",
    of_attempts=True,
)
