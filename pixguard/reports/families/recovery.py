"""Table ``recovery``: labels that denoisers give back, and clean labels that they break."""

from collections.abc import Iterator

from pixguard.reports import commands
from pixguard.reports.families.adaptive import CLEAN_NOTE, CLEAN_UNKNOWN, clean_cell
from pixguard.reports.families.beyond import attack_command, settings_text
from pixguard.reports.inventory import PAPER_ATTACK, Candidate, choose
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import INTERVAL_NOTE, TableRequest, rate_cell

COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("classifier"),
    Column("attack"),
    Column("settings"),
    Column("pixels", "count", is_label=True),
    Column("seed", "count", is_label=True),
    Column("denoiser"),
    Column("images fooled", "count"),
    Column("recovered %", "percent", show_denominator=True),
    Column("clean broken %", "percent", show_denominator=True),
)
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
    candidates = request.candidates(request.inventory.attempted, request.dataset)
    candidates.sort(key=lambda c: (c.is_synthetic, c.dataset, c.classifier_id))
    lines: list[tuple[Candidate | None, tuple[Cell, ...]]] = [
        (c, cells) for c in candidates for cells in _measured(request, c)
    ]
    notes = [*NOTES]
    if any(cell.note == CLEAN_UNKNOWN for _, cells in lines for cell in cells):
        notes.append(CLEAN_NOTE)
    if not lines:
        command = _command(request, candidates)
        lines = [(None, tuple(Cell(None, not_run=command) for _ in COLUMNS))]
    used = dict.fromkeys(candidate for candidate, _ in lines if candidate)
    rows = (Row(cells, in_paper=False) for _, cells in lines)
    return request.table(COLUMNS, rows, used, notes)


def _measured(request: TableRequest, candidate: Candidate) -> Iterator[tuple[Cell, ...]]:
    for row in request.fetch("recovery", classifier_id=candidate.classifier_id):
        yield (
            Cell(candidate.dataset),
            Cell(candidate.data),
            Cell(candidate.classifier),
            Cell(row["attack"]),
            Cell(settings_text(row["parameters"])),
            Cell(int(row["pixels"])),
            Cell(int(row["seed"])),
            Cell(f"{row['denoiser']} #{row['denoiser_id']}"),
            Cell(int(row["fooled"])),
            rate_cell(int(row["recovered"]), int(row["restored"]), None),
            clean_cell(row),
        )


def _command(request: TableRequest, candidates: list[Candidate]) -> str:
    newest = choose(candidates, None)
    if newest is not None:
        return commands.apply(newest.dataset, newest.classifier_id)
    attack = attack_command(request, None, PAPER_ATTACK)
    dataset = request.dataset or request.default_dataset()
    return f"{attack}; {commands.apply(dataset, None)}"
