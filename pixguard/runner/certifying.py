"""Writes down how many changed pixels the decisions of a certified classifier withstand."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pixguard.datasets.base import ImageDataset
from pixguard.defences.certificates.registry import CERTIFICATES
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.records import CONFIDENCE, CertificateRecord, digest
from pixguard.registry import load_target
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.shards import Shard
from pixguard.store.certificates import certificates
from pixguard.store.writer import Writer
from pixguard.words import shell_word

CHUNK = 64
"""Images certified between two commits, and two looks at the stop signal."""
REPORTED = range(9)
"""Numbers of changed pixels that are counted at the end."""


def certify(
    session: Session, subject: Subject, limit: int | None, shard: str | None = None
) -> dict[str, Any]:
    """Certify test images that the database holds no certificate of yet.

    Args:
        session: where, and who watches.
        subject: a certified classifier.
        limit: at most that many images, drawn without a look at them or their classes; a larger
            limit contains a smaller one. None: all test images.
        shard: of these, the part that is certified here, such as ``3/16``; None: all.

    Returns:
        What ``pixguard certify apply --json`` prints, over all images that were asked for.

    Raises:
        UsageError: the classifier has no certificates to give, or there are no test images.
        DataError: an image has changed since it was registered.
        InterruptedRunError: a stop was requested; the finished certificates are committed.
    """
    info, model = subject.dataset.info, subject.model
    method = model.record.architecture
    if method not in CERTIFICATES:
        raise UsageError(
            f"classifier {model.id} ({method}) gives no certificates: nothing is certain about it",
            f"pixguard certify mask --dataset {shell_word(info.name)} --model {model.id}",
        )
    test = subject.dataset.indices("test")
    if not len(test):
        raise UsageError(f"{info.name!r} has no test images", "`split=paper` when it is trained")
    wanted = np.random.default_rng(0).permutation(test)[:limit].tolist()
    if shard is not None:
        part = Shard.parse(shard)
        wanted = [index for index in wanted if part.holds(digest(index))]
        if not wanted:
            raise UsageError(f"no image is of part {shard}", "fewer parts: `shard=1/2`")
    started = time.monotonic()
    is_statistical = CERTIFICATES[method].is_statistical
    with session.writer({"limit": limit}, seed=0) as writer:
        found = certificates(writer.engine, model.id, method)
        todo = [index for index in wanted if index not in found]
        done = certain = 0
        for chunk, note in in_chunks(
            session,
            "certifying",
            cut(todo, CHUNK),
            len(todo),
            kept="the finished certificates are committed",
            writer=writer,
        ):
            made = _certify(session, writer, subject, chunk)
            found.update({record.image_index: record for record in made})
            done += len(made)
            certain += sum(record.radius > 0 for record in made)
            note(f"{100 * certain / done:.1f} % certain at 1 pixel")
    seconds = time.monotonic() - started
    return {
        "run": writer.run_id,
        "dataset": info.name,
        "source": info.source,
        "size": info.size,
        "classifier": model.id,
        "found": len(wanted) - len(todo),
        "made": len(todo),
        **_summary(subject.dataset, [found[index] for index in wanted]),
        "confidence": CONFIDENCE if is_statistical else 1.0,
        "seconds": round(seconds, 1),
        "images_per_second": round(len(todo) / seconds, 2) if todo else None,
    }


def _certify(
    session: Session, writer: Writer, subject: Subject, indices: Sequence[int]
) -> list[CertificateRecord]:
    """Certify and store a chunk, one image at a time as attacks are judged."""
    dataset = subject.dataset
    ids = writer.images(subject.dataset_id, dataset.records(indices))
    entry, records = CERTIFICATES[subject.model.record.architecture], []
    certify_image = load_target(entry.certifier)
    for index, image in zip(indices, dataset.images(indices), strict=True):
        found = certify_image(subject.classifier, to_unit_range(image[None], session.device))
        record = CertificateRecord(index, entry.name, *found)
        writer.certificate(record, model_id=subject.model.id, image_id=ids[index])
        records.append(record)
    return records


def _summary(dataset: ImageDataset, records: Sequence[CertificateRecord]) -> dict[str, Any]:
    right = [r for r in records if r.predicted == dataset.label_set(r.image_index)]
    return {
        "images": len(records),
        "right": len(right),
        "right_and_certain": [
            {"pixels": pixels, "images": sum(r.radius >= pixels for r in right)}
            for pixels in REPORTED
        ],
        "median_radius": statistics.median(r.radius for r in records),
    }
