"""Finished results that wait for their commit: one transaction and one INSERT a table for all.

One commit an attempt would hold a fast attack back; 64 attempts or 2 seconds cost nothing, and
are the most that a power cut can take.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import InstrumentedAttribute

from pixguard.records import (
    AnyCertificate,
    AttemptRecord,
    DenoisingRecord,
    DetectionRecord,
    RestorationRecord,
    digest,
)
from pixguard.store.registry import insert_new
from pixguard.store.rows import (
    Values,
    attempt_values,
    certificate_values,
    denoising_values,
    detection_values,
    pixel_values,
    restoration_values,
    score_values,
    whole_values,
)
from pixguard.store.tables import (
    Attempt,
    Certificate,
    Dataset,
    Denoising,
    DenoisingScore,
    Detection,
    Failure,
    Image,
    Model,
    Pixel,
    Restoration,
    Score,
    WholeImage,
)


@dataclass(slots=True)
class Buffer:
    """Rows by table; attempts by key, so that the first of equal keys is the one that is kept."""

    run_id: int
    attempts: dict[str, tuple[Values, AttemptRecord]] = field(default_factory=dict)
    restorations: list[Values] = field(default_factory=list)
    scores: list[Values] = field(default_factory=list)
    failures: list[Values] = field(default_factory=list)
    denoisings: list[tuple[Values, list[Values]]] = field(default_factory=list)
    certificates: list[Values] = field(default_factory=list)
    detections: list[Values] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self._parts()))

    def _parts(self) -> tuple[dict[str, Any] | list[Any], ...]:
        return (
            self.attempts,
            self.restorations,
            self.scores,
            self.failures,
            self.denoisings,
            self.certificates,
            self.detections,
        )

    def add_attempt(self, record: AttemptRecord, **references: int | None) -> None:
        """Add an attempt, with its foreign keys by column name."""
        values = {**attempt_values(record), **references, "run_id": self.run_id}
        self.attempts.setdefault(record.attempt_key, (values, record))

    def add_restoration(self, record: RestorationRecord, **references: int) -> None:
        """Add a restoration, with its foreign keys by column name."""
        self.restorations.append(
            {**restoration_values(record), **references, "run_id": self.run_id}
        )

    def add_denoising(
        self, record: DenoisingRecord, metric_ids: Mapping[str, int], **references: int
    ) -> None:
        """Add a denoising with its scores, with its foreign keys by column name."""
        values = {**denoising_values(record), **references, "run_id": self.run_id}
        scores = [
            {"metric_id": metric_ids[score.metric], **score_values(score)}
            for score in record.scores
        ]
        self.denoisings.append((values, scores))

    def add_certificate(self, record: AnyCertificate, **references: int) -> None:
        """Add a certificate, with its foreign keys by column name."""
        self.certificates.append(
            {**certificate_values(record), **references, "run_id": self.run_id}
        )

    def add_detection(self, record: DetectionRecord, **references: int) -> None:
        """Add a detection, with its foreign keys by column name."""
        self.detections.append({**detection_values(record), **references, "run_id": self.run_id})

    def write(self, connection: Connection) -> None:
        """Insert everything inside the caller's transaction; what is there already stays."""
        if self.attempts:
            self._write_attempts(connection)
        if self.restorations:
            models = ("classifier_id", "denoiser_id")
            keys = image_keys(connection, self.restorations, models)
            rows = [
                {**row, "restoration_key": key}
                for row, key in zip(self.restorations, keys, strict=True)
            ]
            connection.execute(insert_new(connection, Restoration), rows)
        if self.scores:
            connection.execute(insert_new(connection, Score), self.scores)
        if self.failures:
            connection.execute(insert(Failure), self.failures)
        if self.denoisings:
            self._write_denoisings(connection)
        if self.certificates:
            connection.execute(insert_new(connection, Certificate), self.certificates)
        if self.detections:
            keys = image_keys(connection, self.detections, ("detector_id",))
            rows = [
                {**row, "detection_key": key}
                for row, key in zip(self.detections, keys, strict=True)
            ]
            connection.execute(insert_new(connection, Detection), rows)

    def _write_attempts(self, connection: Connection) -> None:
        statement = insert_new(connection, Attempt).returning(Attempt.id, Attempt.attempt_key)
        inserted = connection.execute(statement, [values for values, _ in self.attempts.values()])
        pixels, wholes = list[Values](), list[Values]()
        for attempt_id, key in inserted.all():
            record = self.attempts[key][1]
            pixels += pixel_values(record.pixels, attempt_id)
            if record.whole is not None:
                wholes.append(whole_values(record.whole, attempt_id))
        for table, rows in ((Pixel, pixels), (WholeImage, wholes)):
            if rows:
                connection.execute(insert(table), rows)

    def _write_denoisings(self, connection: Connection) -> None:
        keys = denoising_keys(connection, [values for values, _ in self.denoisings])
        rows = [
            {**values, "denoising_key": key}
            for key, (values, _) in zip(keys, self.denoisings, strict=True)
        ]
        connection.execute(insert_new(connection, Denoising), rows)
        # One that is there already may lack a score: a metric can be younger than it.
        found = select(Denoising.denoising_key, Denoising.id).where(
            Denoising.denoising_key.in_(keys)
        )
        ids = {key: denoising_id for key, denoising_id in connection.execute(found)}
        scores = [
            {"denoising_id": ids[key], **score}
            for key, (_, own) in zip(keys, self.denoisings, strict=True)
            for score in own
        ]
        if scores:
            connection.execute(insert_new(connection, DenoisingScore), scores)

    def clear(self) -> None:
        """Forget everything: it is committed."""
        for rows in self._parts():
            rows.clear()


def image_keys(connection: Connection, rows: Sequence[Values], models: Sequence[str]) -> list[str]:
    """Return the key of each row: which image, of an attempt or clean, went through which models.

    ``models`` are the columns that refer to them. Made of digests, not of row ids, so that the
    same restoration or detection has the same key in every database.
    """
    model_ids = {row[name] for row in rows for name in models}
    weights = _by_id(connection, Model.id, Model.weights_sha256, model_ids)
    attempt_ids = {row["attempt_id"] for row in rows} - {None}
    attempts = _by_id(connection, Attempt.id, Attempt.attempt_key, attempt_ids)
    images = _images(connection, {row["image_id"] for row in rows if row["attempt_id"] is None})

    def image(row: Values) -> str | list[object]:
        clean = row["attempt_id"] is None
        return images[row["image_id"]] if clean else attempts[row["attempt_id"]]

    return [digest([*(weights[row[name]] for name in models), image(row)]) for row in rows]


def denoising_keys(connection: Connection, rows: Sequence[Values]) -> list[str]:
    """Return the key of each denoising: which noisy image was restored, and by which denoiser."""
    weights = _by_id(
        connection, Model.id, Model.weights_sha256, {row["denoiser_id"] for row in rows}
    )
    images = _images(connection, {row["image_id"] for row in rows})
    return [
        digest(
            [
                weights[row["denoiser_id"]],
                images[row["image_id"]],
                *(row[name] for name in ("noise", "level", "seed")),
            ]
        )
        for row in rows
    ]


def _images(connection: Connection, ids: Iterable[int]) -> dict[int, list[object]]:
    """Return image id -> what identifies the image in every database."""
    query = (
        select(
            Image.id,
            Dataset.name,
            Dataset.source,
            Dataset.size,
            Dataset.version,
            Dataset.split_scheme,
            Dataset.split_seed,
            Image.split,
            Image.dataset_index,
        )
        .join(Dataset, Dataset.id == Image.dataset_id)
        .where(Image.id.in_(ids))
    )
    return {identity[0]: list(identity[1:]) for identity in connection.execute(query)}


def _by_id(
    connection: Connection,
    id_: InstrumentedAttribute[int],
    text: InstrumentedAttribute[str],
    ids: Iterable[int],
) -> dict[int, str]:
    """Return id -> text for the rows with these ids."""
    return {row[0]: row[1] for row in connection.execute(select(id_, text).where(id_.in_(ids)))}
