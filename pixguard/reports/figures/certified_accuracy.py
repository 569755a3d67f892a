"""Figure ``certified-accuracy``: certified accuracy against the number of changed pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.style import COLUMN_INCHES, LINES, PALETTE, new_figure, wrapped
from pixguard.reports.request import paper_datasets
from pixguard.reports.studies import Study, choose
from pixguard.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTES = (
    "Curve at k: test images whose decision is right, and provably the same for every image that "
    "differs in at most k pixels, of any colours; of all test images with a certificate (legend). "
    "At 0: clean accuracy on them. Shaded: 95 % Wilson interval.",
    "It is a lower bound of the accuracy under any attack of k pixels. What attacks found, an "
    "upper bound, is in the table: pixguard report --table certified.",
)


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a curve a certified classifier of one dataset.

    Raises:
        NotRunError: there are no certificates.
    """
    from matplotlib.ticker import MaxNLocator

    studies = _certified(request)
    figure = new_figure(COLUMN_INCHES, 3.3 + 0.17 * len(studies))
    axes = figure.subplots()
    used, last = [], 0
    for study in studies:
        rows = request.fetch("certified_accuracy", classifier_id=study.classifier_id)
        for method in dict.fromkeys(row["method"] for row in rows):
            correct = {int(r["radius"]): int(r["correct"]) for r in rows if r["method"] == method}
            images = sum(int(r["images"]) for r in rows if r["method"] == method)
            label = study.classifier
            label += f", {method}" if method != study.architecture else ""
            last = max(last, _curve(axes, len(axes.lines), label, correct, images))
            used.append(study)
    axes.set_xlim(0, last)
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid()
    axes.set_xlabel("changed pixels (certified radius)")
    axes.set_ylabel("certified accuracy (% of images)")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.03, 1.02), borderaxespad=0)
    title = studies[0] if len(studies) == 1 else replace(studies[0], architecture="certified votes")
    drawing = request.finish(figure, used, NOTES)
    return replace(drawing, title=request.title(title))


def _certified(request: FigureRequest) -> list[Study]:
    """Return the classifiers with certificates of the dataset of the one that comes first."""
    pool = request.studies(request.evidence.certified)
    best = choose(pool, None)
    if best is None:
        plain = choose(request.studies(request.evidence.classifiers), None)
        dataset = request.dataset or (plain.dataset if plain else next(iter(paper_datasets())))
        raise request.not_run(commands.certify(dataset, None), "there are no certificates")
    return [study for study in pool if study.dataset_id == best.dataset_id]


def _curve(axes: "Axes", order: int, label: str, correct: Mapping[int, int], images: int) -> int:
    """Draw the share of ``images`` that are right with a radius of k or more; return the last k."""
    last = max(correct) + 1
    counts = [sum(n for radius, n in correct.items() if radius >= k) for k in range(last + 1)]
    ends: Sequence[tuple[float, float]] = [
        wilson_interval(count, images) or (0.0, 1.0) for count in counts
    ]
    color, line = PALETTE[order % len(PALETTE)], LINES[order // len(PALETTE) % len(LINES)]
    low, high = ([100 * end for end in side] for side in zip(*ends, strict=True))
    places = range(last + 1)
    axes.fill_between(places, low, high, step="post", color=color, alpha=0.13, linewidth=0)
    axes.plot(
        places,
        [100 * count / images for count in counts],
        line,
        drawstyle="steps-post",
        color=color,
        label=wrapped(f"{label}: {images} images", 44),
    )
    return last


FIGURE = FigureKind(
    (FigureSpec("certified-accuracy", "Certified Accuracy Against Changed Pixels"),),
    draw,
    lambda request: request.told(_certified(request)[0]),
)
