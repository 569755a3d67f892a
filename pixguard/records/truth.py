"""What is known of every one-pixel change of an image: the content of a survey."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pixguard.records.defences import CertificateRecord
from pixguard.records.labels import LabelSet, decode_label_set, encode_label_set

PIXEL_SURVEY = "pixel-survey"
"""How the method of a survey of all pixels begins; its budget of bounds follows."""
PIXEL_SAMPLE = "pixel-sample"
"""The same for a survey of pixels drawn; its budget and how many were drawn follow."""
PIXEL_MAP = "pixel-map"
"""The same as of a survey for what it found of each pixel."""
PIXEL_UNIVERSAL = "pixel-universal"
"""How the method of a change that is meant for many images begins; how many pixels it changes and
how many images it was chosen for follow."""
LARGEST_CHANGE = 255
"""Levels by which a channel can change."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A change of one pixel that the classifier, given that image alone in float32, falls for.

    Attributes:
        row: of the pixel, from the top.
        col: from the left.
        colour: what it is changed to, uint8 a channel.
        change: by how many levels the channel that changes most does.
        predicted: what the classifier then decides.
        confidence: its confidence in that, in [0, 1].
    """

    row: int
    col: int
    colour: tuple[int, ...]
    change: int
    predicted: LabelSet
    confidence: float


@dataclass(frozen=True, slots=True)
class FooledPixel:
    """A pixel that flips the decision.

    Attributes:
        flip: of all that are known of it, one of the least change.
        at_extreme: whether an extreme colour of it flips, too.
        values: in grayscale all values that flip, as evaluated, in ranges (first, last); in colour
            empty: not all are looked for.
    """

    flip: Flip
    at_extreme: bool
    values: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PixelMap:
    """Verdicts on all pixels of an image; those that are neither fooled nor open are proven.

    Attributes:
        image_index: in the dataset.
        method: :data:`PIXEL_MAP` and the budget of the survey.
        predicted: what the classifier decides on the clean image.
        fooled: pixels that flip it.
        open: (row, col) of pixels of which neither a flip nor a proof was found.
        front: flips that no other known one beats in both change and confidence, by change; in
            grayscale of all flips that there are.
        harmless: no change of one pixel by at most that many levels flips, which is proven.
    """

    image_index: int
    method: str
    predicted: LabelSet
    fooled: tuple[FooledPixel, ...] = ()
    open: tuple[tuple[int, int], ...] = ()
    front: tuple[Flip, ...] = ()
    harmless: int = field(default=LARGEST_CHANGE)

    @property
    def radius(self) -> int:
        """1 where no pixel flips the image, which is proven; else 0."""
        return int(not self.fooled and not self.open)

    @property
    def least_change(self) -> int | None:
        """The least change that is known to flip; None where none is."""
        return min((pixel.flip.change for pixel in self.fooled), default=None)

    def content(self) -> dict[str, Any]:
        """Return what is stored, as JSON takes it."""
        return {
            "fooled": [[*_flip(p.flip), int(p.at_extreme), list(p.values)] for p in self.fooled],
            "open": [list(place) for place in self.open],
            "front": [_flip(one) for one in self.front],
            "harmless": self.harmless,
        }

    @classmethod
    def read(
        cls, content: Mapping[str, Any], *, image_index: int, method: str, predicted: LabelSet
    ) -> "PixelMap":
        """Return the map of which :meth:`content` was stored."""
        return cls(
            image_index,
            method,
            predicted,
            tuple(
                FooledPixel(_read(flip), bool(extreme), tuple((a, b) for a, b in values))
                for *flip, extreme, values in content["fooled"]
            ),
            tuple((row, col) for row, col in content["open"]),
            tuple(map(_read, content["front"])),
            content["harmless"],
        )


@dataclass(frozen=True, slots=True)
class UniversalPixels:
    """What pixels that were chosen to fool many images, one after the other, do to one of them.

    Attributes:
        image_index: in the dataset.
        method: :data:`PIXEL_UNIVERSAL`, the number of pixels, ``of``, and that of images.
        predicted: what the classifier decides on the clean image.
        pixels: (row, col) and colour of each, in the order in which they were chosen.
        fooled: with the first pixel, with the first two, and so on: whether the decision is wrong.
    """

    image_index: int
    method: str
    predicted: LabelSet
    pixels: tuple[tuple[int, int, tuple[int, ...]], ...]
    fooled: tuple[bool, ...]

    radius = 0

    def content(self) -> dict[str, Any]:
        """Return what is stored, as JSON takes it."""
        pixels = [[row, col, list(colour)] for row, col, colour in self.pixels]
        return {"pixels": pixels, "fooled": [int(one) for one in self.fooled]}

    @classmethod
    def read(
        cls, content: Mapping[str, Any], *, image_index: int, method: str, predicted: LabelSet
    ) -> "UniversalPixels":
        """Return that of which :meth:`content` was stored."""
        pixels = tuple((row, col, tuple(colour)) for row, col, colour in content["pixels"])
        return cls(image_index, method, predicted, pixels, tuple(map(bool, content["fooled"])))


@dataclass(frozen=True, slots=True)
class PixelSample:
    """What is known of an image of which some pixels were drawn.

    Attributes:
        image_index: in the dataset.
        method: :data:`PIXEL_SAMPLE`, the budget of bounds, ``of``, and how many were to be drawn.
        predicted: what the classifier decides on the clean image.
        extremes: (row, col) of all pixels that some extreme colour flips.
        proven: how many of the pixels drawn among the others no colour flips.
        between: how many of them some colour flips.
        open: of how many neither is known.
    """

    image_index: int
    method: str
    predicted: LabelSet
    extremes: tuple[tuple[int, int], ...]
    proven: int
    between: int
    open: int

    radius = 0

    @property
    def drawn(self) -> int:
        """How many pixels were drawn."""
        return self.proven + self.between + self.open

    def share(self, part: int, pixels: int) -> float:
        """Return for which share of an image's pixels a part of those drawn stands."""
        rest = 1 - len(self.extremes) / pixels
        return rest * part / self.drawn if self.drawn else 0.0

    def content(self) -> dict[str, Any]:
        """Return what is stored, as JSON takes it."""
        counts = {"proven": self.proven, "between": self.between, "open": self.open}
        return {"extremes": [list(place) for place in self.extremes], **counts}

    @classmethod
    def read(
        cls, content: Mapping[str, Any], *, image_index: int, method: str, predicted: LabelSet
    ) -> "PixelSample":
        """Return that of which :meth:`content` was stored."""
        extremes = tuple((row, col) for row, col in content["extremes"])
        counts = (content[name] for name in ("proven", "between", "open"))
        return cls(image_index, method, predicted, extremes, *counts)


AnyCertificate = CertificateRecord | PixelMap | PixelSample | UniversalPixels
"""What is stored as a certificate."""


def _flip(one: Flip) -> list[Any]:
    label_set = encode_label_set(one.predicted)
    return [one.row, one.col, list(one.colour), one.change, label_set, round(one.confidence, 6)]


def _read(values: list[Any]) -> Flip:
    row, col, colour, change, label_set, confidence = values
    return Flip(row, col, tuple(colour), change, decode_label_set(label_set), confidence)
