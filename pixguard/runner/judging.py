"""The classifier's decisions on the clean test images: who is attacked, and Tables 12 to 16."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from sqlalchemy import Engine

from pixguard.classifiers.evaluation import predict
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.overview import content
from pixguard.records import LabelSet, PredictionRecord
from pixguard.runner.chunks import cut, in_chunks, mixed
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader
from pixguard.store.writer import Writer

CHUNK = 256
"""Images read, judged and committed at a time, so that memory does not grow with the dataset."""


LEAST_JUDGED = 10
"""Test images below which nothing is said of an accuracy."""
CLEAR = 0.8
"""Share of right decisions from which another order of classes is believed."""


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
    # In an order drawn at random: what an interruption leaves is a sample, not the first classes.
    indices = mixed(dataset.indices("test").tolist())
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
    return dict(sorted(known.items()))


def judged(session: Session, engine: Engine, subject: Subject) -> dict[int, PredictionRecord]:
    """Return the decisions on the test images without writing the missing ones."""
    known = reader.predictions(engine, subject.model.id, subject.dataset_id)
    missing = [i for i in subject.dataset.indices("test").tolist() if i not in known]
    records = predict(subject.classifier, subject.dataset, missing, device=session.device)
    return known | {record.image_index: record for record in records}


def doubt(dataset: ImageDataset, predictions: Mapping[int, PredictionRecord]) -> str | None:
    """Return what is wrong with a classifier that is no better than its most common answer.

    Args:
        dataset: its images.
        predictions: its decisions on the test images, by index.

    Returns:
        A sentence with the likely causes, or None.
    """
    truths = {i: dataset.label_set(i) for i in dataset.indices("test").tolist()}
    most, count = Counter(truths.values()).most_common(1)[0]
    right = sum(predictions[i].predicted == truth for i, truth in truths.items())
    if right > count or len(truths) < LEAST_JUDGED:
        return None
    names: dict[LabelSet, str] = {(c.ordinal,): c.name for c in dataset.info.classes}
    text = (
        f"it is right on {right} of {len(truths)} test images, no better than always answering "
        f"{names.get(most, 'the most common labels')} ({count})"
    )
    order = _other_order(dataset, truths, predictions)
    if order:
        return f"{text}: its classes seem to stand in another order, {order}"
    return (
        f"{text}: are its classes in the order of `pixguard data info`, and are `mean=...` and "
        "`std=...` those that it was trained with?"
    )


def _other_order(
    dataset: ImageDataset,
    truths: Mapping[int, LabelSet],
    predictions: Mapping[int, PredictionRecord],
) -> str | None:
    """Return the order of classes under which decisions would be right, where that is clear."""
    if dataset.info.task != "multi-class":
        return None
    count = dataset.info.label_count
    table = np.zeros((count, count), dtype=np.int64)
    for index, truth in truths.items():
        table[predictions[index].predicted[0], truth[0]] += 1
    from scipy.optimize import linear_sum_assignment

    outputs, classes = linear_sum_assignment(table, maximize=True)
    if table[outputs, classes].sum() < CLEAR * len(truths):
        return None
    names = {c.ordinal: c.name for c in dataset.info.classes}
    return ", ".join(names[int(ordinal)] for ordinal in classes)
