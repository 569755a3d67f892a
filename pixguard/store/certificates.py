"""Reads certificates back."""

import json
from typing import TypeVar

from sqlalchemy import Engine, select

from pixguard.records import (
    CertificateRecord,
    PixelMap,
    PixelSample,
    UniversalPixels,
    decode_label_set,
)
from pixguard.store.tables import Certificate, Image

T = TypeVar("T", PixelMap, PixelSample, UniversalPixels)


def certificates(engine: Engine, model_id: int, method: str) -> dict[int, CertificateRecord]:
    """Return dataset index -> a classifier's certificate for the image."""
    query = (
        select(Certificate.__table__, Image.dataset_index)
        .join(Image, Image.id == Certificate.image_id)
        .where(Certificate.model_id == model_id, Certificate.method == method)
    )
    with engine.connect() as connection:
        return {
            row.dataset_index: CertificateRecord(
                image_index=row.dataset_index,
                method=row.method,
                predicted=decode_label_set(row.predicted),
                votes=tuple(json.loads(row.votes)),
                radius=row.radius,
            )
            for row in connection.execute(query)
        }


def of_surveys(engine: Engine, model_id: int, method: str, kind: type[T]) -> dict[int, T]:
    """Return dataset index -> what a survey has kept of the image, of one kind and method."""
    query = (
        select(Certificate.votes, Certificate.predicted, Image.dataset_index)
        .join(Image, Image.id == Certificate.image_id)
        .where(Certificate.model_id == model_id, Certificate.method == method)
    )
    with engine.connect() as connection:
        return {
            index: kind.read(
                json.loads(votes),
                image_index=index,
                method=method,
                predicted=decode_label_set(predicted),
            )
            for votes, predicted, index in connection.execute(query)
        }
