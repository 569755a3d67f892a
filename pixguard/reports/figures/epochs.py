"""Figure ``epochs``: the losses of a dataset's models, epoch by epoch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.records import NATIVE_SIZE
from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.style import (
    BLUE,
    PAGE_INCHES,
    VERMILLION,
    new_figure,
    wrapped,
)
from pixguard.reports.figures.training_times import network
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues
from pixguard.reports.request import paper_datasets
from pixguard.reports.studies import choose, matching

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS, MOST_MARKED = 3, 15
"""Panels side by side, and epochs that each get a mark, at most."""
NOTES = (
    "Loss: the mean over an epoch of what the training minimises, a measure of its own in each "
    "panel. Of equal trainings (architecture, variant, class) the newest; each panel has its own "
    "axes.",
)


def epochs_of_dataset(request: FigureRequest) -> list[RowValues]:
    """Return the epochs of the models of the one dataset that the figure shows.

    Raises:
        NotRunError: no training is registered.
    """
    rows = request.fetch(
        "training_epochs",
        dataset=request.dataset or "",
        size=-1 if request.size is None else request.size,
        classifier_id=_classifier_id(request),
    )
    if not rows:
        name = request.dataset or next(iter(paper_datasets()))
        raise request.not_run(commands.train(name, None))
    # Real images before phantoms, the newest training before older ones, as everywhere.
    newest = max(rows, key=lambda r: (r["source"] != SYNTHETIC_SOURCE, r["created_ms"]))
    return [row for row in rows if row["dataset_id"] == newest["dataset_id"]]


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a panel a model of one dataset, classifiers first.

    Raises:
        NotRunError: no training is registered.
    """
    models = _models(epochs_of_dataset(request))
    data = models[0][0]
    across = min(ACROSS, len(models))
    down = -(-len(models) // across)
    figure = new_figure(max(3.5, PAGE_INCHES * across / ACROSS), 0.9 + 1.75 * down)
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, epochs in zip(panels, models, strict=False):
        _curves(axes, epochs)
    panels[0].legend(loc="best")
    for axes in panels[len(models) :]:
        axes.set_visible(False)
    phantom = data["source"] == SYNTHETIC_SOURCE
    size = (
        "native sizes" if data["size"] == NATIVE_SIZE else f"{data['size']} x {data['size']} pixels"
    )
    made_from = f"{data['dataset']}, {data['source']} {size}"
    caption = f"{data['dataset']}: source {data['source']}, {size}, version "
    caption += f"{data['version']}; models " + ", ".join(_name(epochs) for epochs in models)
    remark = "; phantom data: synthetic, not the paper's" if phantom else ""
    title = f"{request.spec.title}: {data['dataset']}{', phantom data' if phantom else ''}"
    return request.drawing(figure, title, made_from + remark, [caption + remark], NOTES)


def _classifier_id(request: FigureRequest) -> int:
    """Return the one classifier that the user means, or 0."""
    if isinstance(request.model, int):
        return request.model
    if request.model is None:
        return 0
    pool = request.studies(request.evidence.classifiers)
    chosen = choose(matching(pool, architecture=request.model), request.model)
    return 0 if chosen is None else chosen.classifier_id


def _models(rows: Sequence[RowValues]) -> list[list[RowValues]]:
    """Return the epochs of each model, of equal trainings the newest; classifiers first."""
    by_name: dict[tuple[str, str], dict[int, list[RowValues]]] = {}
    for row in rows:
        trainings = by_name.setdefault((row["kind"], network(row)), {})
        trainings.setdefault(row["model_id"], []).append(row)
    return [trainings[max(trainings)] for _, trainings in sorted(by_name.items())]


def _name(epochs: Sequence[RowValues]) -> str:
    return f"{network(epochs[0])} #{epochs[0]['model_id']}"


def _curves(axes: "Axes", epochs: Sequence[RowValues]) -> None:
    from matplotlib.ticker import MaxNLocator

    marked = 3 if len(epochs) <= MOST_MARKED else 0
    series = (("train_loss", "training", BLUE, "o-"), ("val_loss", "validation", VERMILLION, "s--"))
    values: list[float] = []
    for key, label, color, line in series:
        own = [(int(row["epoch"]), float(row[key])) for row in epochs if row[key] is not None]
        if own:
            axes.plot(*zip(*own, strict=True), line, color=color, label=label, markersize=marked)
            values += [value for _, value in own]
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_title(wrapped(f"{_name(epochs)}, {epochs[0]['kind']}", 34), loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(axis="y")


FIGURE = FigureKind(
    (FigureSpec("epochs", "Training Curves"),),
    draw,
    lambda request: str(epochs_of_dataset(request)[0]["dataset"]),
)
