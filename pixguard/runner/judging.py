"""The classifier's decisions on the clean test images: who is attacked, and Tables 12 to 16."""

from sqlalchemy import Engine

from pixguard.classifiers.evaluation import predict
from pixguard.datasets.overview import content
from pixguard.records import PredictionRecord
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.writer import Writer

CHUNK = 256
"""Images read, judged and committed at a time, so that memory does not grow with the dataset."""


def judge_test_images(
    session: Session, writer: Writer, subject: Subject, again: str
) -> dict[int, PredictionRecord]:
    """Register the test images and the decisions on them; return the decisions by index.

    Every image is read and compared with its registered fingerprint; decisions that the database
    holds are kept. ``again`` is the command that goes on after a stop.

    Raises:
        DataError: an image has changed since it was registered.
        InterruptedRunError: a stop was requested; the finished chunks are committed.
    """
    dataset, model_id = subject.dataset, subject.model.id
    known = reader.predictions(writer.engine, model_id, subject.dataset_id)
    indices = dataset.indices("test").tolist()
    writer.content(subject.dataset_id, content(dataset))
    for chunk, _ in in_chunks(
        session,
        "checking the test images",
        cut(indices, CHUNK),
        len(indices),
        kept="the decisions made so far are committed",
        again=again,
    ):
        writer.images(subject.dataset_id, dataset.records(chunk))
        missing = [i for i in chunk if i not in known]
        records = predict(subject.classifier, dataset, missing, device=session.device)
        writer.predictions(model_id, subject.dataset_id, records)
        known.update({record.image_index: record for record in records})
    return known


def judged(session: Session, engine: Engine, subject: Subject) -> dict[int, PredictionRecord]:
    """Return the decisions on the test images without writing the missing ones."""
    known = reader.predictions(engine, subject.model.id, subject.dataset_id)
    missing = [i for i in subject.dataset.indices("test").tolist() if i not in known]
    records = predict(subject.classifier, subject.dataset, missing, device=session.device)
    return known | {record.image_index: record for record in records}
