"""What a database holds as plain tables, for programs that do not speak SQL."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Float, Integer, Select, case, select
from sqlalchemy.orm import aliased

from pixguard.store import tables as t
from pixguard.store.outcomes import OUT_OF_ORDER

ROWS_A_TIME = 10_000
Kind = Literal["integer", "number", "text"]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an export."""

    name: str
    kind: Kind
    may_be_null: bool


@dataclass(frozen=True, slots=True)
class Export:
    """One table of an export: what a row is, and the query of its rows in a fixed order."""

    name: str
    about: str
    query: Select[Any]

    @property
    def columns(self) -> list[ExportColumn]:
        """Its columns, in order."""
        return [
            ExportColumn(
                column.name,
                _kind(column),
                getattr(getattr(column, "element", column), "nullable", True),
            )
            for column in self.query.selected_columns
        ]

    def rows(self, connection: Connection) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows, some thousand at a time."""
        found = connection.execution_options(yield_per=ROWS_A_TIME).execute(self.query)
        for part in found.partitions():
            yield [tuple(row) for row in part]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one state of the database, however long it reads."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":  # there a transaction that reads is one already
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@cache
def exports() -> Mapping[str, Export]:
    """Return every table by name."""
    through = aliased(t.Model)
    image = (t.Image.dataset_id, t.Image.dataset_index, t.Image.label_set)
    attempts = (
        _select(
            t.Attempt.id.label("attempt_id"),
            t.Attempt.attempt_key,
            t.Dataset.name.label("dataset"),
            t.Dataset.source,
            t.Dataset.size,
            t.Image.split,
            *image,
            t.Image.sha256.label("image_sha256"),
            t.Attempt.image_id,
            t.Attempt.model_id.label("classifier_id"),
            t.Model.architecture.label("classifier"),
            t.Attempt.attack_id,
            t.Attack.name.label("attack"),
            t.Attack.pixels,
            t.Attempt.seed,
            t.Attempt.repeat,
            t.Attempt.target,
            t.Attempt.through_model_id.label("through_id"),
            case((through.kind == "detector", "detector "), else_="")
            .concat(through.architecture)
            .label("through"),
            case((t.Attempt.id.not_in(OUT_OF_ORDER), 1), else_=0).label("is_sampled"),
            t.Attempt.success,
            t.Attempt.predicted_before,
            t.Attempt.predicted_after,
            t.Attempt.confidence_before,
            t.Attempt.confidence_after,
            t.Attempt.true_confidence_after,
            t.Attempt.queries,
            t.Attempt.distinct_queries,
            t.Attempt.generations,
            t.Attempt.elapsed_ms,
            t.Attempt.evaluator,
            t.Attempt.precision,
            t.Attempt.run_id,
        )
        .join(t.Image, t.Image.id == t.Attempt.image_id)
        .join(t.Dataset, t.Dataset.id == t.Image.dataset_id)
        .join(t.Model, t.Model.id == t.Attempt.model_id)
        .join(t.Attack, t.Attack.id == t.Attempt.attack_id)
        .outerjoin(through, through.id == t.Attempt.through_model_id)
        .order_by(t.Attempt.id)
    )
    found = (
        Export(
            "attempts",
            "Every finished attempt. A rate is over those with is_sampled = 1, of one attack, seed "
            "and classifier, and of one target, through and repeat.",
            attempts,
        ),
        Export(
            "pixels",
            "The changed pixels of attempts, (row, col) from the top left, with their colours.",
            _all(t.Pixel, "id").order_by(t.Pixel.attempt_id, t.Pixel.ordinal),
        ),
        Export(
            "whole_images",
            "How far the images of dense attacks lie from the clean ones: the largest change in "
            "steps of 8 bits, and the Euclidean length of all, of values in [0, 1].",
            _all(t.WholeImage, "id", "png").order_by(t.WholeImage.attempt_id),
        ),
        Export(
            "restorations",
            "What a denoiser made of an attacked image; where attempt_id is empty, of a clean one.",
            _select(
                t.Restoration.id.label("restoration_id"),
                t.Restoration.attempt_id,
                t.Restoration.image_id,
                *image,
                t.Restoration.classifier_id,
                t.Restoration.denoiser_id,
                t.Model.architecture.label("denoiser"),
                t.Restoration.predicted,
                t.Restoration.confidence,
                t.Restoration.recovered,
                t.Restoration.elapsed_ms,
                t.Restoration.run_id,
            )
            .join(t.Image, t.Image.id == t.Restoration.image_id)
            .join(t.Model, t.Model.id == t.Restoration.denoiser_id)
            .order_by(t.Restoration.id),
        ),
        Export(
            "scores",
            "How good restorations are. An infinite PSNR (nothing differs) is empty, and its "
            "value_kind inf.",
            _select(
                t.Score.restoration_id,
                t.Metric.name.label("metric"),
                t.Metric.version,
                t.Score.value,
                t.Score.value_kind,
            )
            .join(t.Metric, t.Metric.id == t.Score.metric_id)
            .order_by(t.Score.id),
        ),
        Export(
            "detections",
            "Scores of detectors; where attempt_id is empty, of clean images.",
            _all(t.Detection, "id", "detection_key").order_by(t.Detection.id),
        ),
        Export(
            "certificates",
            "Decisions on clean images, and up to how many changed pixels each is certain.",
            _all(t.Certificate, "id").order_by(t.Certificate.id),
        ),
        Export(
            "predictions",
            "What classifiers say of clean images.",
            _select(
                t.Prediction.model_id.label("classifier_id"),
                t.Prediction.image_id,
                t.Image.split,
                *image,
                t.Prediction.predicted,
                t.Prediction.confidence,
            )
            .join(t.Image, t.Image.id == t.Prediction.image_id)
            .order_by(t.Prediction.id),
        ),
        Export(
            "datasets",
            "Where images come from, with licence and citation.",
            # Not where the files lie: it says whose computer this is.
            _all(t.Dataset, "location").order_by(t.Dataset.id),
        ),
        Export(
            "classes",
            "Classes; label sets name them by their codes, joined by commas.",
            _all(t.DatasetClass, "id").order_by(t.DatasetClass.dataset_id, t.DatasetClass.ordinal),
        ),
        Export(
            "models",
            "Classifiers, denoisers and detectors.",
            _all(t.Model, "hyperparameters", "weights_file").order_by(t.Model.id),
        ),
        Export(
            "attacks",
            "Attacks with all their parameters.",
            _all(t.Attack, "parameters_hash").order_by(t.Attack.id),
        ),
    )
    return {one.name: one for one in found}


def _select(*columns: Any) -> Select[Any]:
    return select(*columns)


def _all(table: type[t.Base], *left_out: str) -> Select[Any]:
    return _select(*(c for c in table.__table__.columns if c.name not in left_out))


def _kind(column: Any) -> Kind:
    if isinstance(column.type, Integer):
        return "integer"
    return "number" if isinstance(column.type, Float) else "text"
