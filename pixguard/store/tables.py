"""The schema as SQLAlchemy models. Migrations in ``migrations/`` create exactly this.

Every table is STRICT on SQLite. Times are INTEGER milliseconds since the epoch (UTC), structured
values are JSON text, booleans are 0 or 1, a label set is its code (see :mod:`pixguard.records`).
Foreign keys never cascade: nothing is deleted behind a researcher's back.
"""

from typing import Any

from sqlalchemy import (
    DOUBLE_PRECISION,
    REAL,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# PostgreSQL's INTEGER ends before a time in milliseconds, and its REAL after 6 digits.
INTEGER_64: TypeEngine[int] = Integer().with_variant(BigInteger(), "postgresql")
REAL_64: TypeEngine[float] = REAL().with_variant(DOUBLE_PRECISION(), "postgresql")


class Base(DeclarativeBase):
    """Declarative base: integers are INTEGER, text is TEXT, floats are REAL."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {int: INTEGER_64, str: Text, float: REAL_64}  # noqa: RUF012 (SQLAlchemy reads it so)


def _strict(*constraints: Any) -> tuple[Any, ...]:
    return (*constraints, {"sqlite_strict": True})


def _reference(table: str, *, index: bool = True) -> Any:
    return mapped_column(ForeignKey(f"{table}.id", ondelete="RESTRICT"), index=index)


class Environment(Base):
    """Where a run happened: versions, hardware, git state."""

    __tablename__ = "environment"
    __table_args__ = _strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    pixguard_version: Mapped[str]
    git_sha: Mapped[str | None]
    git_dirty: Mapped[int | None]
    python_version: Mapped[str]
    torch_version: Mapped[str]
    cuda_version: Mapped[str | None]
    cpu: Mapped[str]
    cpu_threads: Mapped[int]
    memory_mib: Mapped[int]
    gpu: Mapped[str | None]
    driver: Mapped[str | None]
    packages: Mapped[str]


class Run(Base):
    """One command that wrote results. ``heartbeat_ms`` is for display only."""

    __tablename__ = "run"
    __table_args__ = _strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    command: Mapped[str]
    config: Mapped[str]
    config_hash: Mapped[str]
    seed: Mapped[int]
    environment_id: Mapped[int] = _reference("environment")
    host: Mapped[str]
    pid: Mapped[int]
    status: Mapped[str]
    started_ms: Mapped[int]
    heartbeat_ms: Mapped[int]
    finished_ms: Mapped[int | None]
    error: Mapped[str | None]


class Dataset(Base):
    """A set of images, at one size, with one split."""

    __tablename__ = "dataset"
    __table_args__ = _strict(
        UniqueConstraint("name", "source", "size", "version", "split_scheme", "split_seed"),
        CheckConstraint("task IN ('multi-class', 'multi-label')", name="task"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    source: Mapped[str]
    size: Mapped[int]
    version: Mapped[str]
    split_scheme: Mapped[str]
    split_seed: Mapped[int]
    manifest_sha256: Mapped[str]
    task: Mapped[str]
    channels: Mapped[int]
    licence: Mapped[str]
    citation: Mapped[str]
    location: Mapped[str | None]


class DatasetClass(Base):
    """A class; ``code`` is the label set that holds it alone, '' for 'no finding'."""

    __tablename__ = "dataset_class"
    __table_args__ = _strict(
        UniqueConstraint("dataset_id", "ordinal"), UniqueConstraint("dataset_id", "code")
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = _reference("dataset", index=False)
    ordinal: Mapped[int]
    code: Mapped[str]
    name: Mapped[str]
    disease_type: Mapped[str | None]


class Image(Base):
    """One image; ``label_set`` is its true label set's code."""

    __tablename__ = "image"
    __table_args__ = _strict(
        UniqueConstraint("dataset_id", "split", "dataset_index"),
        CheckConstraint("split IN ('train', 'val', 'test')", name="split"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = _reference("dataset", index=False)
    split: Mapped[str]
    dataset_index: Mapped[int]
    sha256: Mapped[str]
    height: Mapped[int]
    width: Mapped[int]
    label_set: Mapped[str]


class Model(Base):
    """A classifier or denoiser; the weights lie in a file beside the database."""

    __tablename__ = "model"
    __table_args__ = _strict(
        CheckConstraint("kind IN ('classifier', 'denoiser', 'detector')", name="kind")
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    architecture: Mapped[str]
    dataset_id: Mapped[int] = _reference("dataset")
    weights_file: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(unique=True)
    run_id: Mapped[int] = _reference("run")
    parameters: Mapped[str]
    hyperparameters: Mapped[str]
    trainable_parameters: Mapped[int]
    frozen_parameters: Mapped[int]
    training_seconds: Mapped[float]
    epochs: Mapped[int]
    train_accuracy: Mapped[float | None]
    created_ms: Mapped[int]


class TrainingEpoch(Base):
    """One epoch of a model's training."""

    __tablename__ = "training_epoch"
    __table_args__ = _strict(UniqueConstraint("model_id", "epoch"))
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = _reference("model", index=False)
    epoch: Mapped[int]
    train_loss: Mapped[float]
    val_loss: Mapped[float | None]
    train_accuracy: Mapped[float | None]
    val_accuracy: Mapped[float | None]
    seconds: Mapped[float]


class Prediction(Base):
    """A classifier's decision on a clean image; ``predicted`` is a label set's code."""

    __tablename__ = "prediction"
    __table_args__ = _strict(UniqueConstraint("model_id", "image_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = _reference("model", index=False)
    image_id: Mapped[int] = _reference("image")
    predicted: Mapped[str]
    confidence: Mapped[float]


class Attack(Base):
    """An attack with all its parameters."""

    __tablename__ = "attack"
    __table_args__ = _strict(UniqueConstraint("name", "version", "pixels", "parameters_hash"))
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    pixels: Mapped[int]
    parameters: Mapped[str]
    parameters_hash: Mapped[str]


class Attempt(Base):
    """One finished attempt; see :class:`pixguard.records.AttemptRecord` for the measures.

    ``target`` is a class ordinal (NULL: non-targeted), ``through_model_id`` the denoiser that the
    classifier stood behind (NULL: none).
    """

    __tablename__ = "attempt"
    __table_args__ = _strict(CheckConstraint("success IN (0, 1)", name="success"))
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_key: Mapped[str] = mapped_column(unique=True)
    attack_id: Mapped[int] = _reference("attack")
    model_id: Mapped[int] = _reference("model")
    image_id: Mapped[int] = _reference("image")
    run_id: Mapped[int] = _reference("run")
    through_model_id: Mapped[int | None] = _reference("model")
    target: Mapped[int | None]
    repeat: Mapped[int]
    seed: Mapped[int]
    success: Mapped[int]
    predicted_before: Mapped[str]
    predicted_after: Mapped[str]
    confidence_before: Mapped[float]
    confidence_after: Mapped[float]
    true_confidence_after: Mapped[float]
    queries: Mapped[int]
    distinct_queries: Mapped[int | None]
    generations: Mapped[int]
    elapsed_ms: Mapped[float]
    evaluator: Mapped[str]
    precision: Mapped[str]


class Pixel(Base):
    """A changed pixel, (row, col) from the top left; colours are JSON lists of uint8."""

    __tablename__ = "pixel"
    __table_args__ = _strict(UniqueConstraint("attempt_id", "ordinal"))
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = _reference("attempt", index=False)
    ordinal: Mapped[int]
    row: Mapped[int]
    col: Mapped[int]
    before: Mapped[str]
    after: Mapped[str]


class Failure(Base):
    """An attempt that raised; append-only, the attempt itself stays to be done."""

    __tablename__ = "failure"
    __table_args__ = _strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = _reference("run")
    attempt_key: Mapped[str] = mapped_column(index=True)
    error_type: Mapped[str]
    message: Mapped[str]
    at_ms: Mapped[int]


class Restoration(Base):
    """A denoiser's output as the classifier sees it.

    ``attempt_id`` NULL means the clean image itself was denoised (what the denoiser costs); then
    ``restoration_key`` keeps the row unique, which a NULL in a unique constraint would not.
    """

    __tablename__ = "restoration"
    __table_args__ = _strict(CheckConstraint("recovered IN (0, 1)", name="recovered"))
    id: Mapped[int] = mapped_column(primary_key=True)
    restoration_key: Mapped[str] = mapped_column(unique=True)
    attempt_id: Mapped[int | None] = _reference("attempt")
    image_id: Mapped[int] = _reference("image")
    classifier_id: Mapped[int] = _reference("model")
    denoiser_id: Mapped[int] = _reference("model")
    run_id: Mapped[int] = _reference("run")
    predicted: Mapped[str]
    confidence: Mapped[float]
    recovered: Mapped[int]
    elapsed_ms: Mapped[float]


class Metric(Base):
    """A metric; ``parameters`` states the data range and the constants that it was taken with."""

    __tablename__ = "metric"
    __table_args__ = _strict(UniqueConstraint("name", "version"))
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    parameters: Mapped[str]


class Score(Base):
    """The value of a metric on a restoration against its clean image."""

    __tablename__ = "score"
    __table_args__ = _strict(
        UniqueConstraint("restoration_id", "metric_id"),
        CheckConstraint("value_kind IN ('finite', 'inf', 'nan')", name="value_kind"),
        CheckConstraint("(value_kind = 'finite') = (value IS NOT NULL)", name="value"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    restoration_id: Mapped[int] = _reference("restoration", index=False)
    metric_id: Mapped[int] = _reference("metric")
    value: Mapped[float | None]
    value_kind: Mapped[str]


class Denoising(Base):
    """A noisy image restored by a denoiser: no attack, no classifier.

    ``noise`` names the kind of noise, ``level`` is its strength; the noise itself depends on them,
    ``seed`` and the image's index alone.
    """

    __tablename__ = "denoising"
    __table_args__ = _strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    denoising_key: Mapped[str] = mapped_column(unique=True)
    denoiser_id: Mapped[int] = _reference("model")
    image_id: Mapped[int] = _reference("image")
    noise: Mapped[str]
    level: Mapped[float]
    seed: Mapped[int]
    run_id: Mapped[int] = _reference("run")
    elapsed_ms: Mapped[float]


class DenoisingScore(Base):
    """The value of a metric on a denoising against its clean image."""

    __tablename__ = "denoising_score"
    __table_args__ = _strict(
        UniqueConstraint("denoising_id", "metric_id"),
        CheckConstraint("value_kind IN ('finite', 'inf', 'nan')", name="value_kind"),
        CheckConstraint("(value_kind = 'finite') = (value IS NOT NULL)", name="value"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    denoising_id: Mapped[int] = _reference("denoising", index=False)
    metric_id: Mapped[int] = _reference("metric")
    value: Mapped[float | None]
    value_kind: Mapped[str]
