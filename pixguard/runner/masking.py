"""Puts masks around a stored classifier, or a run-off: another model, of the same weights."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pixguard.classifiers.classifier import Classifier
from pixguard.config import DatasetRequest
from pixguard.defences.certificates.masked_consensus import as_classifier, mask_sets
from pixguard.defences.certificates.polyphase_vote import PolyphaseVote
from pixguard.defences.certificates.polyphase_vote import as_classifier as as_vote
from pixguard.defences.certificates.registry import CERTIFICATES, MaskOptions
from pixguard.defences.certificates.run_off import RunOffVote
from pixguard.errors import UsageError
from pixguard.records import MASKED_CONSENSUS, POLYPHASE_VOTE, RUN_OFF, ModelRecord, digest
from pixguard.runner.judging import judge_test_images
from pixguard.runner.removing import removed_without_answers
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject, open_subject
from pixguard.store import reader
from pixguard.store.reader import StoredModel
from pixguard.words import shell_word


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
    stored = subject.model
    if stored.record.architecture in CERTIFICATES:
        raise UsageError(
            f"classifier {stored.id} ({stored.record.architecture}) has a certificate already",
            "the `model=...` that masks are to go around",
        )
    masked = as_classifier(subject.classifier, options)
    sets, unions = mask_sets(options.stride, options.radius)
    chosen = asdict(options)
    about = {
        **chosen,
        "masks": options.stride**2,
        "first_round": len(unions),
        "certificate": len(sets),
    }
    parameters = {"network": stored.record.architecture, **chosen}
    record = _record(stored, MASKED_CONSENSUS, "masks_of", chosen, parameters)
    return _judged(session, subject, record, masked, about)


def put_run_off(session: Session, request: DatasetRequest, selector: str) -> dict[str, Any]:
    """Register a polyphase vote that is decided by a run-off, and judge the test images by it.

    As :func:`put_masks` does masks.

    Returns:
        What ``pixguard certify run-off --json`` prints.

    Raises:
        UsageError: there is no such vote.
        NotFiniteError: an answer to a test image is not finite.
        InterruptedRunError: a stop was requested while the test images were judged.
    """
    subject = open_subject(session, request, selector)
    stored, vote = subject.model, subject.classifier.network
    if stored.record.architecture != POLYPHASE_VOTE or not isinstance(vote, PolyphaseVote):
        raise UsageError(
            f"classifier {stored.id} ({stored.record.architecture}) is no polyphase vote: there is "
            "nothing to decide again",
            f"pixguard certify train --dataset {shell_word(request.name)}",
        )
    decided = as_vote(vote.voter, vote.stride, RunOffVote)
    record = _record(stored, RUN_OFF, "run_off_of", {}, {})
    about = {"stride": vote.stride, "votes": vote.stride**2}
    return _judged(session, subject, record, decided, about)


def _judged(
    session: Session,
    subject: Subject,
    record: ModelRecord,
    classifier: Classifier,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Register a classifier made of the subject's, judge the test images, and tell of it."""
    stored, dataset = subject.model, subject.dataset
    with session.writer({"model": stored.id, **about}, 0) as writer:
        made = reader.model(writer.engine, writer.model(record, stored.dataset_id, ()))
        subject = replace(subject, model=made, classifier=classifier).registered(writer)
        with removed_without_answers(session, writer, made):
            predictions = judge_test_images(session, writer, subject, session.command)
        before = reader.predictions(writer.engine, stored.id, stored.dataset_id)
    right = {i: dataset.label_set(i) for i in dataset.indices("test").tolist()}
    return {
        "run": writer.run_id,
        "model": made.id,
        "of_model": stored.id,
        "architecture": made.record.architecture,
        "dataset": dataset.info.name,
        **about,
        "test_images": len(right),
        "test_correct": sum(predictions[i].predicted == truth for i, truth in right.items()),
        "test_correct_before": sum(
            i in before and before[i].predicted == truth for i, truth in right.items()
        ),
    }


def _record(
    stored: StoredModel,
    method: str,
    of: str,
    chosen: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> ModelRecord:
    """Return the record of a classifier made of another's weights: nothing was trained for it."""
    record = stored.record
    added = {k: v for k, v in record.hyperparameters.items() if k == "added_from"}
    return replace(
        record,
        architecture=method,
        weights_sha256=digest([method, record.weights_sha256, chosen]),
        parameters={**record.parameters, **parameters},
        hyperparameters={
            **added,
            of: record.weights_sha256,
            "content_sha256": record.content_sha256,
        },
        training_seconds=0.0,
        epochs=0,
        train_accuracy=None,
        name=None,
    )
