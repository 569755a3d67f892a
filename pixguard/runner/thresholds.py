"""Makes a multi-label classifier decide by other thresholds: another model, of the same weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.classifiers.opening import THRESHOLDS
from pixguard.classifiers.thresholds import ChosenThreshold, ThresholdRule, choose_thresholds
from pixguard.config import DatasetRequest
from pixguard.datasets.base import ImageDataset
from pixguard.errors import DataError, UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.records import TRAINING_KEY, ModelRecord, digest
from pixguard.runner.judging import judge_test_images
from pixguard.runner.removing import removed_without_answers
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject, open_registered, open_stored
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.reader import StoredModel

FEW_POSITIVES = 10
"""Validation images with a label below which its threshold is little more than chance."""


def set_thresholds(
    session: Session, selector: str, rule: ThresholdRule, data_dir: Path | None = None
) -> dict[str, Any]:
    """Choose a classifier's thresholds on the validation images, and register what comes of it.

    It is a model of its own, as other thresholds are other decisions: no attempt, prediction or
    table mixes the two. The weights are the same file.

    Args:
        session: where to work.
        selector: an id, an architecture or a name, or latest.
        rule: what a threshold maximises.
        data_dir: where the images are now; None: where they were.

    Returns:
        What ``pixguard models thresholds --json`` prints.

    Raises:
        UsageError: there is no such classifier, or it gives one class an image.
        DataError: there are no validation images; the dataset has changed.
        NotFiniteError: an answer to a test image is not finite.
        InterruptedRunError: a stop was requested while the test images were judged.
    """
    with reading(session.database) as engine:
        stored = reader.find_model(engine, selector, kind="classifier")
        info = reader.dataset(engine, stored.dataset_id).info
        if info.task != "multi-label":
            raise UsageError(
                f"model {stored.id} ({stored.record.architecture}) gives one class an image, "
                "the most probable: it has no thresholds",
                "a classifier of a dataset with several labels, such as chest",
            )
        request = DatasetRequest(info.name, data_dir=data_dir)
        dataset = open_registered(engine, stored.dataset_id, request, session.display)
    classifier = open_stored(session, stored, info)
    chosen = _choose(session, classifier, dataset, rule)
    values = [choice.threshold for choice in chosen]
    classifier.thresholds.copy_(torch.tensor(values))
    images = len(dataset.indices("val"))
    record = _record(stored, values, {"thresholds_by": rule, "threshold_images": images})
    with session.writer({"model": stored.id, "thresholds": rule}, 0) as writer:
        made = reader.model(writer.engine, writer.model(record, stored.dataset_id, ()))
        subject = Subject(dataset, writer.dataset(dataset.info), made, classifier)
        with removed_without_answers(session, writer, made):
            predictions = judge_test_images(session, writer, subject, session.command)
        before = reader.predictions(writer.engine, stored.id, stored.dataset_id)
    tested = dataset.indices("test").tolist()
    names = {c.ordinal: c.name for c in info.classes}
    few = sum(choice.positives < FEW_POSITIVES for choice in chosen)
    if few:
        session.display.say(
            f"{few} of {len(chosen)} labels have fewer than {FEW_POSITIVES} validation images: "
            "their thresholds are little more than chance"
        )
    return {
        "run": writer.run_id,
        "model": made.id,
        "of_model": stored.id,
        "architecture": made.record.architecture,
        "dataset": info.name,
        "rule": rule,
        "validation_images": images,
        "labels": [
            {
                "label": names[label],
                "threshold": choice.threshold,
                "positives": choice.positives,
                rule: choice.value,
            }
            for label, choice in enumerate(chosen)
        ],
        "test_images": len(tested),
        "test_correct": sum(predictions[i].predicted == dataset.label_set(i) for i in tested),
        "test_correct_before": sum(
            i in before and before[i].predicted == dataset.label_set(i) for i in tested
        ),
    }


def _choose(
    session: Session, classifier: Classifier, dataset: ImageDataset, rule: ThresholdRule
) -> list[ChosenThreshold]:
    """Return the thresholds, from the canonical answers to the validation images."""
    indices = dataset.indices("val")
    if not len(indices):
        raise DataError(
            f"dataset {dataset.info.name!r} has no validation images to choose thresholds on",
            "train on a split that has some: `split=paper`",
        )
    answers = []
    for image in dataset.each(indices):
        logits = canonical_logits(classifier, to_unit_range(image[None], session.device))
        answers.append(classifier.probabilities(logits).cpu().numpy())
    before: np.ndarray[Any, np.dtype[np.float32]] = classifier.thresholds.cpu().numpy()
    truth = dataset.labels[indices].astype(bool)
    return choose_thresholds(rule, np.concatenate(answers), truth, before)


def _record(stored: StoredModel, thresholds: list[float], how: dict[str, Any]) -> ModelRecord:
    """Return the record of the same network with other thresholds.

    Nothing was trained: its training is that of the other model, and is told and found there.
    """
    record = stored.record
    trained = {k: v for k, v in record.hyperparameters.items() if k != TRAINING_KEY}
    of = trained.get("thresholds_of", record.weights_sha256)
    return replace(
        record,
        weights_sha256=digest([of, thresholds]),
        parameters={**record.parameters, THRESHOLDS: thresholds},
        hyperparameters={
            **trained,
            **how,
            "thresholds_of": of,
            "content_sha256": record.content_sha256,
        },
        training_seconds=0.0,
        epochs=0,
        train_accuracy=None,
    )
