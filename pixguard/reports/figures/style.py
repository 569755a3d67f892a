"""How figures look: one palette, one type size, no junk."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, INK, GREY, PALE = "#CC79A7", "#56B4E9", "#222222", "#767676", "#DDDDDD"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
"""Okabe and Ito's colours, which people of every colour vision tell apart, in the order of use."""
LINES = ("-", "--", ":", "-.")
"""Kinds of lines, for more lines than colours."""

DARK: Mapping[str, str] = {
    "#FFFFFF": "#1b2024",
    INK: "#e6e4de",
    GREY: "#9aa2a9",
    PALE: "#3a4147",
    BLUE: "#5cb3e8",
    VERMILLION: "#ff8f4d",
    GREEN: "#35c79c",
    ORANGE: "#f2b83a",
    PURPLE: "#e39bc3",
    SKY: "#8fd0f5",
}
"""What each colour becomes where a page is dark."""

COLUMN_INCHES, PAGE_INCHES = 3.5, 7.1
"""The width of a column and of a page of text in print."""
DOTS_PER_INCH, MARGIN_INCHES = 200, 0.07
"""Of a PNG file, for which figures are laid out; and what is left free around what is drawn."""
TITLE_CHARACTERS, FOOTER_CHARACTERS = 12, 20
"""How many characters fit in an inch of a title and of the text below a figure."""

STYLE: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Words and names may hold a dollar sign, which is not the beginning of a formula.
    "text.parse_math": False,
    # Labels stay text in an SVG: to be searched, copied, and read aloud.
    "svg.fonttype": "none",
    # And in a PDF: TrueType, which publishers take, in place of Type 3.
    "pdf.fonttype": 42,
}
"""Settings of matplotlib under which every figure is drawn and saved."""


@contextmanager
def styled(**further: Any) -> Iterator[None]:
    """Give matplotlib the style of the figures, and ``further`` settings, for as long as it takes.

    A script that the font lacks becomes boxes in a PNG, without a warning: a browser draws it in
    an SVG.
    """
    from matplotlib import rc_context

    settings: Any = {**STYLE, **further}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def wrapped(text: str, width: int) -> str:
    """Return a text on lines of at most ``width`` characters; only longer words are broken."""
    return "\n".join(wrap(text, width, break_on_hyphens=False)) or text


def new_figure(width: float, height: float, *, square: bool = False) -> "Figure":
    """Return an empty figure of a size in inches, whose parts keep out of each other's way.

    ``square``: its panels keep their proportions, whatever room there is.
    """
    from matplotlib.figure import Figure

    layout: Literal["compressed", "constrained"] = "compressed" if square else "constrained"
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout)
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=MARGIN_INCHES, h_pad=MARGIN_INCHES)
    return figure


def darkened(svg: bytes) -> bytes:
    """Return an SVG file of a figure in the colours of a dark page; its images stay as they are."""
    colours = {light.lower().encode(): dark.encode() for light, dark in DARK.items()}

    def dark(found: re.Match[bytes]) -> bytes:
        return found[1] + colours.get(found[2], found[2])

    return re.sub(rb"((?:fill|stroke): )(#[0-9a-f]{6})", dark, svg)


def top_of(share: float) -> float:
    """Return where an axis of percent ends that must hold a share in [0, 1]: at most at 100."""
    return min(100.0, 10.0 * (int(10 * share) + 1))


def frame(axes: "Axes") -> None:
    """Draw all four sides of an image's frame."""
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY)


def add_scale(figure: "Figure", drawn: "AxesImage", **options: Any) -> None:
    """Add the scale of an image's colours; ``options`` as of ``Figure.colorbar``."""
    outline: Any = figure.colorbar(drawn, **options).outline
    outline.set_visible(False)


def lines_from_above(axes: "Axes", labels: Sequence[str]) -> None:
    """Make axes a list: a line for each label, the first at the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def add_texts(figure: "Figure", title: str, footer: str) -> None:
    """Write the title above a figure and, small, what it was made from below it."""
    width = figure.get_figwidth()
    figure.suptitle(
        wrapped(title, int(width * TITLE_CHARACTERS)),
        x=0.01,
        ha="left",
        fontsize=9,
        fontweight="bold",
    )
    figure.supxlabel(
        wrapped(footer, int(width * FOOTER_CHARACTERS)), x=0.01, ha="left", fontsize=6, color=GREY
    )
