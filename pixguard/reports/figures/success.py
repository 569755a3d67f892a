"""Figure ``success``: the success rate of attacks by true class, with its Wilson interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import ATTEMPTS_NOTE, FigureRequest, FigureSpec
from pixguard.reports.figures.style import (
    COLUMN_INCHES,
    GREY,
    INK,
    PALETTE,
    lines_from_above,
    new_figure,
    wrapped,
)
from pixguard.reports.querying import RowValues
from pixguard.reports.studies import Study
from pixguard.statistics import wilson_interval
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTES = (
    ATTEMPTS_NOTE,
    "Dot: share of a class's attacked images whose decision an attack changed; line: 95 % Wilson "
    "interval; right: successful of attacked.",
)
ALL = "all classes"
ROW_INCHES, CLASS_CHARACTERS = 0.19, 19


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a line a class and number of pixels, all classes together at the end.

    Raises:
        NotRunError: no attack was run.
    """
    plans = request.plans()
    measured = [_by_class(request, plan) for plan in plans]
    names = [name for name in measured[0] if any(name in one for one in measured)]
    names += [name for one in measured[1:] for name in one if name not in names]
    shown = [n for n in names if n != ALL and any(one.get(n, (0, 0))[0] for one in measured)]
    figure = _figure(plans, measured, [*shown, ALL])
    left_out = [name for name in names if name not in (*shown, ALL)]
    notes = [*NOTES, f"Not attacked: {', '.join(left_out)}."] if left_out else NOTES
    return request.finish(figure, plans, notes)


def _by_class(request: FigureRequest, plan: Study) -> dict[str, tuple[int, int]]:
    """Return class name -> (attacked, successful), all classes together last."""
    rows: Sequence[RowValues] = request.fetch("attack_by_class", **plan.attempts)
    counts = {row["class"]: (int(row["attacked"]), int(row["succeeded"])) for row in rows}
    attacked, succeeded = (sum(part) for part in zip(*counts.values(), strict=True))
    return {**counts, ALL: (attacked, succeeded)}


def _figure(
    plans: Sequence[Study], measured: Sequence[dict[str, tuple[int, int]]], names: Sequence[str]
) -> "Figure":
    ticks = [wrapped(name, CLASS_CHARACTERS) for name in names]
    longest = max(text.count("\n") + 1 for text in ticks)
    lines = len(names) * max(len(plans) + 0.6, 0.75 * longest + 0.3)
    figure = new_figure(COLUMN_INCHES, 1.35 + ROW_INCHES * lines)
    axes = figure.subplots()
    for order, (plan, counts) in enumerate(zip(plans, measured, strict=True)):
        assert plan.attack is not None
        _series(axes, order, len(plans), pixels_text(plan.attack.pixels), names, counts)
    lines_from_above(axes, ticks)
    axes.axhline(len(names) - 1.5, color=GREY, linewidth=0.6)
    axes.set_xlim(-2, 102)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("success rate (% of attacked images)")
    axes.grid(axis="x")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 1), borderaxespad=0, handlelength=1.5)
    axes.text(1.03, 1, "successful /\nattacked", transform=axes.transAxes, fontsize=7, va="bottom")
    return figure


def _series(
    axes: "Axes",
    order: int,
    count: int,
    label: str,
    names: Sequence[str],
    counts: dict[str, tuple[int, int]],
) -> None:
    """Draw one attack's rates; the attacks of a class lie one below the other."""
    color, offset = PALETTE[order], (order - (count - 1) / 2) * 0.8 / (count + 0.6)
    for row, name in enumerate(names):
        attacked, succeeded = counts.get(name, (0, 0))
        y = row + offset
        beside = axes.get_yaxis_transform()
        text = f"{succeeded} / {attacked}" if attacked else "not attacked"
        axes.text(
            1.03,
            y,
            text,
            transform=beside,
            va="center",
            fontsize=7,
            color=color if attacked else INK,
        )
        interval = wilson_interval(succeeded, attacked)
        if interval is not None:
            axes.plot([100 * end for end in interval], [y, y], color=color, solid_capstyle="butt")
            axes.plot(100 * succeeded / attacked, y, "os"[order % 2], color=color, markersize=4.5)
    axes.plot([], [], "os"[order % 2] + "-", color=color, markersize=4.5, label=f"{label} changed")


FIGURE = FigureKind(
    (FigureSpec("success", "Success Rate of Attacks by Class"),),
    draw,
    lambda request: request.told(request.plans()[0]),
    of_attempts=True,
)
