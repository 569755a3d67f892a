"""Figure ``attack-overlap``: which attacks fool the same images, as an UpSet plot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.runs import (
    RUNS_NOTE,
    another_attack,
    attack_runs,
    by_pixels,
    changed,
    labels_of,
    plan_of,
)
from pixguard.reports.figures.style import (
    BLUE,
    GREY,
    INK,
    PAGE_INCHES,
    PALE,
    lines_from_above,
    new_figure,
    wrapped,
)
from pixguard.reports.studies import Study

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

FEWEST_SHARE = 0.5
MOST_COLUMNS = 24
NOTES = (
    RUNS_NOTE,
    "Column: the images that exactly the marked attacks fooled, of those that every attack of the "
    "panel was run on; right: how many each fooled in all. An attack on fewer than half as many "
    "images as the largest is left out, for it would leave few to compare. Source of the plot: "
    "Lex et al., UpSet, IEEE TVCG 20 (2014).",
)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the attacks of one panel have in common.

    ``combinations``: indices of the attacks that fooled an image -> number of such images.
    """

    runs: Sequence[Study]
    names: Sequence[str]
    images: int
    combinations: Mapping[tuple[int, ...], int]

    def fooled(self, place: int) -> int:
        """Return how many of the images an attack fooled."""
        return sum(n for own, n in self.combinations.items() if place in own)


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a panel for each number of changed pixels with two attacks or more.

    Raises:
        NotRunError: no two attacks were run on the same images.
    """
    overlaps = _overlaps(request)
    heights = [1.75 + 0.24 * len(one.runs) for one in overlaps]
    figure = new_figure(PAGE_INCHES, 0.8 + sum(heights))
    parts = figure.subfigures(len(overlaps), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, overlap in zip(parts, overlaps, strict=True):
        _upset(part, overlap)
    return request.finish(figure, [run for one in overlaps for run in one.runs], NOTES)


def _overlaps(request: FigureRequest) -> list[Overlap]:
    runs = attack_runs(request)
    found = []
    for own in by_pixels(runs).values():
        most = max(plan_of(run).images for run in own)
        kept = [run for run in own if plan_of(run).images >= FEWEST_SHARE * most]
        if len(kept) > 1:
            overlap = _overlap(request, kept)
            found += [overlap] if overlap.images else []
    if not found:
        raise request.not_run(
            another_attack(runs), "it takes two attacks of as many pixels on the same images"
        )
    return found


def _overlap(request: FigureRequest, runs: Sequence[Study]) -> Overlap:
    outcomes = [
        {row["image_id"]: row["success"] for row in request.fetch("attack_outcomes", **r.attempts)}
        for r in runs
    ]
    shared = set(outcomes[0]).intersection(*outcomes[1:])
    combinations = Counter(
        tuple(place for place, one in enumerate(outcomes) if one[image]) for image in shared
    )
    return Overlap(runs, labels_of(runs), len(shared), combinations)


def _upset(part: "SubFigure", overlap: Overlap) -> None:
    columns = sorted(overlap.combinations.items(), key=lambda item: (-item[1], item[0]))
    hidden = columns[MOST_COLUMNS:]
    columns = columns[:MOST_COLUMNS]
    rows = len(overlap.runs)
    ratios = {"height_ratios": [1.35, 0.24 * rows + 0.1], "width_ratios": [4, 1.15]}
    (bars, corner), (matrix, totals) = part.subplots(2, 2, gridspec_kw=ratios)
    corner.set_visible(False)
    places = range(len(columns))
    images = [n for _, n in columns]
    bars.bar(places, images, width=0.62, color=[BLUE if own else GREY for own, _ in columns])
    for place, n in zip(places, images, strict=True):
        bars.annotate(
            f"{n}", (place, n), (0, 1.5), textcoords="offset points", ha="center", fontsize=7
        )
    bars.set_ylim(0, 1.2 * max(images))
    bars.set_ylabel("images")
    bars.set_xticks([])
    bars.set_xlim(-0.6, max(5, len(columns)) - 0.4)
    pixels = plan_of(overlap.runs[0]).pixels
    title = f"{changed(pixels)}: {overlap.images} images that {rows} attacks were run on"
    left_out = f"; {len(hidden)} rarer combinations not shown" if hidden else ""
    bars.set_title(title + left_out, loc="left")
    for place, (own, _) in zip(places, columns, strict=True):
        others = [row for row in range(rows) if row not in own]
        matrix.plot([place] * len(others), others, "o", color=PALE, markersize=5.5)
        matrix.plot([place] * len(own), own, "o-", color=INK, markersize=5.5, linewidth=1.6)
    lines_from_above(matrix, [wrapped(name, 34) for name in overlap.names])
    matrix.set_xticks([])
    matrix.set_xlim(bars.get_xlim())
    matrix.spines["bottom"].set_visible(False)
    matrix.set_xlabel("grey bar: fooled by none" if () in overlap.combinations else "")
    fooled = [overlap.fooled(row) for row in range(rows)]
    totals.barh(range(rows), fooled, height=0.55, color=BLUE)
    for row, n in enumerate(fooled):
        totals.annotate(
            f"{n}", (n, row), (2, 0), textcoords="offset points", va="center", fontsize=7
        )
    totals.set_ylim(matrix.get_ylim())
    totals.set_yticks([])
    totals.set_xlim(0, 1.25 * max(1, *fooled))
    totals.set_xticks([])
    totals.spines["bottom"].set_visible(False)
    totals.set_xlabel("fooled in all")


FIGURE = FigureKind(
    (FigureSpec("attack-overlap", "Which Attacks Fool the Same Images"),),
    draw,
    lambda request: request.told(_overlaps(request)[0].runs[0]),
    of_attempts=True,
)
