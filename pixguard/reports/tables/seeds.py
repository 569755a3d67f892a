"""Table ``seeds``: how far the success of an attack depends on its seed."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean, stdev

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import TableRequest, changed_cell, settings_text

COLUMNS = (
    Column("attack"),
    Column("settings"),
    Column("pixels", "count", is_label=True),
    Column("target"),
    Column("runs", "count"),
    Column("images a run"),
    Column("mean success %", "percent"),
    Column("standard deviation", "percent"),
    Column("lowest %", "percent"),
    Column("highest %", "percent"),
    Column("mean queries", "quantity"),
)
NOTES = (
    "A run is one seed and one repeat: an attempt an image. The mean is over runs, each with the "
    "same weight; runs are never added up to one larger sample, for their images are the same ones "
    "or drawn from the same few.",
    "standard deviation: between runs (n - 1), in percentage points. It holds what the seed "
    "changes: the images that are drawn, where not all are attacked, and the search.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each attack and its settings."""
    study = request.find_study(request.evidence.attempted)
    rows: list[Row] = []
    if study is not None:
        measured = request.fetch(
            "seeds", classifier_id=study.classifier_id, dataset_id=study.dataset_id
        )
        rows = [Row(cells, in_paper=False) for cells in _rows(measured)]
    if not rows:
        command = request.attack_command(study)
        gaps = (Cell(None, not_run=command) for _ in COLUMNS[1:])
        rows = [Row((Cell(request.wanted_attack), *gaps))]
    used = [study] if study else []
    notes = [*NOTES, *(request.elsewhere(request.evidence.attempted, study) if study else ())]
    return request.table(COLUMNS, rows, used, notes, request.title_about(*used))


def _rows(measured: Sequence[RowValues]) -> Iterator[tuple[Cell, ...]]:
    for (_, target), group in groupby(measured, lambda row: (row["attack_id"], row["target"])):
        runs = list(group)
        rates = [100 * int(run["successes"]) / int(run["images"]) for run in runs]
        images = sorted({int(run["images"]) for run in runs})
        first = runs[0]
        yield (
            Cell(first["attack"]),
            Cell(settings_text(first["parameters"])),
            changed_cell(first["pixels"]),
            Cell(target or "none"),
            Cell(len(runs)),
            Cell(str(images[0]) if len(images) == 1 else f"{images[0]} to {images[-1]}"),
            Cell(fmean(rates)),
            Cell(stdev(rates)) if len(rates) > 1 else Cell(None, note="one run"),
            Cell(min(rates)),
            Cell(max(rates)),
            Cell(fmean(float(run["mean_queries"]) for run in runs)),
        )


FAMILY = Family(build, title="Success over Seeds and Repeats", pool="attempted", of_attempts=True)
