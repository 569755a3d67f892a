"""Figure ``heatmap``: where the pixels lie that successful attacks changed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import ATTEMPTS_NOTE, FigureRequest, FigureSpec
from pixguard.reports.figures.style import COLUMN_INCHES, add_scale, frame, new_figure
from pixguard.reports.querying import RowValues
from pixguard.reports.studies import Study
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = ("#9ecae1", "#2171b5", "#08306b")
MOST_CELLS = 32
"""Cells a side, at most: single pixels of a large image are too small to be seen."""


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a map for each number of changed pixels.

    Raises:
        NotRunError: no attack was run, or none succeeded.
    """
    from matplotlib.ticker import MaxNLocator

    known = request.plans(successfully=True)
    plans = [plan for plan in known if plan.attack and plan.attack.pixels]
    if not plans:
        command = commands.attack(known[0].dataset, 1, known[0].classifier_id)
        raise request.not_run(command, "dense attacks change all pixels")
    measured = [(plan, request.fetch("changed_pixels", **plan.attempts)) for plan in plans]
    figure = new_figure(COLUMN_INCHES * min(2, len(measured)), 4.1, square=True)
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    counts = [cell_counts(rows) for _, rows in measured]
    most = max(int(max(map(max, cells))) for cells in counts)
    for axes, (plan, rows), cells in zip(panels, measured, counts, strict=True):
        image = _map(axes, plan, rows, cells, most)
    whole = MaxNLocator(6, integer=True)
    add_scale(
        figure, image, ax=list(panels), shrink=0.8, pad=0.02, label="changed pixels", ticks=whole
    )
    side = max(int(row[key]) for _, rows in measured for row in rows for key in ("height", "width"))
    cell = -(-side // len(counts[0])) if side > MOST_CELLS else 1
    notes = (
        ATTEMPTS_NOTE,
        f"A cell is {cell} x {cell} pixels of an image of {side} x {side}; no colour: none changed "
        "there. Rows count from the top, columns from the left. Every pixel of every successful "
        "attempt counts.",
    )
    return request.finish(figure, plans, notes)


def cell_counts(rows: Sequence[RowValues]) -> list[list[int]]:
    """Return how many changed pixels lie in each cell of the images, from the top left.

    Images of any shape are laid over each other: a cell is the same share of each.
    """
    height = min(MOST_CELLS, max(int(row["height"]) for row in rows))
    width = min(MOST_CELLS, max(int(row["width"]) for row in rows))
    cells = [[0] * width for _ in range(height)]
    for row in rows:
        down = int(row["row"]) * height // int(row["height"])
        right = int(row["col"]) * width // int(row["width"])
        cells[down][right] += int(row["changed"])
    return cells


def _map(
    axes: "Axes", plan: Study, rows: Sequence[RowValues], cells: list[list[int]], most: int
) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    assert plan.attack is not None
    colors = LinearSegmentedColormap.from_list("counts", SHADES).with_extremes(under="none")
    height = max(int(row["height"]) for row in rows)
    width = max(int(row["width"]) for row in rows)
    image = axes.imshow(
        cells,
        cmap=colors,
        vmin=1,
        vmax=max(most, 2),
        interpolation="nearest",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
    changed = sum(map(sum, cells))
    axes.set_title(
        f"{pixels_text(plan.attack.pixels)} changed: {changed} pixels\nof "
        f"{plan.attack.successes} successful attempts",
        loc="left",
    )
    axes.set_xlabel("column (pixels)")
    axes.set_ylabel("row (pixels)")
    frame(axes)
    return image


FIGURE = FigureKind(
    (FigureSpec("heatmap", "Where the Pixels of Successful Attacks Lie"),),
    draw,
    lambda request: request.told(request.plans(successfully=True)[0]),
    of_attempts=True,
)
