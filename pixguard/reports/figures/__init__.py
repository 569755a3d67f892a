"""The figures: the paper's by number, ours by name. This module is the door to the package.

What a query fills, :func:`draw_figure` draws from a database alone. Panels and vulnerability maps
show pixels, which this part of the program cannot read: the runner collects them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pixguard.errors import UsageError
from pixguard.reports.evidence import Evidence, Study
from pixguard.reports.figures import (
    confidence,
    epochs,
    heatmap,
    panel,
    success,
    training_times,
    vulnerability,
)
from pixguard.reports.figures.drawing import Drawing, FigureFormat, NotRunError
from pixguard.reports.figures.panel import PanelRow, panel_subject
from pixguard.reports.figures.registry import FigureSpec, Kind, figure_spec, figure_specs
from pixguard.reports.figures.request import FigureRequest
from pixguard.reports.figures.style import styled
from pixguard.reports.figures.vulnerability import VulnerabilityMap, vulnerability_subject

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = [
    "Drawing",
    "FigureFormat",
    "FigureSpec",
    "NotRunError",
    "draw_figure",
    "draw_map",
    "draw_panel",
    "figure_spec",
    "figure_specs",
    "image_subject",
]

KINDS: Mapping[Kind, Callable[[FigureRequest], Drawing]] = {
    "training_times": training_times.draw,
    "success": success.draw,
    "confidence": confidence.draw,
    "heatmap": heatmap.draw,
    "epochs": epochs.draw,
}
"""How a query's rows are drawn, for the kinds that need no image."""


def draw_figure(
    engine: "Engine",
    spec: FigureSpec,
    *,
    dataset: str | None = None,
    model: int | str | None = None,
    size: int | None = None,
) -> Drawing:
    """Return a figure, drawn from a database; for specs without ``needs_images``.

    Args:
        engine: a database with the schema of :mod:`pixguard.store.tables`.
        spec: which figure (:func:`figure_spec`).
        dataset: shown in place of the paper's dataset, or of the one the database would decide.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
        size: side in pixels of the images; by default that of the chosen classifier.

    Raises:
        NotRunError: the database holds nothing that the figure could show; its hint is the
            command that would fill it.
        UsageError: the database knows no such dataset or classifier; or the figure shows pixels.
    """
    request = FigureRequest(Evidence(engine), spec, dataset, model, size)
    if spec.kind not in KINDS:
        raise UsageError(
            f"figure {spec.number} shows images, which the database does not hold",
            f"pixguard report --figure {spec.number}",
        )
    with styled():
        return KINDS[spec.kind](request)


def image_subject(
    engine: "Engine",
    spec: FigureSpec,
    *,
    dataset: str | None = None,
    model: int | str | None = None,
    size: int | None = None,
) -> tuple[FigureRequest, Study]:
    """Return what a figure that shows images is about: the request, and classifier and attack.

    With the images that the runner collects of it, :func:`draw_panel` or :func:`draw_map` draws.

    Raises:
        NotRunError: as :func:`draw_figure`.
        UsageError: the database knows no such dataset or classifier.
    """
    request = FigureRequest(Evidence(engine), spec, dataset, model, size)
    find = vulnerability_subject if spec.kind == "vulnerability" else panel_subject
    return request, find(request)


def draw_panel(request: FigureRequest, shown: Study, rows: Sequence[PanelRow]) -> Drawing:
    """Return a panel of what :func:`image_subject` found, with at least one row."""
    with styled():
        return panel.draw(request, shown, rows)


def draw_map(request: FigureRequest, shown: Study, found: VulnerabilityMap) -> Drawing:
    """Return a vulnerability map of what :func:`image_subject` found."""
    with styled():
        return vulnerability.draw(request, shown, found)
