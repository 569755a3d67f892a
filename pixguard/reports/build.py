"""Builds tables: the door to this package."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pixguard.reports.evidence import Evidence, Study, matching
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import LayerSource, TableRequest, paper_datasets
from pixguard.reports.specs import TableSpec, table_specs
from pixguard.reports.tables import FAMILIES, training_times

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
    layers: LayerSource | None = None,
) -> ReportTable:
    """Return a table, regenerated from a database.

    Args:
        engine: a database with the schema of :mod:`pixguard.store.tables`.
        spec: which table (:func:`pixguard.reports.specs.table_spec`).
        dataset: shown in place of the paper's dataset, or of its four.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
        size: side in pixels of the images; by default that of the chosen classifier.
        paper: put the published values beside the measured ones.
        layers: what knows the models' layers, for Tables 1 and 2 (the runner does).

    Raises:
        UsageError: the database knows no such dataset or classifier.
    """
    options = {"dataset": dataset, "model": model, "size": size, "paper": paper}
    return next(build_tables(engine, [spec], layers=layers, **options))


def build_tables(
    engine: "Engine",
    specs: Iterable[TableSpec],
    *,
    layers: LayerSource | None = None,
    **options: Any,
) -> Iterator[ReportTable]:
    """Yield tables as :func:`build_table` returns them, with one look at what the database holds.

    Raises:
        UsageError: the database knows no such dataset or classifier.
    """
    evidence = Evidence(engine)
    for spec in specs:
        yield FAMILIES[spec.family](TableRequest(evidence, spec, layers=layers, **options))


def with_data_first(tables: Iterable[ReportTable]) -> list[ReportTable]:
    """Return the tables that hold data, and after them one short table of all others."""
    found = list(tables)
    empty = [table for table in found if not table.has_data]
    if not empty:
        return found
    columns = (
        Column("number", "count"),
        Column("title"),
        Column("what would fill it"),
    )
    rows = (
        Row((Cell(t.number), Cell(t.title), Cell(next(iter(t.commands), "no command"))))
        for t in empty
    )
    missing = ReportTable("missing", "Tables Without Data", columns, tuple(rows))
    return [*(table for table in found if table.has_data), missing]


BUILT_TO_BE_LISTED = ("ablation", "training_times", "datasets", "class_counts")
"""Families whose own gaps say which command fills them."""


def list_tables(engine: "Engine") -> ReportTable:
    """Return a table of all tables, with what the database holds for each.

    Data is the paper's when it is of the dataset and classifier that the paper names, on real
    images; whatever else would be shown in the same form is other data.
    """
    evidence = Evidence(engine)
    columns = (Column("number", "count"), Column("title"), Column("data"))
    rows = []
    for spec in table_specs().values():
        request = TableRequest(evidence, spec)
        rows.append(Row((Cell(spec.number), Cell(spec.title), _held(request))))
    return ReportTable("list", "Tables", columns, tuple(rows))


def _held(request: TableRequest) -> Cell:
    """Return what the database holds for a table, or which command would fill it."""
    spec = request.spec
    if spec.family == "layers":
        return Cell("computed from the model")
    if spec.family == "hardware":
        return Cell("the computers of all runs")
    own, others = _datasets(request)
    if own | others:
        return Cell(_data(spec, own, others))
    command = _fill_command(request)
    return Cell(None, not_run=command, note="" if command else "none")


def _datasets(request: TableRequest) -> tuple[set[str], set[str]]:
    """Return the datasets with data for a table: the paper's on real images, and others."""
    evidence, spec = request.evidence, request.spec
    if spec.family == "ablation":
        plans = evidence.noise_plans
        own = {p.row["dataset"] for p in plans if p.is_papers}
        return own, {p.row["dataset"] for p in plans} - own
    if spec.family == "training_times":
        rows = training_times.trainings(request)
        own = {row["dataset"] for row in rows if training_times.is_papers(request, row)}
        return own, {row["dataset"] for row in rows} - own
    if spec.family in ("datasets", "class_counts"):
        contents = [c for c in evidence.contents if spec.dataset in (None, c.dataset)]
        papers = (spec.dataset,) if spec.dataset else paper_datasets()
        own = {c.dataset for c in contents if c.dataset in papers and not c.is_synthetic}
        return own, {c.dataset for c in contents} - own
    if spec.family == "detection":
        return set(), {row["dataset"] for row in evidence.detectors if row["scored"]}
    fitting = matching(_pool(evidence, spec), dataset=spec.dataset, pixels=spec.pixels)
    own = {c.dataset for c in fitting if request.is_papers(c)}
    return own, {c.dataset for c in fitting} - own


_POOLS: Mapping[str, str] = {
    "denoising": "denoised",
    "truth": "fully_searched",
    "adaptive": "defended",
    "cost": "attempted",
    "recovery": "restored",
    "paired": "denoised",
    "classes": "attacked",
    "pixels": "attacked",
    "certified": "certified",
}
"""What of the evidence a family chooses from; others take classifiers, judged or attacked."""


def _pool(evidence: Evidence, spec: TableSpec) -> list[Study]:
    default = "judged" if spec.pixels is None else "attacked"
    pool: list[Study] = getattr(evidence, _POOLS.get(spec.family, default))
    return pool


def _fill_command(request: TableRequest) -> str | None:
    spec = request.spec
    if isinstance(spec.number, str) or spec.family in BUILT_TO_BE_LISTED:
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
