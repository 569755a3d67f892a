"""Attacks, their plans and attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixguard.records.labels import LabelSet, digest

UNDECIDED = "Undecided"
"""Kind of a failure: an attempt that a proof's budget left without a verdict."""


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One attempt of a plan: its key, and what the key was made of."""

    key: str
    image_index: int
    target: int | None
    repeat: int


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """An attack plan: its attempts in order, the repeats one after another.

    Attributes:
        seed: of the order and of the attempts.
        target: the setting: a class, ``each``, or None.
        attempts: all of them.
        settings: what was asked for.
        command: the command line that goes on with it.
        remarks: what was noticed about the classifier, in sentences.
    """

    seed: int
    target: str | None
    attempts: Sequence[PlannedAttempt]
    settings: Mapping[str, Any]
    command: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttackRecord:
    """An attack with all its parameters; rows of equal parameters are one attack."""

    name: str
    version: int
    pixels: int
    parameters: Mapping[str, Any]

    @property
    def parameters_hash(self) -> str:
        """SHA-256 of the parameters in canonical JSON."""
        return digest(dict(self.parameters))


@dataclass(frozen=True, slots=True)
class PixelRecord:
    """One pixel of an adversarial image: (row, col) from the top left, uint8 colour a channel."""

    row: int
    col: int
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WholeImageRecord:
    """The image that a dense attack made, and how far it lies from the clean one.

    Attributes:
        sha256: of its pixels, as an image's (:func:`pixguard.datasets.base.image_sha256`).
        png: the same pixels as a PNG file.
        linf: the largest change of a value, in steps of 8 bits.
        l2: the Euclidean length of the change, of images in [0, 1].
    """

    sha256: str
    png: bytes
    linf: int
    l2: float


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One finished attempt to fool a classifier on one image.

    ``confidence_before`` is the clean decision's, ``confidence_after`` that of the decision on
    the attacked image, ``true_confidence_after`` what is left for the clean decision there. All
    three come from single-image float32 evaluations of the stored bytes. An attempt that did not
    succeed holds its best candidate. ``elapsed_ms`` is the attempt's share of the time spent on
    evaluating and breeding; the sum over attempts is close to the time of the run. A dense attack
    has a whole image, and no pixels.
    """

    attempt_key: str
    image_index: int
    target: int | None
    repeat: int
    seed: int
    success: bool
    predicted_before: LabelSet
    predicted_after: LabelSet
    confidence_before: float
    confidence_after: float
    true_confidence_after: float
    queries: int
    generations: int
    elapsed_ms: float
    evaluator: str
    precision: str
    pixels: tuple[PixelRecord, ...]
    distinct_queries: int | None = None
    whole: WholeImageRecord | None = None


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """An attempt that raised instead of finishing."""

    attempt_key: str
    error_type: str
    message: str
