"""Table ``recovery``: labels that denoisers give back, and clean labels that they break."""

from collections.abc import Iterator, Sequence

from pixguard.reports import commands
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study, choose
from pixguard.reports.tables.adaptive import CLEAN_NOTE, CLEAN_UNKNOWN, clean_cell
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import (
    INTERVAL_NOTE,
    TableRequest,
    changed_cell,
    rate_cell,
    settings_text,
)

COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("classifier"),
    Column("attack"),
    Column("pixels", "count", is_label=True),
    Column("seed", "count", is_label=True),
    Column("denoiser"),
    Column("images fooled", "count"),
    Column("recovered %", "percent", show_denominator=True),
    Column("clean broken %", "percent", show_denominator=True),
)
ATTACK = [column.name for column in COLUMNS].index("attack")
NOTES = (
    "images fooled: successful attempts; recovered: of those that the denoiser restored (n), the "
    "classifier gives the true label set back. clean broken: of the clean test images that the "
    "classifier gets right, wrong once denoised. " + INTERVAL_NOTE,
    "A transfer figure: the attack did not know of the denoiser; the table adaptive shows attacks "
    "that do.",
    "Attempts: non-targeted, on the bare classifier, first repeat (repeat = 0), one attack and one "
    "seed a row.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each classifier, attack and denoiser."""
    studies = request.studies(request.evidence.attempted)
    studies.sort(key=lambda c: (c.is_synthetic, c.dataset, c.classifier_id))
    lines: list[tuple[Study | None, tuple[Cell, ...]]] = [
        (c, cells) for c in studies for cells in _measured(request, c)
    ]
    notes = [*NOTES]
    if any(cell.note == CLEAN_UNKNOWN for _, cells in lines for cell in cells):
        notes.append(CLEAN_NOTE)
    if not lines:
        command = _command(request, studies)
        lines = [(None, tuple(Cell(None, not_run=command) for _ in COLUMNS))]
    used = dict.fromkeys(study for study, _ in lines if study)
    attacks, told = _told([cells[ATTACK] for _, cells in lines])
    rows = (
        Row((*cells[:ATTACK], attack, *cells[ATTACK + 1 :]), in_paper=False)
        for attack, (_, cells) in zip(attacks, lines, strict=True)
    )
    return request.table(COLUMNS, rows, used, [*notes, *told])


def _told(attacks: Sequence[Cell]) -> tuple[list[Cell], list[str]]:
    """Return attacks as a reader needs them: settings in a note, or in the row where they differ.

    Args:
        attacks: cells with the name, and the settings as their note.
    """
    settings: dict[object, set[str]] = {}
    for cell in attacks:
        settings.setdefault(cell.value, set()).add(cell.note)
    cells = [
        cell
        if cell.value is None
        else Cell(cell.value if len(settings[cell.value]) == 1 else f"{cell.value} ({cell.note})")
        for cell in attacks
    ]
    notes = [f"{name}: {own}." for name, found in settings.items() if name and len(found) == 1
             for own in found if own]  # fmt: skip
    return cells, notes


def _measured(request: TableRequest, study: Study) -> Iterator[tuple[Cell, ...]]:
    for row in request.fetch(
        "recovery", classifier_id=study.classifier_id, dataset_id=study.dataset_id
    ):
        yield (
            Cell(study.dataset),
            Cell(study.data),
            Cell(study.classifier),
            Cell(row["attack"], note=settings_text(row["parameters"])),
            changed_cell(int(row["pixels"])),
            Cell(int(row["seed"])),
            Cell(f"{row['denoiser']} #{row['denoiser_id']}"),
            Cell(int(row["fooled"])),
            rate_cell(int(row["recovered"]), int(row["restored"]), None),
            clean_cell(row),
        )


def _command(request: TableRequest, studies: list[Study]) -> str:
    newest = choose(studies, None)
    if newest is not None:
        return commands.apply(newest.dataset, newest.classifier_id)
    attack = request.attack_command(None)
    dataset = request.dataset or request.default_dataset()
    return f"{attack}; {commands.apply(dataset, None)}"


FAMILY = Family(
    build,
    title="Labels That Denoisers Give Back, and Clean Labels That They Break",
    pool="restored",
    of_attempts=True,
)
