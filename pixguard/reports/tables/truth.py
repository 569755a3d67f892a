"""Table ``truth``: which images one pixel can fool at all, and which of them each attack finds."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pixguard.reports.evidence import EXHAUSTIVE, PAPER_ATTACK, Study
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import (
    INTERVAL_NOTE,
    TableRequest,
    rate_cell,
    scaled,
    settings_text,
)
from pixguard.statistics import wilson_interval

COLUMNS = (
    Column("attack"),
    Column("settings"),
    Column("seed", "count", is_label=True),
    Column("images", "count"),
    Column("vulnerable", "count"),
    Column("found", "count"),
    Column("missed", "count"),
    Column("found %", "percent"),
    Column("median queries, found", "quantity"),
    Column("median queries, all", "quantity"),
    Column("mean distinct queries", "quantity"),
    Column("mean seconds", "quantity"),
)
COMPARED = (EXHAUSTIVE, PAPER_ATTACK, "corner", "random")
"""Attacks that always have a row, run or not."""
UNKNOWN = "unknown"
NOTES = (
    "Truth: what a complete exhaustive search says, which tries every value of every pixel "
    "(space=all-values). images: those that both it and the attack were run on. vulnerable: of "
    "these, fooled by one pixel in any attempt; found: by this attack. " + INTERVAL_NOTE,
    "median queries: over the attempts that succeeded, and over all; seconds: an attempt's share.",
    "Attempts: one pixel, non-targeted, on the bare classifier, first repeat (repeat = 0), on "
    "correctly classified test images; one attack and one seed a row.",
)
UNKNOWN_NOTE = (
    "unknown: no image that the attack was run on was searched in full. A search of the "
    "corners (space=corners) proves no image robust; in grayscale `--attack exhaustive --space "
    "all-values` does, in colour nothing."
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row an attack (with its settings and seed), the truth first."""
    evidence = request.evidence
    study = request.find_study(evidence.fully_searched, evidence.searched, evidence.attacked)
    measured: list[RowValues] = []
    notes: list[str] = [*NOTES]
    if study is not None and study.attack is not None:
        parameters = {
            "classifier_id": study.classifier_id,
            "dataset_id": study.dataset_id,
            "success": _success_pattern(study.attack.parameters),
        }
        measured = request.fetch("truth", **parameters)
        (totals,) = request.fetch("truth_images", **parameters)
        notes += _findings({name: int(count) for name, count in totals.items()})
        notes += request.elsewhere(evidence.fully_searched, study)
    rows = [Row(cells, in_paper=False) for cells in _rows(request, study, measured)]
    if any(cell.note == UNKNOWN for row in rows for cell in row.cells):
        notes.append(UNKNOWN_NOTE)
    used = [replace(study, attack=None)] if study else []
    return request.table(
        COLUMNS, rows, used, notes, request.title_about(*([study] if study else []))
    )


def _success_pattern(parameters: str) -> str:
    """Return the pattern of attacks with one definition of success, as it is stored (JSON)."""
    success = json.loads(parameters).get("success")
    return "%" if success is None else f'%"success":"{success}"%'


def _rows(
    request: TableRequest, study: Study | None, measured: Sequence[RowValues]
) -> Iterator[tuple[Cell, ...]]:
    for row in measured:
        if row["is_complete"]:
            yield _cells(row)
    names = {row["attack"] for row in measured}
    for name in COMPARED:
        if name not in names:
            command = request.attack_command(study, name)
            gaps = (Cell(None, not_run=command) for _ in COLUMNS[3:])
            yield (Cell(name), Cell(None), Cell(None), *gaps)
    for row in measured:
        if not row["is_complete"]:
            yield _cells(row)


def _cells(row: RowValues) -> tuple[Cell, ...]:
    head = (Cell(row["attack"]), Cell(settings_text(row["parameters"])), Cell(int(row["seed"])))
    images = int(row["images"])
    if images == 0:
        return (*head, Cell(0), *(Cell(None, 0, note=UNKNOWN) for _ in COLUMNS[4:]))
    vulnerable, found, refuted = (int(row[k]) for k in ("vulnerable", "found", "refuted"))
    counted = int(row["distinct_counted"])
    return (
        *head,
        Cell(images),
        Cell(vulnerable, images),
        Cell(found, vulnerable, note=f"{refuted} against the search" if refuted else ""),
        Cell(vulnerable - found, vulnerable),
        rate_cell(found, vulnerable, None),
        Cell(scaled(row["median_queries_found"]), found),
        Cell(scaled(row["median_queries"]), images),
        Cell(scaled(row["mean_distinct"]), counted, note="" if counted else "not counted"),
        Cell(scaled(row["mean_elapsed_ms"], 0.001), images),
    )


def _findings(totals: dict[str, int]) -> Iterator[str]:
    """Yield what the images tell: the true robustness, and what speaks against it."""
    searched, vulnerable = totals["searched"], totals["vulnerable"]
    interval = wilson_interval(searched - vulnerable, searched)
    if interval is not None:
        low, high = interval
        share = 100 * (searched - vulnerable) / searched
        yield (
            f"Truth is known for {searched} of {totals['tried']} images; {vulnerable} are "
            f"vulnerable. True one-pixel robustness: {share:.2f} % "
            f"({100 * low:.1f}–{100 * high:.1f}) of the searched images withstand every pixel "
            "and colour."
        )
    if totals["contradicted"]:
        yield (
            f"CONTRADICTION: a complete search calls {totals['contradicted']} of these images "
            "robust, and another attempt fooled the classifier on them. A search or a success is "
            "wrong, or they were made in different precisions: do not rely on this table."
        )
    if totals["rounded"]:
        yield (
            f"{totals['rounded']} images were searched in another precision than float32: what "
            "the search took for a failure was not checked in float32."
        )
    if totals["beyond"]:
        yield (
            f"{totals['beyond']} images without a complete search are vulnerable too, by the "
            "success of an attack; they are in no row, because nobody knows what was missed there."
        )


FAMILY = Family(
    build,
    title="Vulnerable Images, and Which of Them Each Attack Finds",
    pixels=1,
    pool="fully_searched",
)
