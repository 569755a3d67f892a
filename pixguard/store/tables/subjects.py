"""What is attacked and what defends it: datasets, images, models and their training."""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Dataset(Base):
    """A set of images, at one size, with one split; of size 0, each image has its own."""

    __tablename__ = "dataset"
    __table_args__ = strict(
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
    __table_args__ = strict(
        UniqueConstraint("dataset_id", "ordinal"), UniqueConstraint("dataset_id", "code")
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = reference("dataset", index=False)
    ordinal: Mapped[int]
    code: Mapped[str]
    name: Mapped[str]
    disease_type: Mapped[str | None]


class DatasetContent(Base):
    """What the files of a dataset are: modality, and the range of their sides in pixels."""

    __tablename__ = "dataset_content"
    __table_args__ = strict(UniqueConstraint("dataset_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = reference("dataset", index=False)
    modality: Mapped[str | None]
    least_height: Mapped[int]
    greatest_height: Mapped[int]
    least_width: Mapped[int]
    greatest_width: Mapped[int]


class DatasetCount(Base):
    """How many images of a split have a label set; of all images, registered or not."""

    __tablename__ = "dataset_count"
    __table_args__ = strict(
        UniqueConstraint("dataset_id", "split", "label_set"),
        CheckConstraint("split IN ('train', 'val', 'test')", name="split"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = reference("dataset", index=False)
    split: Mapped[str]
    label_set: Mapped[str]
    images: Mapped[int]


class Image(Base):
    """One image; ``label_set`` is its true label set's code."""

    __tablename__ = "image"
    __table_args__ = strict(
        UniqueConstraint("dataset_id", "split", "dataset_index"),
        CheckConstraint("split IN ('train', 'val', 'test')", name="split"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = reference("dataset", index=False)
    split: Mapped[str]
    dataset_index: Mapped[int]
    sha256: Mapped[str]
    height: Mapped[int]
    width: Mapped[int]
    label_set: Mapped[str]


class Model(Base):
    """A classifier, denoiser or detector; the weights lie in a file beside the database.

    ``name`` is the user's, for a classifier of their own.
    """

    __tablename__ = "model"
    __table_args__ = strict(
        CheckConstraint("kind IN ('classifier', 'denoiser', 'detector')", name="kind")
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    architecture: Mapped[str]
    dataset_id: Mapped[int] = reference("dataset")
    weights_file: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(unique=True)
    run_id: Mapped[int] = reference("run")
    parameters: Mapped[str]
    hyperparameters: Mapped[str]
    trainable_parameters: Mapped[int]
    frozen_parameters: Mapped[int]
    training_seconds: Mapped[float]
    epochs: Mapped[int]
    train_accuracy: Mapped[float | None]
    created_ms: Mapped[int]
    name: Mapped[str | None]


class TrainingEpoch(Base):
    """One epoch of a model's training."""

    __tablename__ = "training_epoch"
    __table_args__ = strict(UniqueConstraint("model_id", "epoch"))
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = reference("model", index=False)
    epoch: Mapped[int]
    train_loss: Mapped[float]
    val_loss: Mapped[float | None]
    train_accuracy: Mapped[float | None]
    val_accuracy: Mapped[float | None]
    seconds: Mapped[float]


class Prediction(Base):
    """A classifier's decision on a clean image; ``predicted`` is a label set's code."""

    __tablename__ = "prediction"
    __table_args__ = strict(UniqueConstraint("model_id", "image_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = reference("model", index=False)
    image_id: Mapped[int] = reference("image")
    predicted: Mapped[str]
    confidence: Mapped[float]
