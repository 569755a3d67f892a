"""Figures 25 and 26: how long classifiers and denoisers took to train."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.records import NATIVE
from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.style import (
    COLUMN_INCHES,
    GREY,
    INK,
    PALETTE,
    lines_from_above,
    new_figure,
    wrapped,
)
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues
from pixguard.reports.request import paper_datasets

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP"
ROW_INCHES, NAME_CHARACTERS = 0.24, 26
NOTES = (
    "Time: all epochs together, validation included; on the right that of the newest training, "
    "and n where there are several. Networks differ in epochs and images: see Tables 44, 45 and "
    "48 to 51.",
    "Computer: the GPU of the run that finished the training, or its CPU where it has no GPU.",
)


def trainings(request: FigureRequest) -> list[RowValues]:
    """Return the trainings that the figure shows.

    Raises:
        NotRunError: there is none.
    """
    kind = "denoiser" if request.spec.denoised else "classifier"
    rows = request.fetch(
        "training_times",
        kind=kind,
        dataset=request.dataset or "",
        architecture=_architecture(request),
        size=-1 if request.size is None else request.size,
    )
    rows = [row for row in rows if not isinstance(request.model, int) or _is_meant(request, row)]
    if not rows:
        name = request.dataset or next(iter(paper_datasets()))
        denoise = commands.train_denoiser(name, "dae")
        raise request.not_run(denoise if kind == "denoiser" else commands.train(name, "resnet50"))
    return rows


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a line a dataset and architecture, a mark a training.

    Raises:
        NotRunError: nothing was trained.
    """
    rows = trainings(request)
    groups: dict[str, dict[str, list[RowValues]]] = {}
    for row in rows:
        groups.setdefault(_data(row), {}).setdefault(network(row), []).append(row)
    computers = list(dict.fromkeys(str(row["computer"]) for row in rows))
    count = sum(map(len, groups.values())) + len(groups)
    figure = new_figure(COLUMN_INCHES, 1.2 + ROW_INCHES * count + 0.16 * len(computers))
    axes = figure.subplots()
    _lines(axes, groups, computers)
    synthetic = any(row["source"] == SYNTHETIC_SOURCE for row in rows)
    made_from = f"trainings in the registry: {len(rows)}"
    phantom = ["phantom data: synthetic, not the paper's"] if synthetic else []
    caption = [f"{data}: {_listed(lines)}" for data, lines in groups.items()]
    return request.drawing(
        figure, request.spec.title, "; ".join([made_from, *phantom]), caption, NOTES
    )


def _listed(lines: dict[str, list[RowValues]]) -> str:
    return ", ".join(f"{name} #{row['model_id']}" for name, own in lines.items() for row in own)


def _architecture(request: FigureRequest) -> str:
    is_classifiers = not request.spec.denoised
    return request.model if is_classifiers and isinstance(request.model, str) else ""


def _is_meant(request: FigureRequest, row: RowValues) -> bool:
    return request.spec.denoised or bool(row["model_id"] == request.model)


def _data(row: RowValues) -> str:
    phantom = ", phantom data" if row["source"] == SYNTHETIC_SOURCE else ""
    return f"{row['dataset']} ({row['source']} {row['size'] or NATIVE}{phantom})"


def network(row: RowValues) -> str:
    """Return the architecture of a training, with what sets it apart in parentheses."""
    settings = json.loads(row["hyperparameters"])
    own = [str(settings[key]) for key in ("variant", "only_class") if settings.get(key)]
    return f"{row['architecture']} ({', '.join(own)})" if own else str(row["architecture"])


def _lines(
    axes: "Axes", groups: dict[str, dict[str, list[RowValues]]], computers: Sequence[str]
) -> None:
    labels: list[str] = []
    beside = axes.get_yaxis_transform()
    for data, lines in groups.items():
        labels.append(wrapped(data, 2 * NAME_CHARACTERS))
        if len(labels) > 1:
            axes.axhline(len(labels) - 1.5, color=GREY, linewidth=0.5)
        axes.text(0.0, len(labels) - 1, labels[-1], transform=beside, va="center", fontsize=7.5)
        labels[-1] = ""
        for name, trainings in lines.items():
            y = len(labels)
            labels.append(wrapped(name, NAME_CHARACTERS))
            seconds = [float(row["training_seconds"]) for row in trainings]
            axes.axhline(y, color=GREY, linewidth=0.3, zorder=0)
            for row, value in zip(trainings, seconds, strict=True):
                style = computers.index(str(row["computer"])) % len(MARKERS)
                color = PALETTE[style]
                axes.plot(value, y, MARKERS[style], color=color, markersize=5, alpha=0.85)
            n = f"  (n = {len(seconds)})" if len(seconds) > 1 else ""
            text = duration(seconds[-1]) + n
            axes.text(1.03, y, text, transform=beside, va="center", fontsize=7, color=INK)
    for style, computer in enumerate(computers):
        shape, color = MARKERS[style % len(MARKERS)], PALETTE[style % len(PALETTE)]
        axes.plot([], [], shape, color=color, markersize=5, label=wrapped(computer, 44))
    lines_from_above(axes, labels)
    _time_axis(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0, handletextpad=0.2)


MINUTE, HOUR, DAY = 60, 3600, 86_400
TICKS = (
    *(1, 3, 10, 30),
    *(MINUTE, 3 * MINUTE, 10 * MINUTE, 30 * MINUTE),
    *(HOUR, 3 * HOUR, 10 * HOUR),
    *(DAY, 3 * DAY, 10 * DAY, 30 * DAY),
)


def _time_axis(axes: "Axes") -> None:
    """Make the axis logarithmic, with ticks at times that people think in."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.6, high * 1.6)
    low, high = axes.get_xlim()
    shown = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(shown, [duration(tick) for tick in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x")
    axes.set_xlabel("training time (logarithmic)")


def duration(seconds: float) -> str:
    """Return a time as people say it: ``42 s``, ``12 min``, ``3.5 h``, ``2 d``."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s" if seconds < 9.5 else f"{seconds:.0f} s"


def _shown(request: FigureRequest) -> str:
    return ", ".join(sorted({row["dataset"] for row in trainings(request)}))


FIGURE = FigureKind(
    (
        FigureSpec(25, "Training Times of Classification Models"),
        FigureSpec(
            26,
            "Training Times of Denoising Models",
            denoised=True,
            remark="The paper's caption says classification models; its text refers to denoising.",
        ),
    ),
    draw,
    _shown,
)
