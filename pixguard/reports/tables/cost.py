"""Table ``cost``: queries and time of every attack on every classifier."""

from collections.abc import Iterator

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import TableRequest, changed_cell, scaled

COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("classifier"),
    Column("attack"),
    Column("pixels", "count", is_label=True),
    Column("through"),
    Column("evaluator"),
    Column("precision"),
    Column("machine"),
    Column("attempts", "count"),
    Column("queries", "count"),
    Column("distinct queries", "count"),
    Column("distinct %", "percent"),
    Column("seconds", "quantity"),
    Column("seconds an attempt", "quantity"),
    Column("queries/s", "quantity"),
    Column("distinct/s", "quantity"),
)
NOT_COUNTED = "not counted"
NOTES = (
    "Every finished attempt counts, whatever its target, repeat, seed and outcome. distinct: "
    "candidates that were evaluated, for one that an attempt asks for again is not; % of the "
    "queries. seconds: evaluating and breeding, each attempt's share of its batch.",
    "machine: its GPU, or its CPU where it has no GPU; a run may have been told not to use it.",
)
NOT_COUNTED_NOTE = (
    "Distinct queries were not counted in all attempts: the count, its share and its rate are over "
    "those where they were."
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each attack, evaluator, precision and machine that was used."""
    studies = request.studies(request.evidence.attempted)
    studies.sort(key=lambda c: (c.dataset, c.classifier_id))
    rows = [Row(cells, in_paper=False) for c in studies for cells in _measured(request, c)]
    notes = [*NOTES]
    position = [column.name for column in COLUMNS].index("distinct queries")
    if any(row.cells[position].note for row in rows):
        notes.append(NOT_COUNTED_NOTE)
    if not rows:
        command = request.attack_command(None)
        gaps = (Cell(None, not_run=command) for _ in COLUMNS[9:])
        head = [Cell(request.dataset), Cell(None), Cell(None), Cell(request.wanted_attack)]
        head += [Cell(request.wanted_pixels)]
        rows = [Row((*head, *[Cell(None)] * 4, *gaps), in_paper=False)]
    return request.table(COLUMNS, rows, studies, notes)


def _measured(request: TableRequest, study: Study) -> Iterator[tuple[Cell, ...]]:
    for row in request.fetch(
        "cost", classifier_id=study.classifier_id, dataset_id=study.dataset_id
    ):
        through = row["denoiser"] and f"{row['denoiser']} #{row['denoiser_id']}"
        yield (
            Cell(study.dataset),
            Cell(study.data),
            Cell(study.classifier),
            Cell(row["attack"]),
            changed_cell(int(row["pixels"])),
            Cell(through),
            Cell(row["evaluator"]),
            Cell(row["precision"]),
            Cell(row["machine"]),
            *_figures(row),
        )


def _figures(row: RowValues) -> tuple[Cell, ...]:
    attempts, counted = int(row["attempts"]), int(row["attempts_counted"])
    queries = int(row["queries"])
    seconds = float(row["elapsed_ms"]) / 1000
    note = "" if counted == attempts else f"{counted} of {attempts} attempts"
    if counted == 0:
        distinct = share = distinct_rate = Cell(None, 0, note=NOT_COUNTED)
    else:
        found, asked = int(row["distinct_queries"]), int(row["queries_counted"])
        distinct = Cell(found, counted, note=note)
        share = Cell(100 * found / asked if asked else None, asked)
        distinct_rate = Cell(_rate(found, scaled(row["elapsed_ms_counted"], 0.001)), counted)
    return (
        Cell(attempts),
        Cell(queries, attempts),
        distinct,
        share,
        Cell(seconds, attempts),
        Cell(seconds / attempts, attempts),
        Cell(_rate(queries, seconds), attempts),
        distinct_rate,
    )


def _rate(count: int, seconds: float | None) -> float | None:
    return count / seconds if seconds else None


FAMILY = Family(build, title="What the Attacks Cost", pool="attempted", of_attempts=True)
