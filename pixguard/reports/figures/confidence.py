"""Figure ``confidence``: how sure the classifier was before an attack, and what was left after."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import ATTEMPTS_NOTE, FigureRequest, FigureSpec
from pixguard.reports.figures.style import BLUE, COLUMN_INCHES, GREY, VERMILLION, new_figure
from pixguard.reports.querying import RowValues
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTES = (
    ATTEMPTS_NOTE,
    "Both confidences are of the decision on the clean image (several labels: the least sure of "
    "its labels), rounded to 2 %; the area of a mark grows with the attempts that it stands for. "
    "An attempt without success shows its best candidate. On the line nothing has changed.",
)
OUTCOMES = ((0, "no success", BLUE, "o"), (1, "succeeded", VERMILLION, "D"))
SMALLEST, LARGEST = 9.0, 240.0
"""Areas of marks, in square points."""


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a panel for each number of changed pixels.

    Raises:
        NotRunError: no attack was run.
    """
    plans = request.plans()
    measured = []
    for plan in plans:
        assert plan.attack is not None
        rows = request.fetch("confidence", **plan.attempts)
        measured.append((pixels_text(plan.attack.pixels), rows))
    figure = new_figure(COLUMN_INCHES * min(2, len(plans)), 4.2)
    most = max(int(row["attempts"]) for _, rows in measured for row in rows)
    panels = figure.subplots(1, len(plans), squeeze=False, sharey=True)[0]
    for axes, (title, rows) in zip(panels, measured, strict=True):
        _panel(axes, title, rows, most)
    panels[0].set_ylabel("confidence after (%)")
    return request.finish(figure, plans, NOTES)


def _panel(axes: "Axes", title: str, rows: Sequence[RowValues], most: int) -> None:
    total = sum(int(row["attempts"]) for row in rows)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    for outcome, name, color, marker in OUTCOMES:
        own = [row for row in rows if int(row["success"]) == outcome]
        counts = [int(row["attempts"]) for row in own]
        axes.scatter(
            [float(row["before_percent"]) for row in own],
            [float(row["after_percent"]) for row in own],
            s=[SMALLEST + (LARGEST - SMALLEST) * (n - 1) / max(most, 25) for n in counts],
            c=color,
            marker=marker,
            alpha=0.65,
            linewidths=0.4,
            edgecolors="white",
            label=f"{name}: {sum(counts)} of {total}",
            clip_on=False,
            zorder=3,
        )
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xticks(range(0, 101, 25))
    axes.set_yticks(range(0, 101, 25))
    axes.grid()
    axes.set_xlabel("confidence before (%)")
    legend = axes.legend(
        title=f"{title} changed",
        loc="lower left",
        bbox_to_anchor=(-0.03, 1.02),
        alignment="left",
        handletextpad=0.2,
        borderaxespad=0,
    )
    from matplotlib.collections import PathCollection

    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):  # what a scatter is
            handle.set_sizes([22])


FIGURE = FigureKind(
    (FigureSpec("confidence", "Confidence Before and After Attacks"),),
    draw,
    lambda request: request.told(request.plans()[0]),
    of_attempts=True,
)
