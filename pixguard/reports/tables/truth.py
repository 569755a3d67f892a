"""Table ``truth``: which images one pixel can fool at all, and which of them each attack finds."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import EXHAUSTIVE, PAPER_ATTACK, Study, choose, matching
from pixguard.reports.tables.family import Family, Held
from pixguard.reports.tables.request import (
    INTERVAL_NOTE,
    TableRequest,
    rate_cell,
    scaled,
    settings_text,
)
from pixguard.reports.tables.truth_notes import survey_notes
from pixguard.statistics import wilson_interval

WITHIN = (10, 100, 1000, 10_000)
"""Budgets of queries at which an attack is held against the truth."""
COLUMNS = (
    Column("attack"),
    Column("settings"),
    Column("seed", "count", is_label=True),
    Column("truth"),
    Column("images", "count"),
    Column("vulnerable", "count"),
    Column("found", "count"),
    Column("missed", "count"),
    Column("found %", "percent"),
    *(Column(f"found % within {most}", "percent") for most in WITHIN),
    Column("median queries, found", "quantity"),
    Column("median queries, all", "quantity"),
    Column("mean distinct queries", "quantity"),
    Column("mean seconds", "quantity"),
)
COMPARED = (EXHAUSTIVE, PAPER_ATTACK, "corner", "random")
"""Attacks that always have a row, run or not."""
KNOWN, BOUND = "known", "lower bound"
NOTES = (
    "truth known: a complete exhaustive search, which tries every value of every pixel, or rules "
    "it out by a bound (space=all-values), or a survey of all pixels (certify pixels) saw "
    "the images. images: those that both it and the attack were run on. vulnerable: of these, "
    "fooled in any attempt; found: by this attack. " + INTERVAL_NOTE,
    "found % within: with at most that many queries, of the vulnerable; median queries: over the "
    "attempts that succeeded, and over all; seconds: an attempt's share. In a search by bounds "
    "queries counts candidates and bounds, distinct queries the candidates.",
    "Attempts: with one number of pixels, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), on correctly classified test images; one attack and one seed a row.",
)
BOUND_NOTE = (
    "lower bound: no image that the attack was run on was searched in full. vulnerable is the "
    "union of what all attacks found on its images, so there are at least as many; found % is the "
    "attack's share of that union (of a single attack always 100 %), and at most as high of the "
    "truth. A search of the corners "
    "(space=corners) proves no image robust; `--attack exhaustive --by bounds` does."
)
SELECTED_NOTE = "The rows are selected; what is vulnerable is told by all attempts."


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row an attack (with its settings and seed), the truth first."""
    evidence = request.evidence
    study, attacked_with = _topic(request)
    measured: list[RowValues] = []
    notes: list[str] = [*NOTES]
    if study is not None:
        parameters = {
            "classifier_id": study.classifier_id,
            "dataset_id": study.dataset_id,
            "pixels": request.wanted_pixels,
            "success": success_pattern(json.loads(attacked_with).get("success")),
        }
        measured = request.fetch_all("truth", **parameters)
        (totals,) = request.fetch_all("truth_images", **parameters)
        notes += _findings(
            {name: int(count) for name, count in totals.items()}, request.wanted_pixels
        )
        (undecided,) = request.fetch_all(
            "truth_open", **{k: v for k, v in parameters.items() if k != "success"}
        )
        if undecided["images"]:
            notes.append(
                f"Open: on {undecided['images']} images a proof ended for want of budget, and no "
                "flip was found. They stand in no row and in no rate above, which are of decided "
                "images and lean to the vulnerable: with them, true robustness lies between "
                f"{_share_robust(totals, 0, undecided['images'])} and "
                f"{_share_robust(totals, undecided['images'], undecided['images'])} %."
            )
        if request.wanted_pixels == 1:
            notes += survey_notes(request, study)
        if request.wanted_pixels == 2:
            notes += _pairs(request.fetch_all("truth_corners", **parameters))
        notes += request.elsewhere(evidence.fully_searched, study)
    rows = [Row(cells, in_paper=False) for cells in _rows(request, study, measured)]
    if any(row.cells[HEAD - 1].value == BOUND for row in rows):
        notes.append(BOUND_NOTE)
    if request.selection:
        notes.append(SELECTED_NOTE)
    used = [replace(study, attack=None)] if study else []
    return request.table(
        COLUMNS, rows, used, notes, request.title_about(*([study] if study else []))
    )


HEAD = [column.name for column in COLUMNS].index("images")


def _topic(request: TableRequest) -> tuple[Study | None, str]:
    """Return the classifier to show, and the parameters (JSON) of its search or largest attack."""
    evidence, spec = request.evidence, request.spec
    study = request.find_study(evidence.fully_searched, evidence.searched, evidence.attacked)
    if study is not None and study.attack is not None:
        return study, study.attack.parameters

    def fitting(pool: Sequence[Study]) -> Study | None:
        dataset = request.dataset or spec.dataset
        own = matching(pool, dataset=dataset, size=request.size, model=request.model)
        return choose(own, None)

    pools = (evidence.attempted, evidence.surveyed, evidence.sampled)
    study = next(filter(None, map(fitting, pools)), None)
    if study is None:
        return None, "{}"
    rows = request.fetch_all(
        "attack_runs", classifier_id=study.classifier_id, dataset_id=study.dataset_id
    )
    own = [row for row in rows if row["pixels"] == spec.pixels]
    largest = max(own, key=lambda row: int(row["images"]), default={"parameters": "{}"})
    return study, largest["parameters"]


def success_pattern(success: str | None) -> str:
    """Return the pattern of attacks with one definition of success, as it is stored (JSON)."""
    return "%" if success is None else f'%"success":"{success}"%'


def _rows(
    request: TableRequest, study: Study | None, measured: Sequence[RowValues]
) -> Iterator[tuple[Cell, ...]]:
    selection = request.selection
    shown = [r for r in measured if selection.fits(r["attack"], r["pixels"], r["seed"])]
    for row in shown:
        if row["is_complete"]:
            yield _cells(row)
    names = {row["attack"] for row in shown}
    for name in selection.attacks or COMPARED:
        if name not in names:
            command = request.attack_command(study, name)
            gaps = (Cell(None, not_run=command) for _ in COLUMNS[HEAD:])
            yield (Cell(name), *(Cell(None) for _ in COLUMNS[1:HEAD]), *gaps)
    for row in shown:
        if not row["is_complete"]:
            yield _cells(row)


def _cells(row: RowValues) -> tuple[Cell, ...]:
    images, vulnerable, found, refuted = (
        int(row[k]) for k in ("images", "vulnerable", "found", "refuted")
    )
    counted, is_truth = int(row["distinct_counted"]), bool(row["is_truth"])

    def share(part: int) -> Cell:
        cell = rate_cell(part, vulnerable, None)
        return cell if is_truth or not vulnerable else replace(cell, interval=None, note="at most")

    return (
        Cell(row["attack"]),
        Cell(settings_text(row["parameters"])),
        Cell(int(row["seed"])),
        Cell(KNOWN if is_truth else BOUND),
        Cell(images),
        Cell(vulnerable, images, note="" if is_truth else "at least"),
        Cell(found, vulnerable, note=f"{refuted} against the search" if refuted else ""),
        Cell(vulnerable - found, vulnerable, note="" if is_truth else "at least"),
        share(found),
        *(share(int(row[f"found_{most}"])) for most in WITHIN),
        Cell(scaled(row["median_queries_found"]), found),
        Cell(scaled(row["median_queries"]), images),
        Cell(scaled(row["mean_distinct"]), counted, note="" if counted else "not counted"),
        Cell(scaled(row["mean_elapsed_ms"], 0.001), images),
    )


def _findings(totals: dict[str, int], pixels: int) -> Iterator[str]:
    """Yield what the images tell: the true robustness, and what speaks against it."""
    searched, vulnerable = totals["searched"], totals["vulnerable"]
    interval = wilson_interval(searched - vulnerable, searched)
    if interval is not None:
        low, high = interval
        share = 100 * (searched - vulnerable) / searched
        yield (
            f"Truth is known for {searched} of {totals['tried']} images; {vulnerable} are "
            f"vulnerable. True {'one' if pixels == 1 else pixels}-pixel robustness: {share:.2f} % "
            f"({100 * low:.1f}–{100 * high:.1f}) of the searched images withstand every "
            "pixel and colour."
        )
    if totals["contradicted"]:
        yield (
            f"CONTRADICTION: a complete search or survey calls {totals['contradicted']} of these "
            "images robust, and another attempt fooled the classifier on them. One of them errs, "
            "or they were made in different precisions: do not rely on this table."
        )
    if totals["rounded"]:
        yield (
            f"{totals['rounded']} images were searched in another precision than float32: what "
            "the search took for a failure was not checked in float32."
        )
    unsearched, beyond = totals["tried"] - searched, totals["beyond"]
    interval = wilson_interval(beyond, unsearched)
    if interval is not None:
        low, high = interval
        yield (
            f"Without a complete search: {unsearched} of {totals['tried']} images. At least "
            f"{beyond} of them are vulnerable, {100 * beyond / unsearched:.2f} % "
            f"({100 * low:.1f}–{100 * high:.1f}): the union of what all attacks found. What no "
            "attack found may be vulnerable still."
        )


def _share_robust(totals: RowValues, open_robust: int, open_images: int) -> str:
    """Return in percent how many withstand, where so many of the open images do."""
    searched = int(totals["searched"])
    robust = searched - int(totals["vulnerable"])
    return f"{100 * (robust + open_robust) / (searched + open_images):.2f}"


def _pairs(rows: Sequence[RowValues]) -> Iterator[str]:
    """Yield what searches of all pairs of extreme values say."""
    (row,) = rows
    searched, fooled, beyond = (int(row[name]) for name in ("searched", "fooled", "beyond"))
    interval = wilson_interval(fooled, searched)
    if interval is None:
        return
    low, high = interval
    there = f", and {beyond} of them fell there" if beyond else ""
    yield (
        f"Every pair of black and white pixels of {searched} images was tried or ruled out "
        f"(--attack exhaustive --pixels 2): {fooled} are fooled, {100 * fooled / searched:.2f} % "
        f"({100 * low:.1f}–{100 * high:.1f}). The others withstand all pairs at extreme values; of "
        f"values between, nothing is proven{there}."
    )


def _held(request: TableRequest) -> Held:
    """Return the datasets of which an attack tells at least a lower bound."""
    return set(), {study.dataset for study in request.evidence.attempted}


FAMILY = Family(
    build,
    title="Vulnerable Images, and Which of Them Each Attack Finds",
    pixels=1,
    held=_held,
    of_attempts=True,
)
