"""What makes rows of two databases one row, table by table."""

from dataclasses import dataclass

from pixguard.store import tables
from pixguard.store.tables import Base


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes rows of two databases one row, and what must then be the same.

    Attributes:
        table: whose rows.
        key: columns that identify a row; a reference stands for the row that it points to.
        same: columns that must agree.
        may_differ: the results of one and the same work, of which the user may choose one.
    """

    table: type[Base]
    key: tuple[str, ...]
    same: tuple[str, ...] = ()
    may_differ: bool = False


_DATASET = ("name", "source", "size", "version", "split_scheme", "split_seed")
_CONTENT = ("modality", "least_height", "greatest_height", "least_width", "greatest_width")
_PLAN = ("model_id", "attack_id", "dataset_id", "through_model_id", "seed", "target")
_OUTCOME = ("success", "predicted_before", "predicted_after", "queries", "generations")
RULES = (
    Rule(tables.Environment, ("fingerprint",)),
    Rule(tables.Run, ("uuid",)),
    Rule(tables.Failure, ("run_id", "attempt_key", "at_ms", "error_type", "message")),
    Rule(tables.Tag, ("kind", "key", "word")),
    Rule(tables.Dataset, _DATASET, ("manifest_sha256", "task", "channels")),
    Rule(tables.DatasetClass, ("dataset_id", "ordinal"), ("code", "name")),
    Rule(tables.DatasetContent, ("dataset_id",), _CONTENT),
    Rule(tables.DatasetCount, ("dataset_id", "split", "label_set"), ("images",)),
    Rule(tables.Image, ("dataset_id", "split", "dataset_index"), ("sha256", "label_set")),
    Rule(tables.Model, ("weights_sha256",), ("kind", "architecture", "dataset_id")),
    Rule(tables.TrainingEpoch, ("model_id", "epoch")),
    Rule(tables.Prediction, ("model_id", "image_id"), ("predicted",), may_differ=True),
    Rule(tables.Attack, ("name", "version", "pixels", "parameters_hash")),
    Rule(tables.Plan, _PLAN),
    Rule(tables.Attempt, ("attempt_key",), _OUTCOME, may_differ=True),
    Rule(tables.Pixel, ("attempt_id", "ordinal")),
    Rule(tables.WholeImage, ("attempt_id",)),
    Rule(tables.Restoration, ("restoration_key",), ("predicted", "recovered"), may_differ=True),
    Rule(tables.Metric, ("name", "version"), ("parameters",)),
    Rule(tables.Score, ("restoration_id", "metric_id"), ("value_kind", "value"), may_differ=True),
    Rule(tables.Denoising, ("denoising_key",)),
    Rule(
        tables.DenoisingScore,
        ("denoising_id", "metric_id"),
        ("value_kind", "value"),
        may_differ=True,
    ),
    Rule(tables.Detection, ("detection_key",), ("flagged",), may_differ=True),
    Rule(
        tables.Certificate,
        ("model_id", "image_id", "method"),
        ("predicted", "votes", "radius"),
        may_differ=True,
    ),
)
"""In an order in which every row comes after what it refers to; the places of plans follow."""
