"""Builds tables: the door to this package."""

from typing import TYPE_CHECKING

from pixguard.reports.families import FAMILIES, training_times
from pixguard.reports.inventory import Candidate, Inventory, matching
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import TableRequest, paper_datasets
from pixguard.reports.tables import TableSpec, table_specs

if TYPE_CHECKING:
    from sqlalchemy import Engine


def build_table(
    engine: "Engine",
    spec: TableSpec,
    *,
    dataset: str | None = None,
    model: int | str | None = None,
    size: int | None = None,
    paper: bool = False,
) -> ReportTable:
    """Return a table, regenerated from a database.

    Args:
        engine: a database with the schema of :mod:`pixguard.store.tables`.
        spec: which table (:func:`pixguard.reports.tables.table_spec`).
        dataset: shown in place of the paper's dataset, or of its four.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
        size: side in pixels of the images; by default that of the chosen classifier.
        paper: put the published values beside the measured ones.

    Raises:
        UsageError: the database knows no such dataset or classifier.
    """
    request = TableRequest(Inventory(engine), spec, dataset, model, size, paper)
    return FAMILIES[spec.family](request)


def list_tables(engine: "Engine") -> ReportTable:
    """Return a table of all tables, with what the database holds for each.

    Data is the paper's when it is of the dataset and classifier that the paper names, on real
    images; whatever else would be shown in the same form is other data.
    """
    inventory = Inventory(engine)
    columns = (Column("table", "count"), Column("title"), Column("data"))
    rows = []
    for spec in table_specs().values():
        request = TableRequest(inventory, spec)
        own, others = _datasets(request)
        cell = Cell(_data(spec, own, others))
        if not own | others:
            command = _fill_command(request)
            cell = Cell(None, not_run=command, note="" if command else "none")
        rows.append(Row((Cell(spec.number), Cell(spec.title), cell)))
    return ReportTable("list", "Tables", columns, tuple(rows))


def _datasets(request: TableRequest) -> tuple[set[str], set[str]]:
    """Return the datasets with data for a table: the paper's on real images, and others."""
    inventory, spec = request.inventory, request.spec
    if spec.family == "ablation":
        plans = inventory.noise_plans
        own = {p.row["dataset"] for p in plans if p.is_papers}
        return own, {p.row["dataset"] for p in plans} - own
    if spec.family == "training_times":
        rows = training_times.trainings(request)
        own = {row["dataset"] for row in rows if training_times.is_papers(request, row)}
        return own, {row["dataset"] for row in rows} - own
    if spec.family == "detection":
        return set(), {row["dataset"] for row in inventory.detectors if row["scored"]}
    fitting = matching(_pool(inventory, spec), dataset=spec.dataset, pixels=spec.pixels)
    own = {c.dataset for c in fitting if request.is_papers(c)}
    return own, {c.dataset for c in fitting} - own


def _pool(inventory: Inventory, spec: TableSpec) -> list[Candidate]:
    further = {
        "denoising": "denoised",
        "truth": "fully_searched",
        "adaptive": "defended",
        "cost": "attempted",
    }
    if spec.family in further:
        pool: list[Candidate] = getattr(inventory, further[spec.family])
        return pool
    return inventory.judged if spec.pixels is None else inventory.attacked


def _fill_command(request: TableRequest) -> str | None:
    spec = request.spec
    if isinstance(spec.number, str) or spec.family in ("ablation", "training_times"):
        # In colour no command makes truth known.
        return next(iter(FAMILIES[spec.family](request).commands), None)
    dataset = spec.dataset or next(iter(paper_datasets()))
    return request.fill_command(dataset, spec.classifier, real=True)


def _data(spec: TableSpec, own: set[str], others: set[str]) -> str:
    if isinstance(spec.number, str):
        return ", ".join(sorted(own | others))
    if spec.dataset or spec.family == "ablation":
        return "as in the paper" if own else "other data"
    further = f"; {', '.join(sorted(others))}" if others else ""
    return f"{len(own)} of {len(paper_datasets())} datasets{further}"
