"""Table ``defences``: every defence a row, with all that decides between them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from pixguard.records import CERTIFIED
from pixguard.reports import commands
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study, choose
from pixguard.reports.tables.adaptive import CLEAN_NOTE, CLEAN_UNKNOWN, clean_cell
from pixguard.reports.tables.denoising import IDENTITY, mean_cell, psnr_cell
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell, scaled

PROVEN = (1, 2)
"""Numbers of changed pixels that certificates are told for."""
METRICS = ("ssim", "gmsd", "fsim")
COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("classifier"),
    Column("pixels", "count", is_label=True),
    Column("defence"),
    Column("recovered %", "percent", show_denominator=True),
    Column("clean broken %", "percent", show_denominator=True),
    Column("PSNR", "decibel"),
    Column("SSIM", "score"),
    Column("GMSD", "score"),
    Column("FSIM", "score"),
    Column("adaptive success %", "percent", show_denominator=True),
    Column("undefended success %", "percent", show_denominator=True),
    Column("accuracy %", "percent"),
    Column("certified %", "percent", show_denominator=True),
    Column("ms an image", "quantity"),
    Column("parameters", "count"),
)
NOTES = (
    "recovered: of the images that fooled the bare classifier, right once denoised. clean broken: "
    "of the clean test images that it gets right, wrong once denoised, or flagged. PSNR (dB), "
    "SSIM, GMSD and FSIM: means over the restorations of what fooled it, against the clean images; "
    "identical images, of infinite PSNR, are counted beside the mean. " + INTERVAL_NOTE,
    "adaptive success: of the images attacked in the face of the defence, those that any attempt "
    "fooled, beside a detector without an alarm; undefended: of these, fooled by any attempt with "
    "the same attacks and seeds on the bare classifier. A certified classifier is attacked itself.",
    "accuracy: on test images, of the classifier without a defence (identity), and of certified "
    "ones; certified: right, and provably so for that many changed pixels. ms an image: of "
    "restoring it. parameters: of the defence.",
    "Attempts: non-targeted, first repeat (repeat = 0), all attacks and seeds together; --attack "
    "and --seed select.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: for each classifier and number of pixels, its defences and certificates.

    A certified classifier stands with the plain ones of its dataset, on which it does not depend.
    """
    pool = {c.classifier_id: c for c in request.studies(request.evidence.attempted)}
    studies = [c for c in pool.values() if c.architecture not in CERTIFIED]
    studies.sort(key=lambda c: (c.is_synthetic, c.dataset, c.size, c.classifier_id))
    proven = [
        (own, row)
        for own in request.studies(request.evidence.certified)
        if own.architecture in CERTIFIED and any(own.dataset_id == s.dataset_id for s in studies)
        for row in request.fetch(
            "certified", classifier_id=own.classifier_id, plain_id=0, method=own.architecture
        )
        if row["images"]
    ]
    used: dict[int, Study] = {}
    rows: list[Row] = []
    for study in studies:
        for own, pixels, cells in _about(request, study, proven):
            used[own.classifier_id] = own
            head = (Cell(own.dataset), Cell(own.data), Cell(own.classifier), Cell(pixels))
            rows.append(Row((*head, *cells), in_paper=False))
    notes = [*NOTES]
    if any(cell.note == CLEAN_UNKNOWN for row in rows for cell in row.cells):
        notes.append(CLEAN_NOTE)
    if not rows:
        command = _command(request, studies)
        rows = [Row(tuple(Cell(None, not_run=command) for _ in COLUMNS), in_paper=False)]
    return request.table(COLUMNS, rows, used.values(), notes)


def _about(
    request: TableRequest, study: Study, proven: Sequence[tuple[Study, RowValues]]
) -> Iterator[tuple[Study, int, tuple[Cell, ...]]]:
    """Yield the rows after the head, with the classifier that each is about, and the pixels."""
    names = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}
    measured = request.fetch("defences", **names)
    namesakes = Counter(name for name, _ in {(r["denoiser"], r["denoiser_id"]) for r in measured})
    for pixels, rows in groupby(measured, lambda row: int(row["pixels"])):
        for row in rows:
            is_unique = namesakes[row["denoiser"]] == 1
            yield study, pixels, _denoiser(request, study, row, is_unique=is_unique)
        if pixels in PROVEN:
            for own, row in proven:
                if own.dataset_id == study.dataset_id:
                    yield own, pixels, _certificate(own, row, pixels)


def _denoiser(
    request: TableRequest, study: Study, row: RowValues, *, is_unique: bool
) -> tuple[Cell, ...]:
    name, number = row["denoiser"], row["denoiser_id"]
    missing = commands.score(study.dataset, study.classifier_id)
    selector = name if is_unique else str(number)
    through = request.attack_command(study, None, int(row["pixels"]), selector)
    nothing = Cell(None)
    quality: tuple[Cell, ...] = (nothing,) * (1 + len(METRICS))
    recovered = nothing
    if row["restored"]:
        quality = (
            psnr_cell(row, missing, study.size),
            *(mean_cell(row, metric, missing, study.size) for metric in METRICS),
        )
        recovered = rate_cell(int(row["recovered"]), int(row["restored"]), None)
    # Nothing can be attacked through the identity that is not attacked bare.
    is_identity = name == IDENTITY
    return (
        Cell(name if is_unique else f"{name} #{number}"),
        recovered,
        clean_cell(row),
        *quality,
        nothing if is_identity else _share(row, "adaptive", through),
        _share(row, "bare", None),
        _accuracy(request, study) if is_identity else nothing,
        nothing,
        Cell(scaled(row["elapsed_ms"]), int(row["restored"] or 0)),
        Cell(int(row["parameters"])),
    )


def _share(row: RowValues, kind: str, command: str | None) -> Cell:
    images = int(row[f"{kind}_images"] or 0)
    return rate_cell(int(row[f"{kind}_fooled"] or 0), images, None, not_run=command)


def _accuracy(request: TableRequest, study: Study) -> Cell:
    names = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}
    (row,) = request.fetch("classification", **names)
    return rate_cell(int(row["correct"]), int(row["test_images"]), None)


def _certificate(own: Study, row: RowValues, pixels: int) -> tuple[Cell, ...]:
    images = int(row["images"])
    nothing = Cell(None)
    tried, fooled = (int(row[f"{what}_{pixels}"] or 0) for what in ("tried", "fooled"))
    command = commands.attack(own.dataset, pixels, own.classifier_id)
    return (
        Cell(f"certificate {own.architecture}"),
        *[nothing] * (2 + 1 + len(METRICS)),
        rate_cell(fooled, tried, None, not_run=command),
        nothing,
        rate_cell(int(row["clean_right"] or 0), images, None),
        rate_cell(int(row[f"certain_{pixels}"] or 0), images, None),
        nothing,
        nothing,
    )


def _command(request: TableRequest, studies: Sequence[Study]) -> str:
    newest = choose(studies, None)
    if newest is not None:
        return commands.apply(newest.dataset, newest.classifier_id)
    dataset = request.dataset or request.default_dataset()
    return f"{request.attack_command(None)}; {commands.apply(dataset, None)}"


FAMILY = Family(build, title="Every Defence a Row", pool="attempted", of_attempts=True)
