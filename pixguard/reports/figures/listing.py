"""Which figures there are, and for which the database has data."""

from typing import TYPE_CHECKING

from pixguard.reports.evidence import Evidence
from pixguard.reports.figures.drawing import NotRunError
from pixguard.reports.figures.epochs import epochs_of_dataset
from pixguard.reports.figures.panel import panel_subject
from pixguard.reports.figures.registry import FigureSpec, figure_specs
from pixguard.reports.figures.request import FigureRequest
from pixguard.reports.figures.training_times import trainings
from pixguard.reports.figures.vulnerability import vulnerability_subject
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets

if TYPE_CHECKING:
    from sqlalchemy import Engine


def list_figures(engine: "Engine") -> ReportTable:
    """Return a table of all figures, with what the database holds for each."""
    evidence = Evidence(engine)
    columns = (Column("figure", "count"), Column("title"), Column("data"))
    rows = []
    for spec in figure_specs().values():
        try:
            data = Cell(_data(FigureRequest(evidence, spec)))
        except NotRunError as nothing:
            data = Cell(None, not_run=nothing.hint)
        rows.append(Row((Cell(spec.number), Cell(spec.title), data)))
    return ReportTable("figures", "Figures", columns, tuple(rows))


def _data(request: FigureRequest) -> str:
    """Return what a figure would show now.

    Raises:
        NotRunError: nothing.
    """
    spec = request.spec
    if spec.kind == "training_times":
        return ", ".join(sorted({row["dataset"] for row in trainings(request)}))
    if spec.kind == "epochs":
        return str(epochs_of_dataset(request)[0]["dataset"])
    if spec.kind == "vulnerability":
        return vulnerability_subject(request).dataset
    if spec.kind in ("panel", "heatmap"):
        shown = panel_subject(request)
    else:
        shown = request.plans()[0]
    if _is_of_the_paper(spec):
        return "as in the paper" if request.is_papers(shown) else "other data"
    return shown.dataset


def _is_of_the_paper(spec: FigureSpec) -> bool:
    return spec.dataset is not None and spec.dataset in paper_datasets()
