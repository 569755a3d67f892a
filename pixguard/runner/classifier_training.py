"""Trains classifiers, and judges them on the test images."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from pixguard.classifiers.builders import build_classifier, canonical_name
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.training import default_loss, train_classifier
from pixguard.config import TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.models.training_loop import Workplace
from pixguard.models.weights import load_weights
from pixguard.records import DatasetInfo, PredictionRecord
from pixguard.runner.judging import judge_test_images
from pixguard.runner.registering import (
    Made,
    Training,
    begin_training,
    require_one_size,
    with_fresh_seed,
)
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.training import Job, described, train
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

AnyTrainSettings = TypeVar("AnyTrainSettings", bound=TrainSettings)


def complete(settings: AnyTrainSettings, info: DatasetInfo) -> AnyTrainSettings:
    """Return the settings as they identify a training, with nothing left open.

    So the same training has the same key, whoever asks for it.
    """
    return replace(
        settings,
        architecture=canonical_name(settings.architecture),
        loss=settings.loss or default_loss(info.task),
    )


def train_on(
    session: Session,
    dataset: ImageDataset,
    settings: TrainSettings,
    *,
    resume: bool,
    fresh_seed: bool = False,
) -> dict[str, Any]:
    """Train a classifier on a dataset's training images and register it.

    Returns:
        What ``pixguard train --json`` prints.

    Raises:
        UsageError: this training exists, and ``resume`` is not set; or images have many sizes.
        InterruptedRunError: a stop was requested; the finished epochs are kept.
    """
    info, settings = dataset.info, complete(settings, dataset.info)
    require_one_size(info, "training a classifier")
    if fresh_seed:
        settings = with_fresh_seed(session, info, settings)
    training = begin_training(session, info, asdict(settings), resume)
    classifier = build_classifier(
        settings.architecture,
        info,
        seed=settings.seed,
        pretrained=settings.pretrained and training.done is None,
        say=session.display.say,
    ).to(session.device)

    def make(at: Workplace) -> Made:
        return Made(classifier, train_classifier(classifier, dataset, settings, at))

    job = Job("classifier", settings.architecture, asdict(settings), make)
    return conclude(session, dataset, training, job, classifier)


def conclude(
    session: Session,
    dataset: ImageDataset,
    training: Training,
    job: Job,
    classifier: Classifier,
) -> dict[str, Any]:
    """Train a classifier, register it, and judge it on the test images.

    Args:
        session: where to judge.
        dataset: what it is trained and judged on.
        training: as it was begun.
        job: how it is trained; ``finish`` is set here.
        classifier: on the session's device; where it was trained before, it gets its weights.

    Returns:
        What ``pixguard train --json`` prints.

    Raises:
        InterruptedRunError: a stop was requested; the decisions made so far are kept.
    """
    predictions: Mapping[int, PredictionRecord] = {}
    again = session.again(int(job.identity["seed"]))

    def judge(writer: Writer, stored: StoredModel) -> None:
        nonlocal predictions
        if training.done is not None:
            record = stored.record
            load_weights(classifier, session.weights / record.weights_file, record.weights_sha256)
        subject = Subject(dataset, stored.dataset_id, stored, classifier.eval())
        predictions = judge_test_images(session, writer, subject, again)

    job = replace(job, finish=judge, finish_again=True)
    stored = train(session, dataset.info, training, job)
    tested = dataset.indices("test").tolist()
    correct = sum(predictions[i].predicted == dataset.label_set(i) for i in tested)
    return {
        "model": stored.id,
        "already_trained": training.done is not None,
        "architecture": stored.record.architecture,
        **described(stored, dataset.info),
        "train_accuracy": stored.record.train_accuracy,
        "test_images": len(tested),
        "test_correct": correct,
        "test_accuracy": correct / len(tested) if tested else None,
        "weights": str(session.weights / stored.record.weights_file),
    }
