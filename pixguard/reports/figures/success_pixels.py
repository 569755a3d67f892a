"""Figure ``success-pixels``: the success rate of attacks against the number of changed pixels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.runs import RUNS_NOTE, attack_runs, by_pixels, labels_of, plan_of
from pixguard.reports.figures.style import (
    COLUMN_INCHES,
    LINES,
    PALETTE,
    new_figure,
    top_of,
    wrapped,
)
from pixguard.reports.figures.success_queries import interval
from pixguard.reports.studies import Study
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTES = (
    RUNS_NOTE,
    "Mark: share of the attacked images whose decision changed; bar: 95 % Wilson interval; n: "
    "attacked images, by number of pixels where they differ. A line joins the same attack with "
    "the same settings; its runs may have attacked different images.",
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
        _line(axes, order, (order - (len(lines) - 1) / 2) * spread, _label(name, own), own)
    axes.set_xticks(numbers, map(str, numbers))
    axes.set_xlim(numbers[0] - 0.4 * step, numbers[-1] + 0.4 * step)
    axes.set_ylim(0, top_of(max(interval(plan_of(run).successes, run)[1] for run in runs)))
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
    for run, x in zip(runs, at, strict=True):
        axes.plot(
            [x, x],
            [100 * end for end in interval(plan_of(run).successes, run)],
            color=color,
            linewidth=0.8,
        )


def _label(name: str, runs: Sequence[Study]) -> str:
    """Return an attack's name with the number of images at each number of pixels."""
    counts = [plan_of(run).images for run in runs]
    counts = counts[:1] if len(set(counts)) == 1 else counts
    return wrapped(f"{name} (n = {', '.join(map(str, counts))})", 40)


FIGURE = FigureKind(
    (FigureSpec("success-pixels", "Success Rate Against the Number of Changed Pixels"),),
    draw,
    lambda request: request.told(_runs(request)[0]),
    of_attempts=True,
)
