"""Table ``attacks``: attack by attack on the same images, with paired differences."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import (
    INTERVAL_NOTE,
    TableRequest,
    rate_cell,
    scaled,
    settings_text,
)
from pixguard.reports.tables.truth import success_pattern
from pixguard.statistics import holm, mcnemar

COLUMNS = (
    Column("attack"),
    Column("settings"),
    Column("pixels", "count", is_label=True),
    Column("seed", "count", is_label=True),
    Column("images", "count"),
    Column("successes", "count"),
    Column("success %", "percent"),
    Column("median queries, found", "quantity"),
    Column("mean queries, found", "quantity"),
    Column("median queries, all", "quantity"),
    Column("mean queries, all", "quantity"),
    Column("seconds an attempt", "quantity"),
    Column("compared with"),
    Column("difference", "percent"),
    Column("only this", "count"),
    Column("only the other", "count"),
    Column("p", "error"),
    Column("p (Holm)", "error"),
)
HEAD = [column.name for column in COLUMNS].index("images")
PAIRED = [column.name for column in COLUMNS].index("compared with")
REFERENCE, ALONE, NOTHING_SHARED = "reference", "no other attack", "no image shared"
NOTES = (
    "images: of the attacks with one number of pixels, those that all of them tried; every figure "
    "is over these. queries: over the attempts that succeeded (found), and over all; seconds: each "
    f"attempt's share of its batch. {INTERVAL_NOTE}",
    "difference: success minus that of the attack that it is compared with, in percentage points. "
    "only this, only the other: images that one of the two fooled and the other did not. p: exact "
    "two-sided McNemar test on these; p (Holm): corrected over the rows with one number of pixels.",
    "Attempts: non-targeted, on the bare classifier, first repeat (repeat = 0), on correctly "
    "classified test images; one attack, its settings and one seed a row.",
)
BEST_NOTE = (
    "Compared with the attack of most successes, fewer queries first where they are equal: it was "
    "picked on these very images, which makes it look a little better than it is. --attack "
    "NAME,... compares with the first that it names."
)


@dataclass(frozen=True, slots=True)
class _Group:
    """Attacks that can be compared: with one number of pixels and one meaning of success."""

    pixels: int
    success: str | None
    runs: Sequence[RowValues]
    other: RowValues
    pairs: Mapping[tuple[int, int], tuple[int, int]]

    @property
    def images(self) -> int:
        return int(self.runs[0]["images"])

    def told(self) -> str:
        """Return which images the attacks have in common, and what was left out."""
        anywhere = int(self.runs[0]["anywhere"])
        pixels = f"{self.pixels} pixel{'' if self.pixels == 1 else 's'}"
        meaning = f", success {self.success}" if self.success else ""
        if len(self.runs) == 1:
            return f"{pixels}{meaning}: one attack, {self.images} images"
        left = anywhere - self.images
        text = f"{pixels}{meaning}: {self.images} images that all {len(self.runs)} attacks tried"
        if not left:
            return text
        fewest = min(self.runs, key=lambda run: int(run["tried"]))
        return (
            f"{text}; {left} of {anywhere} left out, for not all tried them: fewest "
            f"{self.name(fewest)}, {fewest['tried']}"
        )

    def name(self, run: RowValues) -> str:
        alike = [r for r in self.runs if (r["attack"], r["seed"]) == (run["attack"], run["seed"])]
        settings = f" ({settings_text(run['parameters'])})" if len(alike) > 1 else ""
        return f"{run['attack']}{settings}, seed {run['seed']}"


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each attack and seed, the most successful first."""
    study = request.find_study(request.evidence.attempted)
    groups = list(_groups(request, study)) if study else []
    rows = [Row(cells, in_paper=False) for group in groups for cells in _rows(group)]
    if not rows:
        command = request.attack_command(study)
        gaps = (Cell(None, not_run=command) for _ in COLUMNS[1:])
        rows = [Row((Cell(request.wanted_attack), *gaps), in_paper=False)]
    notes = [*NOTES]
    if not request.selection.attacks and any(len(group.runs) > 1 for group in groups):
        notes.append(BEST_NOTE)
    if any(not group.images for group in groups):
        notes.append(
            "No image was tried by all attacks. --attack and --seed select those to compare."
        )
    used = [study] if study else []
    notes += request.elsewhere(request.evidence.attempted, study) if study else []
    caption = [line for part in (used, groups) for line in map(_told, part)]
    return request.table(COLUMNS, rows, used, notes, request.title_about(*used), caption)


def _told(part: Study | _Group) -> str:
    return part.describe() if isinstance(part, Study) else part.told()


def _groups(request: TableRequest, study: Study) -> Iterator[_Group]:
    ids = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}
    found = request.fetch("attack_runs", **ids)
    meanings = {
        (row["pixels"], json.loads(row["parameters"]).get("success"))
        for row in found
        if row["pixels"]  # dense attacks have a table of their own
    }
    for pixels, success in sorted(meanings, key=lambda m: (m[0], m[1] or "")):
        threat = {**ids, "pixels": pixels, "success": success_pattern(success)}
        runs = request.fetch("attacks", **threat)
        other = _other(request, runs)
        paired = []
        if len(runs) > 1 and runs[0]["images"]:
            ids_of_other = {"attack_id": other["attack_id"], "seed": other["seed"]}
            paired = request.fetch("attacks_paired", **threat, **ids_of_other)
        pairs = {
            (row["attack_id"], row["seed"]): (int(row["only_this"]), int(row["only_other"]))
            for row in paired
        }
        yield _Group(pixels, success, runs, other, pairs)


def _other(request: TableRequest, runs: Sequence[RowValues]) -> RowValues:
    """Return what all are compared with: the attack named first, else the most successful."""
    named = [run for run in runs if run["attack"] in request.selection.attacks[:1]]
    return (named or list(runs))[0]


def _rows(group: _Group) -> Iterator[tuple[Cell, ...]]:
    compared = [run for run in group.runs if run is not group.other and group.images]
    pairs = [group.pairs[run["attack_id"], run["seed"]] for run in compared]
    p_values = [mcnemar(*pair) for pair in pairs]
    figures = {
        (run["attack_id"], run["seed"]): (*pair, p, corrected)
        for run, pair, p, corrected in zip(compared, pairs, p_values, holm(p_values), strict=True)
    }
    for run in group.runs:
        yield (
            Cell(run["attack"]),
            Cell(settings_text(run["parameters"])),
            Cell(group.pixels),
            Cell(int(run["seed"])),
            *_figures(run),
            *_compared(group, run, figures.get((run["attack_id"], run["seed"]))),
        )


def _figures(run: RowValues) -> tuple[Cell, ...]:
    images, successes = int(run["images"]), int(run["successes"])
    if not images:
        gaps = (Cell(None, 0, note=NOTHING_SHARED) for _ in COLUMNS[HEAD + 1 : PAIRED])
        return (Cell(0, note=f"of {run['tried']}"), *gaps)
    return (
        Cell(images),
        Cell(successes, images),
        rate_cell(successes, images, None),
        Cell(scaled(run["median_queries_found"]), successes),
        Cell(scaled(run["mean_queries_found"]), successes),
        Cell(scaled(run["median_queries"]), images),
        Cell(scaled(run["mean_queries"]), images),
        Cell(scaled(run["mean_elapsed_ms"], 0.001), images),
    )


def _compared(
    group: _Group, run: RowValues, figures: tuple[int, int, float, float | None] | None
) -> tuple[Cell, ...]:
    if figures is None:
        words = ALONE if len(group.runs) == 1 else REFERENCE if group.images else NOTHING_SHARED
        return (Cell(words), *(Cell(None) for _ in COLUMNS[PAIRED + 1 :]))
    only_this, only_other, p_value, corrected = figures
    return (
        Cell(group.name(group.other)),
        Cell(100 * (only_this - only_other) / group.images, group.images),
        Cell(only_this, group.images),
        Cell(only_other, group.images),
        Cell(p_value, only_this + only_other),
        Cell(corrected, only_this + only_other),
    )


FAMILY = Family(
    build, title="Attacks Compared on the Same Images", pool="attempted", of_attempts=True
)
