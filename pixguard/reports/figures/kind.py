"""What a kind of figure declares: which figures, what they show, how they are drawn."""

from collections.abc import Callable
from dataclasses import dataclass

from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.request import FigureRequest, FigureSpec


@dataclass(frozen=True, slots=True)
class FigureKind:
    """Figures that are drawn alike.

    Attributes:
        specs: the figures.
        draw: draws the figure of a request; raises NotRunError where there is nothing to show.
        shown: returns in words what would be shown; raises as ``draw``.
        needs_images: whether it shows pixels of images, so that the request must bring along where
            they are.
        of_attempts: whether it is made of attempts, which can be selected.
        on_page: whether a page has it; not where drawing takes minutes.
    """

    specs: tuple[FigureSpec, ...]
    draw: Callable[[FigureRequest], Drawing]
    shown: Callable[[FigureRequest], str]
    needs_images: bool = False
    of_attempts: bool = False
    on_page: bool = True
