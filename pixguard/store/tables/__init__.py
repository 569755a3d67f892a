"""The schema as SQLAlchemy models. Migrations in ``migrations/`` create exactly this.

Every table is STRICT on SQLite. Times are INTEGER milliseconds since the epoch (UTC), structured
values are JSON text, booleans are 0 or 1, a label set is its code (see :mod:`pixguard.records`).
Foreign keys never cascade: nothing is deleted behind a researcher's back.
"""

from pixguard.store.tables.attempts import Attack, Attempt, Pixel, WholeImage
from pixguard.store.tables.base import Base
from pixguard.store.tables.certificates import Certificate
from pixguard.store.tables.detections import Detection
from pixguard.store.tables.plans import Plan, PlannedAttempt
from pixguard.store.tables.restorations import Denoising, DenoisingScore, Metric, Restoration, Score
from pixguard.store.tables.runs import Environment, Failure, Run, Tag
from pixguard.store.tables.subjects import (
    Dataset,
    DatasetClass,
    DatasetContent,
    DatasetCount,
    Image,
    Model,
    Prediction,
    TrainingEpoch,
)
from pixguard.store.tables.views import VIEWS

__all__ = [
    "VIEWS",
    "Attack",
    "Attempt",
    "Base",
    "Certificate",
    "Dataset",
    "DatasetClass",
    "DatasetContent",
    "DatasetCount",
    "Denoising",
    "DenoisingScore",
    "Detection",
    "Environment",
    "Failure",
    "Image",
    "Metric",
    "Model",
    "Pixel",
    "Plan",
    "PlannedAttempt",
    "Prediction",
    "Restoration",
    "Run",
    "Score",
    "Tag",
    "TrainingEpoch",
    "WholeImage",
]
