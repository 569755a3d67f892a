"""Records to rows and back: codes for label sets, JSON for structure, plain Python numbers.

Numbers are converted, because the driver would store a NumPy integer as bytes.
"""

import dataclasses
import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast

from sqlalchemy import Row

from pixguard.records import (
    AnyCertificate,
    AttemptRecord,
    CertificateRecord,
    ClassInfo,
    DatasetContent,
    DatasetInfo,
    DenoisingRecord,
    DetectionRecord,
    EpochRecord,
    ImageRecord,
    ModelKind,
    ModelRecord,
    PixelRecord,
    PredictionRecord,
    RestorationRecord,
    ScoreRecord,
    Task,
    WholeImageRecord,
    encode_label_set,
)
from pixguard.store.tables import DatasetClass, Pixel

Values = dict[str, Any]
"""One row by column name."""


def now_ms() -> int:
    """Return the time in milliseconds since the epoch (UTC)."""
    return time.time_ns() // 1_000_000


def to_json(value: Any) -> str:
    """Return a value as canonical JSON; dataclasses become objects, paths become text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value.item() if hasattr(value, "item") else str(value)


def dataset_key(info: DatasetInfo) -> Values:
    """Return the columns that identify a dataset."""
    names = ("name", "source", "size", "version", "split_scheme", "split_seed")
    return {name: getattr(info, name) for name in names}


def dataset_values(info: DatasetInfo) -> Values:
    """Return the other columns of a dataset."""
    names = ("manifest_sha256", "task", "channels", "licence", "citation", "location")
    return {name: getattr(info, name) for name in names}


def class_values(info: ClassInfo, dataset_id: int) -> Values:
    """Return the row of a class."""
    return {"dataset_id": dataset_id, "code": info.code, **dataclasses.asdict(info)}


def content_values(content: DatasetContent, dataset_id: int) -> Values:
    """Return the row of what a dataset's files are."""
    (least_height, greatest_height), (least_width, greatest_width) = content.heights, content.widths
    return {
        "dataset_id": dataset_id,
        "modality": content.modality,
        "least_height": int(least_height),
        "greatest_height": int(greatest_height),
        "least_width": int(least_width),
        "greatest_width": int(greatest_width),
    }


def count_values(content: DatasetContent, dataset_id: int) -> list[Values]:
    """Return the rows of a dataset's counts."""
    return [
        {
            "dataset_id": dataset_id,
            "split": split,
            "label_set": encode_label_set(label_set),
            "images": int(images),
        }
        for (split, label_set), images in content.counts.items()
    ]


def dataset_info(row: Row[Any], classes: Iterable[DatasetClass | Row[Any]]) -> DatasetInfo:
    """Return a dataset from its row and the rows of its classes."""
    return DatasetInfo(
        name=row.name,
        source=row.source,
        size=row.size,
        version=row.version,
        split_scheme=row.split_scheme,
        split_seed=row.split_seed,
        manifest_sha256=row.manifest_sha256,
        task=cast(Task, row.task),
        channels=row.channels,
        classes=tuple(ClassInfo(c.ordinal, c.name, c.disease_type) for c in classes),
        licence=row.licence,
        citation=row.citation,
        location=row.location,
    )


def image_values(record: ImageRecord, dataset_id: int) -> Values:
    """Return the row of an image."""
    return {
        "dataset_id": dataset_id,
        "split": record.split,
        "dataset_index": int(record.index),
        "sha256": record.sha256,
        "height": int(record.height),
        "width": int(record.width),
        "label_set": encode_label_set(record.label_set),
    }


def model_values(record: ModelRecord, dataset_id: int, run_id: int) -> Values:
    """Return the row of a model."""
    return {
        **{field.name: getattr(record, field.name) for field in dataclasses.fields(record)},
        "parameters": to_json(record.parameters),
        "hyperparameters": to_json(record.hyperparameters),
        "dataset_id": dataset_id,
        "run_id": run_id,
        "created_ms": now_ms(),
    }


def model_record(row: Row[Any]) -> ModelRecord:
    """Return a model from its row."""
    return ModelRecord(
        kind=cast(ModelKind, row.kind),
        architecture=row.architecture,
        weights_sha256=row.weights_sha256,
        weights_file=row.weights_file,
        parameters=json.loads(row.parameters),
        hyperparameters=json.loads(row.hyperparameters),
        trainable_parameters=row.trainable_parameters,
        frozen_parameters=row.frozen_parameters,
        training_seconds=row.training_seconds,
        epochs=row.epochs,
        train_accuracy=row.train_accuracy,
        name=row.name,
    )


def epoch_values(record: EpochRecord, model_id: int) -> Values:
    """Return the row of an epoch. A training loss of NaN is stored as infinity.

    SQLite makes NaN NULL, and a training that diverged must not fail to be recorded.
    """
    loss = math.inf if math.isnan(record.train_loss) else record.train_loss
    return {"model_id": model_id, **dataclasses.asdict(record), "train_loss": loss}


def prediction_values(record: PredictionRecord, model_id: int, image_id: int) -> Values:
    """Return the row of a prediction."""
    return {
        "model_id": model_id,
        "image_id": image_id,
        "predicted": encode_label_set(record.predicted),
        "confidence": float(record.confidence),
    }


def attempt_values(record: AttemptRecord) -> Values:
    """Return the row of an attempt, less its foreign keys."""
    return {
        "attempt_key": record.attempt_key,
        "target": None if record.target is None else int(record.target),
        "repeat": int(record.repeat),
        "seed": int(record.seed),
        "success": int(record.success),
        "predicted_before": encode_label_set(record.predicted_before),
        "predicted_after": encode_label_set(record.predicted_after),
        "confidence_before": float(record.confidence_before),
        "confidence_after": float(record.confidence_after),
        "true_confidence_after": float(record.true_confidence_after),
        "queries": int(record.queries),
        "distinct_queries": (
            None if record.distinct_queries is None else int(record.distinct_queries)
        ),
        "generations": int(record.generations),
        "elapsed_ms": float(record.elapsed_ms),
        "evaluator": record.evaluator,
        "precision": record.precision,
    }


def pixel_values(pixels: Iterable[PixelRecord], attempt_id: int) -> list[Values]:
    """Return the rows of an attempt's pixels, in their order."""
    return [
        {
            "attempt_id": attempt_id,
            "ordinal": ordinal,
            "row": int(pixel.row),
            "col": int(pixel.col),
            "before": to_json([int(value) for value in pixel.before]),
            "after": to_json([int(value) for value in pixel.after]),
        }
        for ordinal, pixel in enumerate(pixels)
    ]


def pixel_record(pixel: Pixel | Row[Any]) -> PixelRecord:
    """Return a pixel from its row."""
    before, after = (tuple(json.loads(text)) for text in (pixel.before, pixel.after))
    return PixelRecord(pixel.row, pixel.col, before, after)


def whole_values(record: WholeImageRecord, attempt_id: int) -> Values:
    """Return the row of a dense attack's image."""
    return {"attempt_id": attempt_id, **dataclasses.asdict(record)}


def whole_record(row: Row[Any]) -> WholeImageRecord:
    """Return a dense attack's image from its row."""
    return WholeImageRecord(row.sha256, row.png, row.linf, row.l2)


def restoration_values(record: RestorationRecord) -> Values:
    """Return the row of a restoration, less its key and foreign keys."""
    return {
        "attempt_id": record.attempt_id,
        "predicted": encode_label_set(record.predicted),
        "confidence": float(record.confidence),
        "recovered": int(record.recovered),
        "elapsed_ms": float(record.elapsed_ms),
    }


def certificate_values(record: AnyCertificate) -> Values:
    """Return the row of a certificate, less its foreign keys."""
    votes: Any = (
        [int(count) for count in record.votes]
        if isinstance(record, CertificateRecord)
        else record.content()
    )
    return {
        "method": record.method,
        "predicted": encode_label_set(record.predicted),
        "votes": to_json(votes),
        "radius": int(record.radius),
    }


def denoising_values(record: DenoisingRecord) -> Values:
    """Return the row of a denoising, less its key and foreign keys."""
    return {
        "noise": record.noise,
        "level": float(record.level),
        "seed": int(record.seed),
        "elapsed_ms": float(record.elapsed_ms),
    }


def detection_values(record: DetectionRecord) -> Values:
    """Return the row of a detection, less its key and foreign keys.

    Raises:
        ValueError: the score is not finite.
    """
    if not math.isfinite(record.score):
        raise ValueError(f"a detector gave image {record.image_index} the score {record.score}")
    return {
        "attempt_id": record.attempt_id,
        "score": float(record.score),
        "flagged": int(record.flagged),
        "elapsed_ms": float(record.elapsed_ms),
    }


def score_values(record: ScoreRecord) -> Values:
    """Return the row of a score, less its foreign keys; only a finite value is kept.

    Raises:
        ValueError: the value is called finite and is not.
    """
    value = None
    if record.value_kind == "finite":
        if record.value is None or not math.isfinite(record.value):
            raise ValueError(f"{record.metric} is called finite and is {record.value}")
        value = float(record.value)
    return {"value": value, "value_kind": record.value_kind}
