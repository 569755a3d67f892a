"""The plain results that cross every boundary: no torch, no SQL, only numbers, text and tuples.

Vocabulary, the same in code, command line and database:

*label set*: the labels that an image carries or a classifier gives, as a sorted tuple of class
ordinals. A multi-class image has exactly one; a multi-label image has any number, none included.
*code*: a label set as text, ordinals joined by commas (``"3"``, ``"0,5"``, ``""`` for none).
*confidence*: in [0, 1]. Multi-class: the softmax probability of the class. Multi-label: the
smallest probability, over all labels, of the decision taken on that label.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

LabelSet = tuple[int, ...]
Task = Literal["multi-class", "multi-label"]
Split = Literal["train", "val", "test"]
SplitScheme = Literal["paper", "official"]
ModelKind = Literal["classifier", "denoiser", "detector"]
ValueKind = Literal["finite", "inf", "nan"]

NATIVE = "native"
NATIVE_SIZE = 0
"""The ``size`` of a dataset whose images keep the sides of their files, each its own."""

POLYPHASE_VOTE = "polyphase-vote"
"""Architecture of the certified classifier, and the method of its certificates."""

PIXEL_SURVEY = "pixel-survey"
"""How the method of a survey of all pixels begins; its budget of bounds follows."""

UNDECIDED = "Undecided"
"""Kind of a failure: an attempt that a proof's budget left without a verdict."""

NO_FINDING_ORDINAL = -1
"""Ordinal of the pseudo-class that stands for the empty label set of a multi-label dataset."""


def encode_label_set(label_set: Sequence[int]) -> str:
    """Return the code of a label set: ``(0, 5)`` becomes ``"0,5"``, ``()`` becomes ``""``."""
    return ",".join(str(int(label)) for label in sorted(label_set))


def decode_label_set(code: str) -> LabelSet:
    """Return the label set of a code; the inverse of :func:`encode_label_set`."""
    return tuple(int(part) for part in code.split(",")) if code else ()


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON-serialisable value in canonical form."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class of a dataset. ``disease_type`` is the paper's (Tables 7 to 10), or None."""

    ordinal: int
    name: str
    disease_type: str | None = None

    @property
    def code(self) -> str:
        """The code of the label set that holds this class alone."""
        return "" if self.ordinal == NO_FINDING_ORDINAL else str(self.ordinal)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What identifies a dataset and how to open it again.

    ``size`` is the side in pixels that images are loaded at, or :data:`NATIVE_SIZE`; ``version``
    names the content (an upstream version or a fingerprint); ``location`` is the file or folder
    that it was read from, and None for datasets that are generated or found by name.
    """

    name: str
    source: str
    size: int
    version: str
    split_scheme: str
    split_seed: int
    manifest_sha256: str
    task: Task
    channels: int
    classes: tuple[ClassInfo, ...]
    licence: str = ""
    citation: str = ""
    location: str | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether the images are procedural phantoms."""
        return self.source == "phantom"

    @property
    def is_native(self) -> bool:
        """Whether every image keeps its own size."""
        return self.size == NATIVE_SIZE

    @property
    def size_name(self) -> int | str:
        """The side in pixels, or ``native``: as ``--size`` takes it."""
        return NATIVE if self.is_native else self.size

    @property
    def label_count(self) -> int:
        """Number of labels that a classifier of this dataset gives (the pseudo-class excluded)."""
        return sum(c.ordinal != NO_FINDING_ORDINAL for c in self.classes)

    def describe_code(self, code: str) -> str:
        """Return class names for a code, joined by `` + `` where there are several."""
        by_code = {c.code: c.name for c in self.classes}
        if code in by_code:
            return by_code[code]
        names = {c.ordinal: c.name for c in self.classes}
        return " + ".join(names[o] for o in decode_label_set(code)) or "none"


@dataclass(frozen=True, slots=True)
class DatasetContent:
    """What a dataset holds (paper, Tables 6 to 10), whichever of its images are registered.

    Attributes:
        modality: how the images were taken; None where that is not known.
        heights: least and greatest height of the image files in pixels.
        widths: the same of their widths.
        counts: images by split and label set.
    """

    modality: str | None
    heights: tuple[int, int]
    widths: tuple[int, int]
    counts: Mapping[tuple[Split, LabelSet], int]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a dataset. ``sha256`` is of the uint8 pixels as loaded, with their shape."""

    index: int
    split: Split
    sha256: str
    height: int
    width: int
    label_set: LabelSet


TRAINING_KEY = "training_key"
"""The hyper-parameter that identifies a finished training; its checkpoint was named by it."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A trained model.

    Attributes:
        parameters: rebuild the module (builder arguments).
        name: the user's, of a classifier of their own; its architecture is called so, too.
    """

    kind: ModelKind
    architecture: str
    weights_sha256: str
    weights_file: str
    parameters: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    trainable_parameters: int
    frozen_parameters: int
    training_seconds: float
    epochs: int
    train_accuracy: float | None = None
    name: str | None = None

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the tensors in the file, which models of two datasets may share."""
        return str(self.hyperparameters.get("content_sha256", self.weights_sha256))

    @property
    def is_plain(self) -> bool:
        """Whether ``latest`` may mean it: trained by pixguard, and no certified vote."""
        return self.architecture != POLYPHASE_VOTE and "added_from" not in self.hyperparameters


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
class EpochRecord:
    """One epoch of training. Accuracies are in [0, 1] and None for denoisers."""

    epoch: int
    train_loss: float
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """The decision of a classifier on one clean image."""

    image_index: int
    predicted: LabelSet
    confidence: float


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
class AttemptRecord:
    """One finished attempt to fool a classifier on one image.

    ``confidence_before`` is the clean decision's, ``confidence_after`` that of the decision on
    the attacked image, ``true_confidence_after`` what is left for the clean decision there. All
    three come from single-image float32 evaluations of the stored bytes. An attempt that did not
    succeed holds its best candidate. ``elapsed_ms`` is the attempt's share of the time spent on
    evaluating and breeding; the sum over attempts is close to the time of the run.
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


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """An attempt that raised instead of finishing."""

    attempt_key: str
    error_type: str
    message: str


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
