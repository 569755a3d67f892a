"""Figure ``roc``: ROC curves of detectors, on other classes and on attacked images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.style import (
    GREY,
    LINES,
    PAGE_INCHES,
    PALETTE,
    new_figure,
    wrapped,
)
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues
from pixguard.reports.tables.detection import (
    detector_caption,
    detector_name,
    detectors_of_one_dataset,
    wanted_dataset,
)
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_IMAGES = 10
"""Attacked images that a curve takes: of fewer it is a few steps that say nothing."""
NOTES = (
    "Each point of a curve is a threshold on the detector's score: up, the share of the images to "
    "find that reach it; right, that of the compared ones. Dot: the detector's own threshold. "
    "Dashes: guessing. Legend: area under the curve (ties count half); images to find / compared.",
    "Left: clean test images of the other classes, compared with the normal class. Right: "
    "successful non-targeted attempts on the bare classifier, first repeat, on test images, "
    f"compared with the same images before; those with {FEWEST_IMAGES} images or more.",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A ROC curve from (0, 0) to (1, 1); ``own`` is the point of the detector's own threshold."""

    label: str
    compared: Sequence[float]
    found: Sequence[float]
    own: tuple[float, float]
    images: tuple[int, int]

    @property
    def area(self) -> float:
        """The area under it, straight between its points: ties count half."""
        steps = zip(self.compared, self.compared[1:], self.found, self.found[1:], strict=False)
        return sum((right - left) * (low + high) / 2 for left, right, low, high in steps)

    @property
    def legend(self) -> str:
        """What it is, its area, and the numbers of images."""
        find, compare = self.images
        return wrapped(f"{self.label}: AUC {self.area:.3f} ({find} / {compare})", 46)


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: other classes on the left, attacked images on the right.

    Raises:
        NotRunError: no detector has scored the images of two kinds.
    """
    detectors = _detectors(request)
    others = [curve for row in detectors for curve in _others(request, row)]
    attacked = [curve for row in detectors for curve in _attacked(request, row)]
    if not others and not attacked:
        first = detectors[0]
        command = commands.apply_detector(first["dataset"], first["detector_id"])
        raise request.not_run(command, "no images to find and to compare were scored")
    panels = [("other classes", others), ("attacked images", attacked)]
    shown = [(title, curves) for title, curves in panels if curves]
    lines = max(sum(c.legend.count("\n") + 1 for c in curves) for _, curves in shown)
    figure = new_figure(PAGE_INCHES * len(shown) / 2, 4.3 + 0.15 * lines)
    for axes, (title, curves) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
    ):
        _panel(axes, title, curves)
    first = detectors[0]
    synthetic = first["source"] == SYNTHETIC_SOURCE
    title = f"{request.spec.title}: {first['dataset']}{', phantom data' if synthetic else ''}"
    made_from = f"{first['dataset']}, {first['source']} {first['size']}; " + ", ".join(
        map(detector_name, detectors)
    )
    phantom = "; phantom data: synthetic, not the paper's" if synthetic else ""
    caption = detector_caption(detectors)
    return request.drawing(figure, title, made_from + phantom, caption, NOTES)


def _detectors(request: FigureRequest) -> list[RowValues]:
    """Return the detectors of one dataset that have scored images."""
    pool = [
        row
        for row in request.evidence.detectors
        if request.dataset in (None, row["dataset"]) and request.size in (None, row["size"])
    ]
    chosen, _ = detectors_of_one_dataset(pool)
    scored = [row for row in chosen if row["scored"]]
    if not chosen:
        raise request.not_run(commands.train_detector(wanted_dataset(request)), "no detector")
    if not scored:
        command = commands.apply_detector(chosen[0]["dataset"], chosen[0]["detector_id"])
        raise request.not_run(command, "no detector has scored images")
    return scored


def _others(request: FigureRequest, detector: RowValues) -> list[Curve]:
    normal = json.loads(detector["hyperparameters"])["normal"]
    rows = request.fetch("roc", detector_id=detector["detector_id"], normal=normal)
    curve = curve_of(f"{detector_name(detector)}, normal: {normal}", rows)
    return [curve] if curve else []


def _attacked(request: FigureRequest, detector: RowValues) -> list[Curve]:
    runs: dict[tuple[int, int, int], list[RowValues]] = {}
    for row in request.fetch("roc_attacks", detector_id=detector["detector_id"]):
        if request.model in (None, row["classifier_id"], row["classifier"]):
            key = (row["classifier_id"], row["attack_id"], row["seed"])
            runs.setdefault(key, []).append(row)
    found = []
    for rows in runs.values():
        run = rows[0]
        label = (
            f"{detector_name(detector)}: {run['attack']}, {pixels_text(run['pixels'])}, seed "
            f"{run['seed']}, {run['classifier']} #{run['classifier_id']}"
        )
        curve = curve_of(label, rows)
        found += [curve] if curve and curve.images[0] >= FEWEST_IMAGES else []
    return found


def curve_of(label: str, rows: Sequence[RowValues]) -> Curve | None:
    """Return the curve of counts by score, highest first; None without images of both kinds."""
    find, compare = (sum(int(row[name]) for row in rows) for name in ("to_find", "compared"))
    if not find or not compare:
        return None
    found, compared = [0], [0]
    own = (0.0, 0.0)
    for row in rows:
        found.append(found[-1] + int(row["to_find"]))
        compared.append(compared[-1] + int(row["compared"]))
        if row["flagged"]:
            own = (compared[-1] / compare, found[-1] / find)
    return Curve(
        label,
        [count / compare for count in compared],
        [count / find for count in found],
        own,
        (find, compare),
    )


def _panel(axes: "Axes", title: str, curves: Sequence[Curve]) -> None:
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    for order, curve in enumerate(curves):
        color, line = PALETTE[order % len(PALETTE)], LINES[order // len(PALETTE) % len(LINES)]
        right, up = ([100 * share for share in side] for side in (curve.compared, curve.found))
        axes.plot(right, up, line, color=color, label=curve.legend, clip_on=False)
        axes.plot(
            100 * curve.own[0], 100 * curve.own[1], "o", color=color, markersize=4, clip_on=False
        )
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.grid()
    axes.set_xlabel("compared images that reach the threshold (%)")
    axes.set_ylabel("images to find that reach it (%)")
    axes.legend(
        title=title,
        loc="lower left",
        bbox_to_anchor=(-0.03, 1.02),
        alignment="left",
        borderaxespad=0,
    )


FIGURE = FigureKind(
    (FigureSpec("roc", "ROC Curves of Detectors"),),
    draw,
    lambda request: str(_detectors(request)[0]["dataset"]),
    of_attempts=True,
)
