"""Certificates: stored once, read back, and what must not be is found."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from pixguard.records import CertificateRecord
from pixguard.store import maintenance
from pixguard.store.certificates import certificates
from store.store_samples import DATASET, Filled, change, count, model, open_writer

METHOD = "polyphase-vote"


def record(index: int, radius: int = 2, votes: tuple[int, ...] = (9, 0)) -> CertificateRecord:
    return CertificateRecord(index, METHOD, (votes.index(max(votes)),), votes, radius)


def test_a_certificate_is_kept_once_a_model_image_and_method(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        ids = {"model_id": filled.model_id, "image_id": filled.images[2]}
        writer.certificate(record(2, 4), **ids)
        writer.certificate(record(2, 1), **ids)
        writer.flush()
        writer.certificate(record(2, 0), **ids)
        writer.certificate(replace(record(2, 3), method="other"), **ids)
        writer.certificate(record(3, 1, (3, 6)), **{**ids, "image_id": filled.images[3]})
        writer.certificate(record(2, 1), **{**ids, "model_id": filled.denoiser_id})
        writer.flush()
        found = certificates(writer.engine, filled.model_id, METHOD)
    assert found == {2: record(2, 4), 3: record(3, 1, (3, 6))}
    assert count(filled.path, "certificate") == 4
    assert maintenance.check(filled.database) == []


def test_a_certificate_of_a_strange_image_is_found(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        other = writer.dataset(replace(DATASET, name="other"))
        stranger = writer.model(model("f" * 64, METHOD), other)
        writer.certificate(record(0), model_id=stranger, image_id=filled.images[0])
    assert maintenance.check(filled.database) == [
        f"certificate 1 is of an image of another dataset than its model {stranger}"
    ]


def test_a_radius_is_not_negative(filled: Filled) -> None:
    row = f"(1, 1, 1, 1, '{METHOD}', '0', '', -1)"
    with pytest.raises(IntegrityError):
        change(filled.path, f"INSERT INTO certificate VALUES {row}")
