"""Builds tables: the door to this package."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pixguard.errors import UsageError
from pixguard.reports.blocks import one_below_another
from pixguard.reports.choosing import refusal, require_attempts
from pixguard.reports.costs import Costs
from pixguard.reports.evidence import Evidence
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets
from pixguard.reports.selection import EVERYTHING, Selection
from pixguard.reports.specs import families, table_specs
from pixguard.reports.studies import Study, matching
from pixguard.reports.tables.family import Family, Held
from pixguard.reports.tables.request import TableRequest, TableSpec

if TYPE_CHECKING:
    from sqlalchemy import Engine

Model = int | str | None
"""The id of a classifier, an architecture, or None for the newest."""
Models = Model | Sequence[int | str | None]
"""One, or several by their ids."""


def build_table(
    engine: "Engine",
    spec: TableSpec,
    *,
    dataset: str | None = None,
    model: Models = None,
    size: int | None = None,
    paper: bool = False,
    selection: Selection = EVERYTHING,
    costs: Costs | None = None,
) -> ReportTable:
    """Return a table, regenerated from a database.

    Args:
        engine: a database with the schema of :mod:`pixguard.store.tables`.
        spec: which table (:func:`pixguard.reports.specs.table_spec`).
        dataset: shown in place of the paper's dataset, or of its four.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
            Several ids make a block of rows for each.
        size: side in pixels of the images; by default that of the chosen classifier.
        paper: put the published values beside the measured ones.
        selection: of the attempts that count.
        costs: of each flip of a label, for the table severity; None: 1.

    Raises:
        UsageError: the database knows no such dataset, classifier or attempt, or the table is not
            made of attempts, or not about one classifier.
    """
    options: dict[str, Any] = {"dataset": dataset, "size": size, "paper": paper, "costs": costs}
    return next(build_tables(engine, [spec], model=model, selection=selection, **options))


def build_tables(
    engine: "Engine",
    specs: Iterable[TableSpec],
    *,
    model: Models = None,
    selection: Selection = EVERYTHING,
    **options: Any,
) -> Iterator[ReportTable]:
    """Yield tables as :func:`build_table` returns them, with one look at what the database holds.

    Raises:
        UsageError: as there.
    """
    evidence, asked = Evidence(engine, selection), list(specs)
    several = model if isinstance(model, Sequence) and not isinstance(model, str) else [model]
    for spec in asked:
        if error := refused(spec, selection, len(several)):
            raise error
    require_attempts(evidence)
    for spec in asked:
        yield _built(evidence, _selected(spec, selection), list(dict.fromkeys(several)), options)


def _selected(spec: TableSpec, selection: Selection) -> TableSpec:
    """Return a table with the number of pixels that was selected, where it has none of its own."""
    is_free = isinstance(spec.number, str) and spec.pixels is not None and selection.pixels
    return replace(spec, pixels=selection.pixels) if is_free else spec


def _built(
    evidence: Evidence, spec: TableSpec, models: Sequence[Model], options: Mapping[str, Any]
) -> ReportTable:
    build = families()[spec.family].build
    if len(models) == 1:
        return build(TableRequest(evidence, spec, model=models[0], **options))
    ids = [model for model in models if isinstance(model, int)]
    if len(ids) < len(models):
        raise UsageError(
            "several classifiers are named by their ids, not by an architecture or latest",
            "pixguard models list",
        )
    names = [evidence.require_classifier(number).classifier for number in ids]
    blocks = [
        build(TableRequest(evidence, spec, model=number, beside=frozenset(ids), **options))
        for number in ids
    ]
    return one_below_another(spec, blocks, names)


def refused(spec: TableSpec, selection: Selection, classifiers: int = 1) -> UsageError | None:
    """Return what speaks against a table of selected attempts, or of so many classifiers."""
    family = families()[spec.family]
    if classifiers > 1 and not family.of_one_classifier:
        return UsageError(
            f"table {spec.number} is not about one classifier, so that several make no blocks",
            "leave `model=...` out, or name one",
        )

    def same(pixels: int) -> list[int | str]:
        wanted = replace(spec, pixels=pixels)
        return [
            one.number
            for one in table_specs().values()
            if replace(wanted, number=one.number, title=one.title) == one
        ]

    return refusal("table", spec, selection, family.of_attempts, same)


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
    spec, family = request.spec, families()[request.spec.family]
    if family.always:
        return Cell(family.always)
    own, others = (family.held or partial(_in_pool, family))(request)
    if own | others:
        return Cell(_data(spec, own, others))
    command = _fill_command(request, family)
    return Cell(None, not_run=command, note="" if command else "none")


def _in_pool(family: Family, request: TableRequest) -> Held:
    """Return the datasets of the studies that a table would choose from."""
    spec = request.spec
    pool: Sequence[Study] = getattr(
        request.evidence, family.pool or ("judged" if spec.pixels is None else "attacked")
    )
    fitting = matching(pool, dataset=spec.dataset, pixels=spec.pixels)
    own = {study.dataset for study in fitting if request.is_papers(study)}
    return own, {study.dataset for study in fitting} - own


def _fill_command(request: TableRequest, family: Family) -> str | None:
    spec = request.spec
    if isinstance(spec.number, str) or family.tells_gaps:
        # In colour no command makes truth known.
        return next(iter(family.build(request).commands), None)
    dataset = spec.dataset or next(iter(paper_datasets()))
    return request.fill_command(dataset, spec.classifier, real=True)


def _data(spec: TableSpec, own: set[str], others: set[str]) -> str:
    if isinstance(spec.number, str):
        return ", ".join(sorted(own | others))
    if spec.dataset or spec.family == "ablation":
        return "as in the paper" if own else "other data"
    further = f"; {', '.join(sorted(others))}" if others else ""
    return f"{len(own)} of {len(paper_datasets())} datasets{further}"
