"""Table ``adaptive``: attacks made through the defence, beside attacks replayed at it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pixguard.reports import commands
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import (
    INTERVAL_NOTE,
    TableRequest,
    changed_cell,
    rate_cell,
    scaled,
    settings_text,
)

COLUMNS = (
    Column("denoiser"),
    Column("attack"),
    Column("settings"),
    Column("pixels", "count", is_label=True),
    Column("seed", "count", is_label=True),
    Column("clean broken %", "percent", show_denominator=True),
    Column("transfer recovered %", "percent", show_denominator=True),
    Column("adaptive success %", "percent", show_denominator=True),
    Column("adaptive median queries", "quantity"),
    Column("bare success %", "percent", show_denominator=True),
    Column("bare median queries", "quantity"),
    Column("images shared", "count"),
)
NOTHING_TO_RESTORE = "none"
NOTHING_NOTE = "none: no attempt on the bare classifier succeeded, so there is nothing to restore."
CLEAN_UNKNOWN = "not run"
CLEAN_NOTE = (
    "clean broken: not run where the denoiser's restorations of clean images are not "
    "stored; `pixguard denoise apply` stores those of every attacked image."
)
NOTES = (
    "clean broken: of the clean test images that the classifier gets right, wrong once denoised. "
    "transfer recovered: of the images that fooled the bare classifier, right once denoised. "
    "adaptive: attempts on the classifier behind the denoiser. bare: the same attack on the "
    "classifier alone. " + INTERVAL_NOTE,
    "The attacker of the transfer figure does not know of the defence; only the adaptive figure "
    "says what the defence withstands. images shared: attacked both bare and through it.",
    "Attempts: non-targeted, first repeat (repeat = 0), one attack and one seed a row; median "
    "queries over all of them, with success or not.",
)
DEFAULTS_NOTE = "The commands take the default settings and seed; add those of the row."


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a denoiser and attack."""
    evidence = request.evidence
    study = request.find_study(evidence.defended, evidence.attempted, evidence.classifiers)
    measured: list[RowValues] = []
    if study is not None:
        measured = request.fetch(
            "adaptive", classifier_id=study.classifier_id, dataset_id=study.dataset_id
        )
    rows = [Row(cells, in_paper=False) for cells in _rows(request, study, measured)]
    said = {cell.note for row in rows for cell in row.cells}
    notes = [*NOTES]
    notes += [NOTHING_NOTE] if NOTHING_TO_RESTORE in said else []
    notes += [CLEAN_NOTE] if CLEAN_UNKNOWN in said else []
    notes += [DEFAULTS_NOTE] if any(c.not_run for row in rows for c in row.cells) else []
    notes += request.elsewhere(evidence.defended, study) if study else []
    used = [study] if study else []
    return request.table(
        COLUMNS, rows, used, notes, request.title_about(*([study] if study else []))
    )


def _rows(
    request: TableRequest, study: Study | None, measured: Sequence[RowValues]
) -> Iterator[tuple[Cell, ...]]:
    ids = {(row["denoiser"], row["denoiser_id"]) for row in measured}
    namesakes = Counter(name for name, _ in ids)
    for row in measured:
        name = row["denoiser"]
        is_unique = namesakes[name] == 1
        label = name if is_unique else f"{name} #{row['denoiser_id']}"
        selector = name if is_unique else str(row["denoiser_id"])
        yield _cells(request, study, row, label, selector)
    if not measured:
        # The median needs no training: it is the shortest way to a first row.
        command = request.attack_command(study, through="median")
        gaps = (Cell(None, not_run=command) for _ in COLUMNS[5:])
        head = (Cell(request.wanted_attack), Cell(None), Cell(request.wanted_pixels), Cell(None))
        yield (Cell("median"), *head, *gaps)


def _cells(
    request: TableRequest, study: Study | None, row: RowValues, label: str, selector: str
) -> tuple[Cell, ...]:
    attack, pixels = row["attack"] or request.wanted_attack, row["pixels"]
    bare_command = request.attack_command(study, attack, pixels)
    adaptive_command = request.attack_command(study, attack, pixels, selector)
    is_bare = row["bare_images"] is not None
    shared = int(row["shared"] or 0) if is_bare and row["adaptive_images"] is not None else None
    return (
        Cell(label),
        Cell(attack),
        Cell(settings_text(row["parameters"]) if row["parameters"] else None),
        changed_cell(pixels) if row["attack"] else Cell(pixels),
        Cell(row["seed"]),
        clean_cell(row),
        _transfer(study, row, selector, bare_command),
        *_attempts(row, "adaptive", adaptive_command),
        *_attempts(row, "bare", bare_command),
        Cell(shared),
    )


def clean_cell(row: RowValues) -> Cell:
    """Return the share of right clean images that a denoiser breaks, from the queries' columns."""
    if row["clean_restored"] is None:
        return Cell(None, note=CLEAN_UNKNOWN)
    return rate_cell(int(row["clean_broken"]), int(row["clean_restored"]), None)


def _transfer(study: Study | None, row: RowValues, selector: str, bare_command: str) -> Cell:
    if row["restored"] is not None:
        return rate_cell(int(row["recovered"]), int(row["restored"]), None)
    if row["bare_images"] is not None and not row["bare_succeeded"]:
        return Cell(None, 0, note=NOTHING_TO_RESTORE)
    if study is None:
        return Cell(None, not_run=bare_command)
    denoise = commands.denoise(study.dataset, selector, study.classifier_id, trained=True)
    is_attacked = row["bare_images"] is not None
    return Cell(None, not_run=denoise if is_attacked else f"{bare_command}; {denoise}")


def _attempts(row: RowValues, kind: str, command: str) -> tuple[Cell, Cell]:
    """Return success share and median queries of the attempts of a kind (adaptive or bare)."""
    if row[f"{kind}_images"] is None:
        return Cell(None, not_run=command), Cell(None, not_run=command)
    images = int(row[f"{kind}_images"])
    return (
        rate_cell(int(row[f"{kind}_succeeded"]), images, None),
        Cell(scaled(row[f"{kind}_median_queries"]), images),
    )


FAMILY = Family(
    build,
    title="Attacks Through the Defence, Beside Attacks Replayed at It",
    pool="defended",
    of_attempts=True,
)
