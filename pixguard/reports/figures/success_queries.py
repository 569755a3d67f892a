"""Figure ``success-queries``: the share of attempts that succeeded within so many queries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.runs import (
    RUNS_NOTE,
    attack_runs,
    by_pixels,
    changed,
    labels_of,
    plan_of,
)
from pixguard.reports.figures.style import (
    COLUMN_INCHES,
    LINES,
    PALETTE,
    new_figure,
    top_of,
    wrapped,
)
from pixguard.reports.querying import RowValues
from pixguard.reports.studies import Study
from pixguard.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BANDS = 3
"""Curves whose intervals are shaded: more of them hide each other."""
NOTES = (
    RUNS_NOTE,
    "A curve at q: attempts that succeeded with at most q candidates evaluated, of all attempts "
    "(legend: successes of attempts, in all). It ends where the longest attempt ended. Attacks of "
    "one panel change as many pixels, but may have attacked different images: see the captions.",
)
BAND_NOTE = (
    f"Shaded: 95 % Wilson interval at each q, where a panel has at most {MOST_BANDS} curves."
)


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a panel for each number of changed pixels, a curve an attack.

    Raises:
        NotRunError: no attack was run.
    """
    runs = attack_runs(request)
    panels = by_pixels(runs)
    names = dict(zip(map(id, runs), labels_of(runs), strict=True))
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    most = max(map(len, panels.values()))
    height = 2.9 + 0.2 * most
    figure = new_figure(COLUMN_INCHES * across, 0.7 + height * down)
    every = list(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat)
    for axes, (pixels, own) in zip(every, panels.items(), strict=False):
        curves = [request.fetch("success_queries", **run.attempts) for run in own]
        _panel(axes, changed(pixels), [names[id(run)] for run in own], own, curves)
    highest = max(interval(plan_of(run).successes, run)[1] for run in runs)
    every[0].set_ylim(0, top_of(highest))
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    notes = [*NOTES, BAND_NOTE] if min(map(len, panels.values())) <= MOST_BANDS else NOTES
    return request.finish(figure, runs, notes)


def interval(successes: int, run: Study) -> tuple[float, float]:
    """Return the Wilson interval of so many successes of a run's attempts."""
    return wilson_interval(successes, plan_of(run).images) or (0.0, 1.0)


def _panel(
    axes: "Axes",
    title: str,
    names: Sequence[str],
    runs: Sequence[Study],
    curves: Sequence[Sequence[RowValues]],
) -> None:
    for order, (name, run, rows) in enumerate(zip(names, runs, curves, strict=True)):
        plan = plan_of(run)
        queries = [1.0, *(max(1.0, float(row["queries"])) for row in rows)]
        counts = [0]
        for row in rows:
            counts.append(counts[-1] + int(row["successes"]))
        color, line = PALETTE[order % len(PALETTE)], LINES[order // len(PALETTE) % len(LINES)]
        label = wrapped(f"{name}: {plan.successes} of {plan.images}", 38)
        shares = [100 * count / plan.images for count in counts]
        axes.plot(queries, shares, line, drawstyle="steps-post", color=color, label=label)
        if len(runs) <= MOST_BANDS:
            ends = [interval(count, run) for count in counts]
            low, high = ([100 * end for end in side] for side in zip(*ends, strict=True))
            axes.fill_between(queries, low, high, step="post", color=color, alpha=0.13, linewidth=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
    axes.set_xlim(left=1)
    axes.grid()
    axes.tick_params(labelbottom=True, labelleft=True)
    axes.set_xlabel("queries (logarithmic)")
    axes.set_ylabel("attempts succeeded (%)")
    axes.legend(
        title=title,
        loc="lower left",
        bbox_to_anchor=(-0.03, 1.02),
        alignment="left",
        borderaxespad=0,
    )


FIGURE = FigureKind(
    (FigureSpec("success-queries", "Success Rate Against Queries"),),
    draw,
    lambda request: request.told(attack_runs(request)[0]),
    of_attempts=True,
)
