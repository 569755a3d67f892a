"""Reads certificates back."""

import json

from sqlalchemy import Engine, select

from pixguard.records import CertificateRecord, decode_label_set
from pixguard.store.tables import Certificate, Image


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
