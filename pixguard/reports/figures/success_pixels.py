"""Figure ``success-pixels``: the success rate of attacks against the number of changed pixels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pixguard.reports import commands
from pixguard.reports.evidence import Study
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec, pixels_text
from pixguard.reports.figures.runs import RUNS_NOTE, attack_runs, by_pixels, labels_of, plan_of
from pixguard.reports.figures.style import COLUMN_INCHES, LINES, PALETTE, new_figure, wrapped
from pixguard.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTES = (
    RUNS_NOTE,
    "Mark: share of the attacked images whose decision changed; bar: 95 % Wilson interval; beside "
    "it the number of attacked images. A line joins the same attack with the same settings; its "
    "runs may have attacked different images.",
)


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a line an attack, a mark a number of pixels.

    Raises:
        NotRunError: attacks were run with fewer than two numbers of pixels.
    """
    runs = _runs(request)
    lines: dict[str, list[Study]] = {}
    for name, run in zip(labels_of(runs), runs, strict=True):
        lines.setdefault(name, []).append(run)
    figure = new_figure(COLUMN_INCHES, 3.4 + 0.17 * len(lines))
    axes = figure.subplots()
    numbers = list(by_pixels(runs))
    step = min(b - a for a, b in pairwise(numbers))
    spread = 0.06 * step
    for order, (name, own) in enumerate(lines.items()):
        _line(axes, order, (order - (len(lines) - 1) / 2) * spread, wrapped(name, 40), own)
    axes.set_xticks(numbers, map(str, numbers))
    axes.set_xlim(numbers[0] - 0.4 * step, numbers[-1] + 0.4 * step)
    axes.set_ylim(0, 100)
    axes.grid(axis="y")
    axes.set_xlabel("changed pixels")
    axes.set_ylabel("success rate (% of attacked images)")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.03, 1.02), borderaxespad=0)
    return request.finish(figure, runs, NOTES)


def _runs(request: FigureRequest) -> list[Study]:
    runs = attack_runs(request)
    numbers = list(by_pixels(runs))
    if len(numbers) < 2:
        first, other = runs[0], 2 if numbers == [1] else 1
        command = commands.attack(first.dataset, other, first.classifier_id, plan_of(first).name)
        raise request.not_run(command, f"all attempts change {pixels_text(numbers[0])}")
    return runs


def _line(axes: "Axes", order: int, offset: float, label: str, runs: Sequence[Study]) -> None:
    color, line = PALETTE[order % len(PALETTE)], LINES[order // len(PALETTE) % len(LINES)]
    at = [plan_of(run).pixels + offset for run in runs]
    rates = [100 * plan_of(run).successes / plan_of(run).images for run in runs]
    axes.plot(at, rates, line, marker="osD^vP"[order % 6], markersize=4, color=color, label=label)
    for run, x, rate in zip(runs, at, rates, strict=True):
        plan = plan_of(run)
        low, high = wilson_interval(plan.successes, plan.images) or (0.0, 1.0)
        axes.plot([x, x], [100 * low, 100 * high], color=color, linewidth=0.8)
        axes.annotate(
            f"{plan.images}",
            (x, rate),
            xytext=(4, 2),
            textcoords="offset points",
            fontsize=6,
            color=color,
        )


FIGURE = FigureKind(
    (FigureSpec("success-pixels", "Success Rate Against the Number of Changed Pixels"),),
    draw,
    lambda request: request.told(_runs(request)[0]),
)
