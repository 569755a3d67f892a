"""The registry of all figures: the paper's 9 to 26 by number, ours by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pixguard.errors import UsageError

Kind = Literal[
    "panel",
    "training_times",
    "confidence",
    "success",
    "heatmap",
    "epochs",
    "vulnerability",
]


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A figure.

    Attributes:
        number: the paper's, or the name of a figure that the paper lacks.
        title: the paper's, or ours.
        kind: what it draws.
        dataset: the one dataset that it is about, or None where the database decides.
        pixels: how many pixels the attack changes, or None for any number.
        classifier: architecture, or None where the database decides.
        denoised: a panel shows what denoisers make of the attacked images.
        remark: what must be said about the paper's figure.
        form: the title without the paper's dataset and classifier, for others in their place.
    """

    number: int | str
    title: str
    kind: Kind
    dataset: str | None = None
    pixels: int | None = None
    classifier: str | None = None
    denoised: bool = False
    remark: str = ""
    form: str = ""

    @property
    def needs_images(self) -> bool:
        """Whether it shows pixels, which only the runner can give."""
        return self.kind in ("panel", "vulnerability")


def _panel(
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
    return FigureSpec(number, title, "panel", dataset, pixels, classifier, denoised, remark, form)


IN_THE_PAPER = (
    _panel(9, "derma", 1),
    _panel(10, "derma", 2, denoised=False),
    _panel(11, "derma", 2),
    _panel(12, "pathology", 1, denoised=False),
    _panel(13, "pathology", 2, denoised=False),
    _panel(
        14,
        "pathology",
        2,
        remark="The paper's caption says one pixel; its text and Table 23 say two.",
    ),
    _panel(15, "oct", 1),
    _panel(16, "oct", 2),
    _panel(17, "chest", 1, denoised=False),
    _panel(18, "chest", 1),
    _panel(19, "chest", 2, denoised=False),
    _panel(20, "chest", 2),
    _panel(21, "derma", 2, "densenet121"),
    _panel(22, "pathology", 2, "densenet121"),
    _panel(23, "oct", 2, "densenet121"),
    _panel(24, "chest", 2, "densenet121"),
    FigureSpec(25, "Training Times of Classification Models", "training_times"),
    FigureSpec(
        26,
        "Training Times of Denoising Models",
        "training_times",
        denoised=True,
        remark="The paper's caption says classification models; its text refers to denoising.",
    ),
)
"""What the paper prints as images and diagrams of results."""
SCHEMATICS = 8
"""Its Figures 1 to 8 show architectures and the process."""

BEYOND_THE_PAPER = (
    FigureSpec("success", "Success Rate of Attacks by Class", "success"),
    FigureSpec("confidence", "Confidence Before and After Attacks", "confidence"),
    FigureSpec("heatmap", "Where the Pixels of Successful Attacks Lie", "heatmap"),
    FigureSpec("epochs", "Training Curves", "epochs"),
    FigureSpec("vulnerability", "Vulnerability of Every Pixel of an Image", "vulnerability"),
)


@cache
def figure_specs() -> Mapping[int | str, FigureSpec]:
    """Return every figure: the paper's by number, in order, then ours by name."""
    return {spec.number: spec for spec in (*IN_THE_PAPER, *BEYOND_THE_PAPER)}


def figure_spec(number: int | str) -> FigureSpec:
    """Return one figure by its number or name.

    Raises:
        UsageError: there is no such figure.
    """
    specs = figure_specs()
    if number in specs:
        return specs[number]
    if isinstance(number, int):
        schematic = 1 <= number <= SCHEMATICS
        what = "is a schematic, not a result" if schematic else "is not in the paper"
        raise UsageError(f"figure {number} {what}", "pixguard report --list")
    names = ", ".join(str(spec.number) for spec in BEYOND_THE_PAPER)
    raise UsageError(
        f"{number!r} is not the number of a figure, nor a name ({names})", "pixguard report --list"
    )
