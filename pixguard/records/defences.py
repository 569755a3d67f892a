"""What denoisers, detectors and certificates make of images."""

from dataclasses import dataclass
from typing import Literal

from pixguard.records.labels import LabelSet

ValueKind = Literal["finite", "inf", "nan"]


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """One metric of one restoration. NaN and infinity are told by ``value_kind``."""

    metric: str
    value: float | None
    value_kind: ValueKind


@dataclass(frozen=True, slots=True)
class RestorationRecord:
    """A denoiser's output for an attempt's image (or, with ``attempt_id`` None, a clean image).

    ``recovered``: the classifier gives the clean image's true label set back.
    """

    image_index: int
    attempt_id: int | None
    predicted: LabelSet
    confidence: float
    recovered: bool
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class DenoisingRecord:
    """A noisy image restored by a denoiser, and how close it came to the clean image.

    ``noise`` is the kind, ``level`` its strength (impulse noise: the share of pixels replaced).
    ``elapsed_ms`` is the image's share of restoring and scoring its batch.
    """

    image_index: int
    noise: str
    level: float
    seed: int
    elapsed_ms: float
    scores: tuple[ScoreRecord, ...]


@dataclass(frozen=True, slots=True)
class DetectionRecord:
    """What a detector says of an attempt's image (or, with ``attempt_id`` None, a clean image).

    ``score`` is finite and grows with the distance from what the detector was trained on;
    ``flagged``: it raised an alarm. ``elapsed_ms`` is the image's share of scoring its chunk.
    """

    image_index: int
    attempt_id: int | None
    score: float
    flagged: bool
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """What a classifier decides on a clean image, and how far that certainly holds.

    ``radius``: no image that differs from this one in at most that many pixels is decided
    otherwise.
    ``votes``: how many each class got, by ordinal; of a survey, how many pixels are proven, fooled
    at an extreme, fooled only between extremes, and open.
    """

    image_index: int
    method: str
    predicted: LabelSet
    votes: tuple[int, ...]
    radius: int
