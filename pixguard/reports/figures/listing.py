"""Which figures there are, and for which the database has data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.reports.evidence import Evidence
from pixguard.reports.figures.drawing import NotRunError
from pixguard.reports.figures.request import FigureRequest
from pixguard.reports.figures.specs import figure_specs, kind_of
from pixguard.reports.report_table import Cell, Column, ReportTable, Row

if TYPE_CHECKING:
    from sqlalchemy import Engine


COLUMNS = (Column("figure", "count"), Column("title"), Column("data"))


def list_figures(engine: "Engine", dataset: str | None = None) -> ReportTable:
    """Return a table of all figures, with what the database holds for each, or one dataset's."""
    evidence = Evidence(engine)
    rows = []
    for spec in figure_specs().values():
        try:
            data = Cell(kind_of(spec).shown(FigureRequest(evidence, spec, dataset)))
        except NotRunError as nothing:
            data = Cell(None, not_run=nothing.hint)
        rows.append(Row((Cell(spec.number), Cell(spec.title), data)))
    return figures_table(rows)


def figures_table(rows: Sequence[Row], *, with_data: bool = True) -> ReportTable:
    """Return a table of figures."""
    return ReportTable("figures", "Figures", COLUMNS if with_data else COLUMNS[:2], tuple(rows))
