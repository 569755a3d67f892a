"""Which figures there are, and for which the database has data."""

from typing import TYPE_CHECKING

from pixguard.reports.evidence import Evidence
from pixguard.reports.figures.drawing import NotRunError
from pixguard.reports.figures.request import FigureRequest
from pixguard.reports.figures.specs import figure_specs, kind_of
from pixguard.reports.report_table import Cell, Column, ReportTable, Row

if TYPE_CHECKING:
    from sqlalchemy import Engine


def list_figures(engine: "Engine") -> ReportTable:
    """Return a table of all figures, with what the database holds for each."""
    evidence = Evidence(engine)
    columns = (Column("figure", "count"), Column("title"), Column("data"))
    rows = []
    for spec in figure_specs().values():
        try:
            data = Cell(kind_of(spec).shown(FigureRequest(evidence, spec)))
        except NotRunError as nothing:
            data = Cell(None, not_run=nothing.hint)
        rows.append(Row((Cell(spec.number), Cell(spec.title), data)))
    return ReportTable("figures", "Figures", columns, tuple(rows))
