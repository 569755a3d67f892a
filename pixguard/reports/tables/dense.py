"""Table ``dense``: success of attacks that may change all pixels, by how far they may go."""

import json
from collections.abc import Iterator, Sequence

from pixguard.attacks.registry import ATTACKS
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

COLUMNS = (
    Column("attack"),
    Column("norm"),
    Column("eps"),
    Column("other settings"),
    Column("through"),
    Column("target"),
    Column("seed", "count", is_label=True),
    Column("images", "count"),
    Column("successes", "count"),
    Column("success %", "percent"),
    Column("mean Linf, found", "quantity"),
    Column("mean L2, found", "quantity"),
    Column("mean queries", "quantity"),
    Column("seconds an attempt", "quantity"),
)
NOTES = (
    "Dense attacks may change all pixels, within a distance: their rates stand beside no others. "
    "norm, eps: that distance, linf in steps of 1/255, l2 the Euclidean length of values in "
    "[0, 1]. It holds for the stored image of 8 bits, from which success is judged. "
    f"{INTERVAL_NOTE}",
    "mean Linf (steps of 1/255), mean L2: of the stored images that succeeded. queries: images "
    "that the classifier was asked about, gradients not counted; seconds: each attempt's share of "
    "its batch.",
    "Attempts: the first repeat (repeat = 0) on correctly classified test images; one attack, its "
    "settings and one seed a row. through: the denoiser that the classifier stood behind.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each dense attack, its settings and seed."""
    study = request.find_study(request.evidence.attempted)
    rows: list[Row] = []
    if study is not None:
        ids = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}
        rows = [Row(cells, in_paper=False) for cells in _rows(request.fetch("dense", **ids))]
    if not rows:
        named = [name for name in request.selection.attacks if ATTACKS[name].dense]
        attack = named[0] if named else "apgd"
        command = request.attack_command(study, attack)
        gaps = (Cell(None, not_run=command) for _ in COLUMNS[1:])
        rows = [Row((Cell(attack), *gaps), in_paper=False)]
    used = [study] if study else []
    notes = [*NOTES, *(request.elsewhere(request.evidence.attempted, study) if study else ())]
    return request.table(COLUMNS, rows, used, notes, request.title_about(*used))


def _rows(measured: Sequence[RowValues]) -> Iterator[tuple[Cell, ...]]:
    def closeness(row: RowValues) -> tuple[str, float, str]:
        settings = json.loads(row["parameters"])
        return settings["norm"], settings["eps"], row["attack"]

    for row in sorted(measured, key=closeness):
        settings = json.loads(row["parameters"])
        norm, eps = settings.pop("norm"), settings.pop("eps")
        images, successes = int(row["images"]), int(row["successes"])
        yield (
            Cell(row["attack"]),
            Cell(norm),
            Cell(f"{eps:g}/255" if norm == "linf" else f"{eps:g}"),
            Cell(settings_text(json.dumps(settings))),
            Cell(row["through"] or "none"),
            Cell(row["target"] or "none"),
            Cell(int(row["seed"])),
            Cell(images),
            Cell(successes, images),
            rate_cell(successes, images, None),
            Cell(scaled(row["mean_linf"]), successes),
            Cell(scaled(row["mean_l2"]), successes),
            Cell(scaled(row["mean_queries"]), images),
            Cell(scaled(row["mean_elapsed_ms"], 0.001), images),
        )


FAMILY = Family(build, title="Dense Attacks by Distance", pool="attempted", of_attempts=True)
