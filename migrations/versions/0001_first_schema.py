"""The first schema.

A migration is a frozen record: it names everything itself and imports nothing of pixguard. There
is no way down: ``pixguard db upgrade`` leaves a backup, and nothing deletes results.

Revision ID: 0001
Revises:
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
REAL = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text()


def _columns(kind: TypeEngine[object], *names: str) -> Iterator[sa.Column[object]]:
    """Yield columns of one type; a name that ends in ``?`` may be NULL."""
    for name in names:
        yield sa.Column(name.rstrip("?"), kind, nullable=name.endswith("?"))


def _integer(*names: str) -> Iterator[sa.Column[object]]:
    return _columns(INTEGER, *names)


def _real(*names: str) -> Iterator[sa.Column[object]]:
    return _columns(REAL, *names)


def _text(*names: str) -> Iterator[sa.Column[object]]:
    return _columns(TEXT, *names)


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="RESTRICT")


def _create(table: str, *items: SchemaItem, indexes: tuple[str, ...] = ()) -> None:
    primary = sa.PrimaryKeyConstraint("id", name=f"pk_{table}")
    op.create_table(table, *_integer("id"), *items, primary, sqlite_strict=True)
    for column in indexes:
        op.create_index(f"ix_{table}_{column}", table, [column])


def upgrade() -> None:
    _provenance()
    _datasets()
    _models()
    _attacks()
    _defences()


def _provenance() -> None:
    _create(
        "environment",
        *_text("fingerprint", "pixguard_version", "git_sha?"),
        *_integer("git_dirty?"),
        *_text("python_version", "torch_version", "cuda_version?", "cpu"),
        *_integer("cpu_threads", "memory_mib"),
        *_text("gpu?", "driver?", "packages"),
        _unique("environment", "fingerprint"),
    )
    _create(
        "run",
        *_text("uuid", "command", "config", "config_hash"),
        *_integer("seed", "environment_id"),
        *_text("host"),
        *_integer("pid"),
        *_text("status"),
        *_integer("started_ms", "heartbeat_ms", "finished_ms?"),
        *_text("error?"),
        _unique("run", "uuid"),
        _foreign_key("run", "environment_id", "environment"),
        indexes=("environment_id",),
    )
    _create(
        "failure",
        *_integer("run_id"),
        *_text("attempt_key", "error_type", "message"),
        *_integer("at_ms"),
        _foreign_key("failure", "run_id", "run"),
        indexes=("run_id", "attempt_key"),
    )


def _datasets() -> None:
    _create(
        "dataset",
        *_text("name", "source"),
        *_integer("size"),
        *_text("version", "split_scheme"),
        *_integer("split_seed"),
        *_text("manifest_sha256", "task"),
        *_integer("channels"),
        *_text("licence", "citation", "location?"),
        _unique("dataset", "name", "source", "size", "version", "split_scheme", "split_seed"),
        _check("dataset", "task", "task IN ('multi-class', 'multi-label')"),
    )
    _create(
        "dataset_class",
        *_integer("dataset_id", "ordinal"),
        *_text("code", "name", "disease_type?"),
        _unique("dataset_class", "dataset_id", "ordinal"),
        _unique("dataset_class", "dataset_id", "code"),
        _foreign_key("dataset_class", "dataset_id", "dataset"),
    )
    _create(
        "image",
        *_integer("dataset_id"),
        *_text("split"),
        *_integer("dataset_index"),
        *_text("sha256"),
        *_integer("height", "width"),
        *_text("label_set"),
        _unique("image", "dataset_id", "split", "dataset_index"),
        _check("image", "split", "split IN ('train', 'val', 'test')"),
        _foreign_key("image", "dataset_id", "dataset"),
    )


def _models() -> None:
    _create(
        "model",
        *_text("kind", "architecture"),
        *_integer("dataset_id"),
        *_text("weights_file", "weights_sha256"),
        *_integer("run_id"),
        *_text("parameters", "hyperparameters"),
        *_integer("trainable_parameters", "frozen_parameters"),
        *_real("training_seconds"),
        *_integer("epochs"),
        *_real("train_accuracy?"),
        *_integer("created_ms"),
        _check("model", "kind", "kind IN ('classifier', 'denoiser', 'detector')"),
        _foreign_key("model", "dataset_id", "dataset"),
        _unique("model", "weights_sha256"),
        _foreign_key("model", "run_id", "run"),
        indexes=("dataset_id", "run_id"),
    )
    _create(
        "training_epoch",
        *_integer("model_id", "epoch"),
        *_real("train_loss", "val_loss?", "train_accuracy?", "val_accuracy?", "seconds"),
        _unique("training_epoch", "model_id", "epoch"),
        _foreign_key("training_epoch", "model_id", "model"),
    )
    _create(
        "prediction",
        *_integer("model_id", "image_id"),
        *_text("predicted"),
        *_real("confidence"),
        _unique("prediction", "model_id", "image_id"),
        _foreign_key("prediction", "model_id", "model"),
        _foreign_key("prediction", "image_id", "image"),
        indexes=("image_id",),
    )


def _attacks() -> None:
    _create(
        "attack",
        *_text("name"),
        *_integer("version", "pixels"),
        *_text("parameters", "parameters_hash"),
        _unique("attack", "name", "version", "pixels", "parameters_hash"),
    )
    _create(
        "attempt",
        *_text("attempt_key"),
        *_integer(
            "attack_id",
            "model_id",
            "image_id",
            "run_id",
            "through_model_id?",
            "target?",
            "repeat",
            "seed",
            "success",
        ),
        *_text("predicted_before", "predicted_after"),
        *_real("confidence_before", "confidence_after", "true_confidence_after"),
        *_integer("queries", "distinct_queries?", "generations"),
        *_real("elapsed_ms"),
        *_text("evaluator", "precision"),
        _check("attempt", "success", "success IN (0, 1)"),
        _unique("attempt", "attempt_key"),
        _foreign_key("attempt", "attack_id", "attack"),
        _foreign_key("attempt", "model_id", "model"),
        _foreign_key("attempt", "image_id", "image"),
        _foreign_key("attempt", "run_id", "run"),
        _foreign_key("attempt", "through_model_id", "model"),
        indexes=("attack_id", "model_id", "image_id", "run_id", "through_model_id"),
    )
    _create(
        "pixel",
        *_integer("attempt_id", "ordinal", "row", "col"),
        *_text("before", "after"),
        _unique("pixel", "attempt_id", "ordinal"),
        _foreign_key("pixel", "attempt_id", "attempt"),
    )


def _defences() -> None:
    _create(
        "restoration",
        *_text("restoration_key"),
        *_integer("attempt_id?", "image_id", "classifier_id", "denoiser_id", "run_id"),
        *_text("predicted"),
        *_real("confidence"),
        *_integer("recovered"),
        *_real("elapsed_ms"),
        _check("restoration", "recovered", "recovered IN (0, 1)"),
        _unique("restoration", "restoration_key"),
        _foreign_key("restoration", "attempt_id", "attempt"),
        _foreign_key("restoration", "image_id", "image"),
        _foreign_key("restoration", "classifier_id", "model"),
        _foreign_key("restoration", "denoiser_id", "model"),
        _foreign_key("restoration", "run_id", "run"),
        indexes=("attempt_id", "image_id", "classifier_id", "denoiser_id", "run_id"),
    )
    _create(
        "metric",
        *_text("name"),
        *_integer("version"),
        *_text("parameters"),
        _unique("metric", "name", "version"),
    )
    _create(
        "score",
        *_integer("restoration_id", "metric_id"),
        *_real("value?"),
        *_text("value_kind"),
        _unique("score", "restoration_id", "metric_id"),
        _check("score", "value_kind", "value_kind IN ('finite', 'inf', 'nan')"),
        _check("score", "value", "(value_kind = 'finite') = (value IS NOT NULL)"),
        _foreign_key("score", "restoration_id", "restoration"),
        _foreign_key("score", "metric_id", "metric"),
        indexes=("metric_id",),
    )
