"""Figures 9 to 24: examples of attacked images, and what each denoiser makes of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.style import (
    BLUE,
    COLUMN_INCHES,
    GREY,
    PAGE_INCHES,
    VERMILLION,
    new_figure,
    wrapped,
)
from pixguard.reports.published import published_rows
from pixguard.reports.studies import Study, choose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pixguard.reports.figures.panel_images import PanelRow, Tile

CLEAN, ATTACKED = "clean", "attacked"
DENOISING_TABLE = 18
"""A published table whose rows are the paper's denoisers."""
LARGEST_TILE, TEXT_INCHES, CHARACTERS = 1.45, 0.42, 18
"""The side of a tile and the text below it in inches, and how much of the text fits in an inch."""
RED, HALO = "#FF0000", "#FEFEFE"
"""The halo is not the white of the ground, for it stays bright where a page is dark."""


def panel_subject(request: FigureRequest) -> Study:
    """Return the classifier and the attack that a panel takes its images from.

    Raises:
        NotRunError: no attack was run, or none succeeded.
    """
    chosen = choose(request.attacked(successfully=True), request.spec.classifier)
    assert chosen is not None
    return chosen


def draw(request: FigureRequest) -> Drawing:
    """Return the panel of a few successful attempts.

    Raises:
        NotRunError: no attack was run, or none succeeded.
        PixguardError: the images or the weights are not there.
    """
    shown = panel_subject(request)
    subject = request.open_subject(shown)
    from pixguard.reports.figures.panel_images import collect  # torch: the images are made here

    assert request.images is not None and shown.attack is not None
    rows = collect(
        request.images.session,
        subject,
        attack_id=shown.attack.attack_id,
        seed=shown.attack.seed,
        count=request.images.count,
    )
    return lay_out(request, shown, rows)


def lay_out(request: FigureRequest, shown: Study, rows: "Sequence[PanelRow]") -> Drawing:
    """Return the panel: a row an attempt, a column a kind of image.

    A red circle marks each changed pixel wherever it was changed or restored.

    Args:
        request: what was asked for.
        shown: what the rows are of.
        rows: at least one; all with the same columns.
    """
    columns = [name for name in rows[0].tiles if request.spec.denoised or name in (CLEAN, ATTACKED)]
    tile = min(LARGEST_TILE, (PAGE_INCHES - 0.3) / len(columns))
    width = max(COLUMN_INCHES, tile * len(columns) + 0.3)
    figure = new_figure(width, (tile + TEXT_INCHES) * len(rows) + 0.9, square=True)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for row, line in zip(rows, grid, strict=True):
        for name, axes in zip(columns, line, strict=True):
            _tile(axes, row.tiles[name], int(tile * CHARACTERS))
            if name != CLEAN:
                _circles(axes, row)
            if row is rows[0]:
                axes.set_title(wrapped(name, int(tile * CHARACTERS * 0.8)))
        line[0].set_ylabel(f"image {row.image_index}", fontsize=6, color=GREY)
    assert shown.attack is not None
    notes = [
        "Red circles: the changed pixels. Below each image what the classifier says and how sure "
        "it is: right (✓, blue) or wrong (✗, vermillion). Image: index in the dataset.",
        f"{len(rows)} of {shown.attack.successes} successful attempts, the first of each class in "
        "turn: examples, not a sample to judge by.",
        *_missing(request, shown, columns),
    ]
    return request.finish(figure, [shown], notes)


def _missing(request: FigureRequest, shown: Study, columns: Sequence[str]) -> list[str]:
    """Return what would fill the columns that the paper's figure has and this one lacks."""
    if not request.spec.denoised:
        return []
    names = [name for name in published_rows(DENOISING_TABLE) if name not in columns]
    trained = request.evidence.trained_denoisers
    return [
        "not run: "
        + commands.denoise(
            shown.dataset, name, shown.classifier_id, trained=(shown.dataset, name) in trained
        )
        for name in names
    ]


def _tile(axes: "Axes", tile: "Tile", characters: int) -> None:
    show_image(axes, tile.image)
    mark = "✓" if tile.right else "✗"
    lines = wrapped(tile.decision, characters).split("\n")
    name = "\n".join(lines if len(lines) <= 2 else [lines[0], f"{lines[1][: characters - 1]}…"])
    color = BLUE if tile.right else VERMILLION
    axes.set_xlabel(f"{name}\n{mark} {100 * tile.confidence:.0f} %", fontsize=6, color=color)


def show_image(axes: "Axes", image: Any) -> None:
    """Show an image uint8 (H, W, C), every pixel a square, without axes."""
    pixels = image[..., 0] if image.shape[2] == 1 else image
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _circles(axes: "Axes", row: "PanelRow") -> None:
    """Circle the changed pixels: red in white, seen on dark, bright and red alike."""
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    height = row.tiles[CLEAN].image.shape[0]
    for pixel_row, pixel_col in row.pixels:
        circle = Circle(
            (pixel_col, pixel_row), max(1.5, height / 18), fill=False, edgecolor=RED, linewidth=1.1
        )
        circle.set_path_effects([withStroke(linewidth=2.2, foreground=HALO)])
        # A pixel at the edge keeps its whole circle.
        circle.set_clip_on(False)
        axes.add_patch(circle)


def _spec(
    number: int,
    dataset: str,
    pixels: int,
    classifier: str = "resnet50",
    *,
    denoised: bool = True,
    remark: str = "",
) -> FigureSpec:
    name = {"oct": "OCT"}.get(dataset, dataset.capitalize())
    model = "DenseNet121 " if classifier == "densenet121" else ""
    attack = f"{'One' if pixels == 1 else 'Two'}-Pixel Attack"
    what, end = ("Denoising", " Images") if denoised else ("Successful", "s")
    title = f"Examples of {what} {name} {model}{attack}{end}"
    form = f"Examples of {what} {attack}{end}"
    return FigureSpec(number, title, dataset, pixels, classifier, denoised, remark, form)


PANELS = (
    _spec(9, "derma", 1),
    _spec(10, "derma", 2, denoised=False),
    _spec(11, "derma", 2),
    _spec(12, "pathology", 1, denoised=False),
    _spec(13, "pathology", 2, denoised=False),
    _spec(
        14,
        "pathology",
        2,
        remark="The paper's caption says one pixel; its text and Table 23 say two.",
    ),
    _spec(15, "oct", 1),
    _spec(16, "oct", 2),
    _spec(17, "chest", 1, denoised=False),
    _spec(18, "chest", 1),
    _spec(19, "chest", 2, denoised=False),
    _spec(20, "chest", 2),
    _spec(21, "derma", 2, "densenet121"),
    _spec(22, "pathology", 2, "densenet121"),
    _spec(23, "oct", 2, "densenet121"),
    _spec(24, "chest", 2, "densenet121"),
)

FIGURE = FigureKind(
    PANELS,
    draw,
    lambda request: request.told(panel_subject(request)),
    needs_images=True,
    of_attempts=True,
)
