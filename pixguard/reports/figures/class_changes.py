"""Figure ``class-changes``: which decision attacks turned into which, as a matrix."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
    BLUE,
    COLUMN_INCHES,
    GREY,
    INK,
    PAGE_INCHES,
    frame,
    new_figure,
    wrapped,
)
from pixguard.reports.studies import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABELS, MOST_BESIDE = 14, 5
"""Labels of a matrix at most, and labels of matrices that find room side by side."""
OTHERS = "other label sets"
STRONGEST = 0.6
"""Opacity of a cell that holds its whole row: text must stay readable on it."""
NOTES = (
    RUNS_NOTE,
    "For each number of pixels one attack: the paper's where it was run, else the one with most "
    "images. Row: the decision on the clean image, with the number of attacked images; column: the "
    "decision after the attack; on the diagonal no success. Shade: share of the row.",
)


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a matrix for each number of changed pixels.

    Raises:
        NotRunError: no attack was run.
    """
    runs = [own[0] for own in first_choices(attack_runs(request))]
    names = _names(request, runs[0])
    counts = [_counts(request, run, names) for run in runs]
    labels = _labels(names, counts)
    counts = [_gathered(count, labels) for count in counts]
    beside = len(runs) > 1 and len(labels) <= MOST_BESIDE
    across, width = (2, PAGE_INCHES) if beside else (1, PAGE_INCHES)
    if len(runs) == 1 and len(labels) <= MOST_BESIDE:
        width = COLUMN_INCHES
    down = -(-len(runs) // across)
    figure = new_figure(width, 0.8 + down * (1.5 + 0.34 * len(labels)))
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, run, count in zip(every, runs, counts, strict=False):
        _matrix(axes, run, count, labels)
    for axes in every[len(runs) :]:
        axes.set_visible(False)
    return request.finish(figure, runs, NOTES)


def _names(request: FigureRequest, run: Study) -> dict[str, str]:
    rows = request.fetch("classes", dataset_id=run.dataset_id)
    return {"" if row["ordinal"] == -1 else str(row["ordinal"]): row["class"] for row in rows}


def _counts(
    request: FigureRequest, run: Study, names: Mapping[str, str]
) -> Counter[tuple[str, str]]:
    """Return (decision before, decision after) -> images."""

    def name(code: str) -> str:
        return " + ".join(names.get(part, part) for part in code.split(",")) or "no label"

    found: Counter[tuple[str, str]] = Counter()
    for row in request.fetch("class_matrix", **run.attempts):
        found[name(row["before"]), name(row["after"])] += int(row["images"])
    return found


def _labels(names: Mapping[str, str], counts: Sequence[Counter[tuple[str, str]]]) -> list[str]:
    """Return what occurs, classes in their order, then label sets; of many the most frequent."""
    often: Counter[str] = Counter()
    for count in counts:
        for pair, images in count.items():
            for label in set(pair):
                often[label] += images
    kept = {label for label, _ in often.most_common(MOST_LABELS)}
    order = dict.fromkeys([*names.values(), *sorted(often)])
    labels = [label for label in order if label in kept]
    return [*labels, OTHERS] if len(often) > len(kept) else labels


def _gathered(count: Counter[tuple[str, str]], labels: Sequence[str]) -> Counter[tuple[str, str]]:
    gathered: Counter[tuple[str, str]] = Counter()
    for (before, after), images in count.items():
        pair = (before if before in labels else OTHERS, after if after in labels else OTHERS)
        gathered[pair] += images
    return gathered


def _matrix(
    axes: "Axes", run: Study, count: Counter[tuple[str, str]], labels: Sequence[str]
) -> None:
    from matplotlib.patches import Rectangle

    totals = {b: sum(count[b, a] for a in labels) for b in labels}
    for row, before in enumerate(labels):
        for col, after in enumerate(labels):
            images = count[before, after]
            if not images:
                continue
            strength = STRONGEST * images / totals[before]
            axes.add_patch(
                Rectangle((col - 0.5, row - 0.5), 1, 1, facecolor=BLUE, alpha=strength, linewidth=0)
            )
            axes.text(col, row, f"{images}", ha="center", va="center", fontsize=7, color=INK)
    for place in range(1, len(labels)):
        axes.axhline(place - 0.5, color=GREY, linewidth=0.25)
        axes.axvline(place - 0.5, color=GREY, linewidth=0.25)
    places = range(len(labels))
    axes.set_xticks(
        places,
        [wrapped(name, 16) for name in labels],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_yticks(places, [f"{wrapped(b, 22)} ({totals[b]})" for b in labels])
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    plan = plan_of(run)
    axes.set_title(
        f"{changed(plan.pixels)}, {plan.name}:\n{plan.successes} of {plan.images} decisions "
        "changed",
        loc="left",
    )
    axes.set_xlabel("decision after the attack")
    axes.set_ylabel("decision before (attacked)")
    frame(axes)


FIGURE = FigureKind(
    (FigureSpec("class-changes", "Which Class Attacks Turn Into Which"),),
    draw,
    lambda request: request.told(attack_runs(request)[0]),
    of_attempts=True,
)
