"""Draws figures: the door to this package."""

from typing import TYPE_CHECKING

from pixguard.reports.choosing import refusal, require_attempts
from pixguard.reports.evidence import Evidence
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.request import FigureRequest, FigureSpec, ImageChoices
from pixguard.reports.figures.specs import kind_of
from pixguard.reports.figures.style import styled
from pixguard.reports.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from sqlalchemy import Engine


def draw_figure(
    engine: "Engine",
    spec: FigureSpec,
    *,
    dataset: str | None = None,
    model: int | str | None = None,
    size: int | None = None,
    images: ImageChoices | None = None,
    selection: Selection = EVERYTHING,
) -> Drawing:
    """Return a figure.

    Args:
        engine: a database with the schema of :mod:`pixguard.store.tables`.
        spec: which figure (:func:`pixguard.reports.figures.specs.figure_spec`).
        dataset: shown in place of the paper's dataset, or of the one the database would decide.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
        size: side in pixels of the images; by default that of the chosen classifier.
        images: for figures that show images, where these are.
        selection: of the attempts that count.

    Raises:
        NotRunError: the database holds nothing that the figure could show; its hint is the
            command that would fill it.
        UsageError: the database knows no such dataset, classifier or attempt, or the figure is not
            made of attempts.
        PixguardError: the images or the weights are not there.
    """
    kind, evidence = kind_of(spec), Evidence(engine, selection)
    if error := refusal("figure", spec, selection, kind.of_attempts):
        raise error
    require_attempts(evidence)
    request = FigureRequest(evidence, spec, dataset, model, size, images)
    with styled():
        return kind.draw(request)
