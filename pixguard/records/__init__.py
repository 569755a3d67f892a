"""The plain results that cross every boundary: no torch, no SQL, only numbers, text and tuples.

Vocabulary, the same in code, command line and database:

*label set*: the labels that an image carries or a classifier gives, as a sorted tuple of class
ordinals. A multi-class image has exactly one; a multi-label image has any number, none included.
*code*: a label set as text, ordinals joined by commas (``"3"``, ``"0,5"``, ``""`` for none).
*confidence*: in [0, 1]. Multi-class: the softmax probability of the class. Multi-label: the
smallest probability, over all labels, of the decision taken on that label.
"""

from pixguard.records.attacks import (
    UNDECIDED,
    AttackRecord,
    AttemptRecord,
    FailureRecord,
    PixelRecord,
    PlannedAttempt,
    PlanRecord,
    WholeImageRecord,
)
from pixguard.records.datasets import ClassInfo, DatasetContent, DatasetInfo, ImageRecord
from pixguard.records.defences import (
    CertificateRecord,
    DenoisingRecord,
    DetectionRecord,
    RestorationRecord,
    ScoreRecord,
    ValueKind,
)
from pixguard.records.labels import (
    ANY_CLASS,
    NATIVE,
    NATIVE_SIZE,
    NO_FINDING_ORDINAL,
    LabelSet,
    Split,
    SplitScheme,
    Task,
    decode_label_set,
    digest,
    encode_label_set,
)
from pixguard.records.models import (
    CERTIFIED,
    CONFIDENCE,
    MASKED_CONSENSUS,
    POLYPHASE_VOTE,
    RANDOMISED_ABLATION,
    RUN_OFF,
    TRAINING_KEY,
    EpochRecord,
    ModelKind,
    ModelRecord,
    PredictionRecord,
)
from pixguard.records.truth import (
    LARGEST_CHANGE,
    PIXEL_MAP,
    PIXEL_SAMPLE,
    PIXEL_SURVEY,
    PIXEL_UNIVERSAL,
    AnyCertificate,
    Flip,
    FooledPixel,
    PixelMap,
    PixelSample,
    UniversalPixels,
)

__all__ = [
    "ANY_CLASS",
    "CERTIFIED",
    "CONFIDENCE",
    "LARGEST_CHANGE",
    "MASKED_CONSENSUS",
    "NATIVE",
    "NATIVE_SIZE",
    "NO_FINDING_ORDINAL",
    "PIXEL_MAP",
    "PIXEL_SAMPLE",
    "PIXEL_SURVEY",
    "PIXEL_UNIVERSAL",
    "POLYPHASE_VOTE",
    "RANDOMISED_ABLATION",
    "RUN_OFF",
    "TRAINING_KEY",
    "UNDECIDED",
    "AnyCertificate",
    "AttackRecord",
    "AttemptRecord",
    "CertificateRecord",
    "ClassInfo",
    "DatasetContent",
    "DatasetInfo",
    "DenoisingRecord",
    "DetectionRecord",
    "EpochRecord",
    "FailureRecord",
    "Flip",
    "FooledPixel",
    "ImageRecord",
    "LabelSet",
    "ModelKind",
    "ModelRecord",
    "PixelMap",
    "PixelRecord",
    "PixelSample",
    "PlanRecord",
    "PlannedAttempt",
    "PredictionRecord",
    "RestorationRecord",
    "ScoreRecord",
    "Split",
    "SplitScheme",
    "Task",
    "UniversalPixels",
    "ValueKind",
    "WholeImageRecord",
    "decode_label_set",
    "digest",
    "encode_label_set",
]
