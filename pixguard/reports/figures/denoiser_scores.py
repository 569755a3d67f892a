"""Figure ``denoiser-scores``: how close denoisers bring attacked images to the clean ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.metrics.registry import METRICS
from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.runs import (
    RUNS_NOTE,
    attack_runs,
    changed,
    first_choices,
    plan_of,
)
from pixguard.reports.figures.style import (
    PAGE_INCHES,
    PALETTE,
    lines_from_above,
    new_figure,
)
from pixguard.reports.querying import RowValues
from pixguard.reports.studies import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_INCHES, ACROSS = 0.17, 3
NOTES = (
    RUNS_NOTE,
    "For each number of pixels one attack: the paper's where its successes were denoised and "
    "scored, else the one with most images. Box: quartiles and median; whiskers: the farthest "
    "score within 1.5 box lengths; dots: scores beyond. Each denoiser over the successful attempts "
    "that it restored (n).",
)
IDENTICAL_NOTE = (
    "PSNR is infinite where the restored image is the clean one; such scores have no place in its "
    "boxes: "
)
Group = tuple[Study, list[RowValues]]


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a panel a metric, a line a denoiser, a box a number of pixels.

    Raises:
        NotRunError: nothing was restored and scored.
    """
    groups = _groups(request)
    names: dict[int, str] = {}
    for _, rows in groups:
        names |= {row["denoiser_id"]: row["denoiser"] for row in rows}
    shown = list(names.values())
    labels = {i: n if shown.count(n) == 1 else f"{n} #{i}" for i, n in names.items()}
    metrics = [m for m in METRICS.names if any(r[m] is not None for _, rs in groups for r in rs)]
    down = -(-(len(metrics) + 1) // ACROSS)
    lines = len(labels) * (len(groups) + 0.6)
    figure = new_figure(PAGE_INCHES, 0.8 + down * (0.75 + ROW_INCHES * max(4, lines)))
    every = list(figure.subplots(down, ACROSS, squeeze=False).flat)
    for place, (axes, metric) in enumerate(zip(every, metrics, strict=False)):
        _panel(axes, metric, groups, labels, named=place % ACROSS == 0)
    for axes in every[len(metrics) :]:
        axes.axis("off")
    _legend(every[len(metrics)], groups, labels)
    notes = [*NOTES, *_identical(groups, labels)]
    return request.finish(figure, [run for run, _ in groups], notes)


def _groups(request: FigureRequest) -> list[Group]:
    """Return for each number of pixels the run that is shown, and its scores."""
    runs = attack_runs(request)
    found: list[Group] = []
    for candidates in first_choices(runs):
        for run in candidates:
            rows = request.fetch("denoiser_scores", **run.attempts)
            if rows:
                found.append((run, rows))
                break
    if not found:
        first = runs[0]
        ids = (first.dataset, first.classifier_id)
        raise request.not_run(
            f"{commands.apply(*ids)}; {commands.score(*ids)}",
            "no successful attempt was denoised and scored",
        )
    return found


def _identical(groups: Sequence[Group], labels: dict[int, str]) -> list[str]:
    counts = {
        f"{labels[i]}, {changed(plan_of(run).pixels)}: {n} of {len(own)}"
        for run, rows in groups
        for i in labels
        if (own := [row for row in rows if row["denoiser_id"] == i])
        and (n := sum(int(row["is_identical"]) for row in own))
    }
    return [IDENTICAL_NOTE + "; ".join(sorted(counts)) + "."] if counts else []


def _panel(
    axes: "Axes", metric: str, groups: Sequence[Group], labels: dict[int, str], *, named: bool
) -> None:
    lines_from_above(axes, list(labels.values()) if named else [""] * len(labels))
    for order, (_, rows) in enumerate(groups):
        offset = (order - (len(groups) - 1) / 2) * 0.8 / (len(groups) + 0.3)
        color = PALETTE[order % len(PALETTE)]
        for line, denoiser_id in enumerate(labels):
            values = [
                float(row[metric])
                for row in rows
                if row["denoiser_id"] == denoiser_id and row[metric] is not None
            ]
            if not values:
                continue
            axes.boxplot(
                [values],
                positions=[line + offset],
                widths=0.6 / (len(groups) + 0.3),
                orientation="horizontal",
                manage_ticks=False,
                boxprops={"color": color, "linewidth": 0.8},
                whiskerprops={"color": color, "linewidth": 0.8},
                capprops={"color": color, "linewidth": 0.8},
                medianprops={"color": color, "linewidth": 1.8},
                flierprops={"marker": ".", "markersize": 2.5, "markeredgecolor": color},
            )
    better = "higher" if METRICS[metric].higher_is_better else "lower"
    unit = ", dB" if metric == "psnr" else ""
    axes.set_title(f"{metric.upper()}{unit} ({better} is better)", loc="left")
    axes.grid(axis="x")
    values = [float(row[metric]) for _, rows in groups for row in rows if row[metric] is not None]
    if metric == "mse" and min(values) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, position: "")
    else:
        axes.locator_params(axis="x", nbins=4)


def _legend(axes: "Axes", groups: Sequence[Group], labels: dict[int, str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for order, (run, rows) in enumerate(groups):
        plan = plan_of(run)
        counts = sorted({sum(r["denoiser_id"] == i for r in rows) for i in labels} - {0})
        n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        text = f"{changed(plan.pixels)}\n{plan.name}, n = {n}"
        color = PALETTE[order % len(PALETTE)]
        handles.append(Line2D([], [], color=color, linewidth=3, label=text))
    axes.legend(handles=handles, loc="upper left", handlelength=1.2, labelspacing=0.9)


FIGURE = FigureKind(
    (FigureSpec("denoiser-scores", "Scores of Denoisers on Attacked Images"),),
    draw,
    lambda request: request.told(_groups(request)[0][0]),
    of_attempts=True,
)
