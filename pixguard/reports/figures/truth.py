"""Figure ``truth``: how many images each pixel fools, and how many pixels fool each image."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixguard.records import PIXEL_MAP, PIXEL_SAMPLE
from pixguard.reports.figures.drawing import Drawing
from pixguard.reports.figures.kind import FigureKind
from pixguard.reports.figures.request import FigureRequest, FigureSpec
from pixguard.reports.figures.style import BLUE, PAGE_INCHES, add_scale, frame, new_figure
from pixguard.reports.request import paper_datasets
from pixguard.reports.studies import Study, choose
from pixguard.reports.tables.least_flips import fullest_maps
from pixguard.reports.tables.truth_notes import most_drawn
from pixguard.words import shell_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Places = Sequence[tuple[int, int]]
"""(row, col) of the pixels of one image that flip it."""
EVERY_COLOUR = (
    "A pixel fools an image where some colour of it flips the decision: every pixel was surveyed "
    "(pixguard certify pixels), and is proven where it is not counted{but}."
)
EXTREMES = (
    "A pixel fools an image where some extreme colour of it flips the decision; all extremes of "
    "all pixels were tried. What only colours between them fool is not counted: the table truth "
    "estimates it from pixels drawn (pixguard report --table truth)."
)


def _subject(request: FigureRequest) -> Study:
    """Return the classifier that is shown.

    Raises:
        NotRunError: no image was surveyed.
    """
    evidence = request.evidence
    for pool in (evidence.surveyed, evidence.sampled):
        chosen = choose(request.studies(pool), None)
        if chosen is not None:
            return chosen
    known = choose(request.studies(evidence.classifiers), None)
    name = request.dataset or (known.dataset if known else next(iter(paper_datasets())))
    raise request.not_run(f"pixguard certify pixels --dataset {shell_word(name)} --limit 25")


def draw(request: FigureRequest) -> Drawing:
    """Return the figure: a map of the pixels, and the images in order.

    Raises:
        NotRunError: no image was surveyed.
    """
    from matplotlib.ticker import MaxNLocator

    shown = _subject(request)
    fooled, note = _fooled(request, shown)
    figure = new_figure(PAGE_INCHES, 3.4, square=True)
    left, right = figure.subplots(1, 2)
    counts = Counter(place for places in fooled for place in places)
    cells = [[counts[row, col] for col in range(shown.size)] for row in range(shown.size)]
    image = left.imshow(cells, cmap="cividis", vmin=0, vmax=max(1, *map(max, cells)))
    left.set_title("images that each pixel fools", loc="left")
    left.set_xlabel("column (pixels)")
    left.set_ylabel("row (pixels)")
    frame(left)
    whole = MaxNLocator(6, integer=True)
    add_scale(figure, image, ax=left, shrink=0.8, pad=0.02, ticks=whole)
    _in_order(right, fooled)
    return request.finish(figure, [shown], (note,))


def _fooled(request: FigureRequest, shown: Study) -> tuple[list[Places], str]:
    """Return the pixels that fool each image, by what saw most images, and what that means."""

    def rows(kind: str) -> Sequence[dict[str, object]]:
        return request.fetch(
            "truth_maps",
            classifier_id=shown.classifier_id,
            dataset_id=shown.dataset_id,
            method=f"{kind} %",
        )

    maps = [known for _, known in fullest_maps(rows(PIXEL_MAP)).values()]
    samples = most_drawn(rows(PIXEL_SAMPLE))
    if len(samples) > len(maps):
        return [one.extremes for one in samples], EXTREMES
    left = sum(len(known.open) for known in maps)
    but = f" (of {left} neither is known)" if left else ""
    places = [[(p.flip.row, p.flip.col) for p in known.fooled] for known in maps]
    return list(places), EVERY_COLOUR.format(but=but)


def _in_order(axes: "Axes", fooled: Sequence[Places]) -> None:
    """Draw how many pixels fool each image, the most vulnerable first."""
    numbers = sorted(map(len, fooled), reverse=True)
    vulnerable = sum(number > 0 for number in numbers)
    axes.step(range(1, len(numbers) + 1), numbers, where="mid", color=BLUE)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, None)
    axes.set_xlim(0, len(numbers) + 1)
    axes.set_box_aspect(1)
    axes.grid()
    axes.set_title(f"{vulnerable} of {len(numbers)} images are vulnerable", loc="left")
    axes.set_xlabel("images, the most vulnerable first")
    axes.set_ylabel("pixels that fool it")


FIGURE = FigureKind(
    (FigureSpec("truth", "What One Pixel Can Do"),),
    draw,
    lambda request: request.told(_subject(request)),
)
