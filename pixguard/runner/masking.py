"""Puts masks around a stored classifier: another model, of the same weights."""

from dataclasses import asdict, replace
from typing import Any

from pixguard.config import DatasetRequest
from pixguard.defences.certificates.masked_consensus import as_classifier, mask_sets
from pixguard.defences.certificates.registry import CERTIFICATES, MaskOptions
from pixguard.errors import UsageError
from pixguard.records import MASKED_CONSENSUS, ModelRecord, digest
from pixguard.runner.judging import judge_test_images
from pixguard.runner.removing import removed_without_answers
from pixguard.runner.session import Session
from pixguard.runner.subject import open_subject
from pixguard.store import reader
from pixguard.store.reader import StoredModel


def put_masks(
    session: Session, request: DatasetRequest, selector: str, options: MaskOptions
) -> dict[str, Any]:
    """Register masked consensus around a classifier, and judge the test images by it.

    It is a model of its own, as its decisions are others, and so is attacked and reported as any
    other. Asked for again, it goes on with what is left to judge.

    Returns:
        What ``pixguard certify mask --json`` prints.

    Raises:
        UsageError: there is no such classifier, or it is certified already, or multi-label.
        NotFiniteError: an answer to a test image is not finite.
        InterruptedRunError: a stop was requested while the test images were judged.
    """
    subject = open_subject(session, request, selector)
    stored, dataset = subject.model, subject.dataset
    if stored.record.architecture in CERTIFICATES:
        raise UsageError(
            f"classifier {stored.id} ({stored.record.architecture}) has a certificate already",
            "the `model=...` that masks are to go around",
        )
    masked = as_classifier(subject.classifier, options)
    with session.writer({"model": stored.id, **asdict(options)}, 0) as writer:
        id_ = writer.model(_record(stored, options), stored.dataset_id, ())
        made = reader.model(writer.engine, id_)
        subject = replace(subject, model=made, classifier=masked).registered(writer)
        with removed_without_answers(session, writer, made):
            predictions = judge_test_images(session, writer, subject, session.command)
        before = reader.predictions(writer.engine, stored.id, stored.dataset_id)
    right = {i: dataset.label_set(i) for i in dataset.indices("test").tolist()}
    sets, unions = mask_sets(options.stride, options.radius)
    return {
        "run": writer.run_id,
        "model": made.id,
        "of_model": stored.id,
        "architecture": made.record.architecture,
        "dataset": dataset.info.name,
        **asdict(options),
        "masks": options.stride**2,
        "first_round": len(unions),
        "certificate": len(sets),
        "test_images": len(right),
        "test_correct": sum(predictions[i].predicted == truth for i, truth in right.items()),
        "test_correct_before": sum(
            i in before and before[i].predicted == truth for i, truth in right.items()
        ),
    }


def _record(stored: StoredModel, options: MaskOptions) -> ModelRecord:
    """Return the record of a classifier behind masks: nothing was trained for it."""
    record = stored.record
    chosen = asdict(options)
    added = {k: v for k, v in record.hyperparameters.items() if k == "added_from"}
    return replace(
        record,
        architecture=MASKED_CONSENSUS,
        weights_sha256=digest([MASKED_CONSENSUS, record.weights_sha256, chosen]),
        parameters={**record.parameters, "network": record.architecture, **chosen},
        hyperparameters={
            **added,
            "masks_of": record.weights_sha256,
            "content_sha256": record.content_sha256,
        },
        training_seconds=0.0,
        epochs=0,
        train_accuracy=None,
        name=None,
    )
