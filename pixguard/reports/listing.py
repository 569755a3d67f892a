"""What can be asked for: of one dataset, and where there is no database yet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pixguard.datasets.catalogue import registered_name
from pixguard.reports.build import build_tables
from pixguard.reports.figures.listing import figures_table, list_figures
from pixguard.reports.figures.specs import figure_specs
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets
from pixguard.reports.specs import families, table_specs
from pixguard.reports.tables.request import TableSpec

if TYPE_CHECKING:
    from sqlalchemy import Engine

COLUMNS = (Column("number", "count"), Column("title"), Column("data"))


def specs_for(dataset: str) -> Iterator[TableSpec]:
    """Yield the tables that can be of a dataset.

    Of those about one dataset of the paper they are its own; where the paper lacks it, one for each
    family and number of pixels, the form of all.
    """
    forms = set()
    for spec in table_specs().values():
        form = spec.family, spec.pixels
        if spec.dataset in (None, dataset):
            yield spec
        elif dataset not in paper_datasets() and form not in forms:
            forms.add(form)
            yield spec


def lists_for(engine: "Engine", dataset: str) -> list[ReportTable]:
    """Return a table of all tables and one of all figures, with what one dataset fills.

    Raises:
        UsageError: the database knows no such dataset.
    """
    specs = list(specs_for(registered_name(dataset)))
    tables = build_tables(engine, specs, dataset=dataset)
    rows = [
        Row((Cell(spec.number), Cell(table.title), _data(spec, table)))
        for spec, table in zip(specs, tables, strict=True)
    ]
    of_tables = ReportTable("list", f"Tables of {dataset}", COLUMNS, tuple(rows))
    return [of_tables, list_figures(engine, dataset)]


def names_alone(database: str) -> list[ReportTable]:
    """Return the tables and the figures by name and title, where there is no database."""
    note = f"There is no database at {database}: what there is data for cannot be told."
    rows = [Row((Cell(s.number), Cell(s.title))) for s in table_specs().values()]
    of_tables = ReportTable("list", "Tables", COLUMNS[:2], tuple(rows), notes=(note,))
    figures = [Row((Cell(s.number), Cell(s.title))) for s in figure_specs().values()]
    return [of_tables, figures_table(figures, with_data=False)]


def _data(spec: TableSpec, table: ReportTable) -> Cell:
    if always := families()[spec.family].always:
        return Cell(always)
    if table.has_data:
        return Cell("yes")
    command = next(iter(table.commands), None)
    return Cell(None, not_run=command, note="" if command else "none")
