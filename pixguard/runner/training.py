"""Trains a classifier, judges it on the test images and registers both."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.training import train_classifier
from pixguard.config import TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.models.training_loop import Fit
from pixguard.models.weights import load_weights
from pixguard.runner.judging import judge_test_images
from pixguard.runner.registering import (
    Training,
    begin_training,
    keeping_a_finished_training,
    register,
    require_one_size,
)
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject


def train(
    session: Session, dataset: ImageDataset, settings: TrainSettings, *, resume: bool
) -> dict[str, Any]:
    """Train a classifier on a dataset's training images and register it.

    Returns:
        What ``pixguard train --json`` prints.

    Raises:
        UsageError: this training exists, and ``resume`` is not set; or images have many sizes.
        InterruptedRunError: a stop was requested; the finished epochs are kept.
    """
    require_one_size(dataset.info, "training a classifier")
    training = begin_training(session, dataset.info, asdict(settings), resume)
    classifier = build_classifier(
        settings.architecture,
        dataset.info,
        seed=settings.seed,
        pretrained=settings.pretrained and training.done is None,
        say=session.display.say,
    )
    classifier.to(session.device)
    fit = None
    if training.done is None:
        fit = train_classifier(
            classifier,
            dataset,
            settings,
            device=session.device,
            checkpoint=training.checkpoint,
            display=session.display,
            stop=session.stop,
        )
        kept = f"{len(fit.epochs)} finished epochs are kept in {training.checkpoint}"
        session.honour_stop(kept, session.again(settings.seed))
    else:
        record = training.done.record
        session.display.say(f"already trained: classifier {training.done.id}")
        load_weights(classifier, session.weights / record.weights_file, record.weights_sha256)
    return conclude(session, dataset, settings, training, settings.architecture, classifier, fit)


def conclude(
    session: Session,
    dataset: ImageDataset,
    settings: TrainSettings,
    training: Training,
    architecture: str,
    classifier: Classifier,
    fit: Fit | None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Register a trained classifier and judge it on the test images.

    Args:
        session: where to judge.
        dataset: what it was trained on.
        settings: how.
        training: as it was begun; where it was done before, ``fit`` is not needed.
        architecture: the name to register.
        classifier: with its trained weights, on the session's device.
        fit: what the training came to.
        parameters: what its builder was given; None for its defaults.

    Returns:
        What ``pixguard train --json`` prints.

    Raises:
        InterruptedRunError: a stop was requested; the decisions made so far are kept.
    """
    with (
        keeping_a_finished_training(session, settings.seed),
        session.writer(asdict(settings), settings.seed) as writer,
    ):
        # A training that was stopped while its test images were judged goes on from there.
        stored = training.done
        if stored is None:
            assert fit is not None
            info = dataset.info
            stored = register(
                session,
                writer,
                info,
                training,
                "classifier",
                architecture,
                classifier,
                fit,
                parameters,
            )
        subject = Subject(dataset, stored.dataset_id, stored, classifier.eval())
        predictions = judge_test_images(session, writer, subject, session.again(settings.seed))
    training.checkpoint.unlink(missing_ok=True)
    tested = dataset.indices("test").tolist()
    correct = sum(predictions[i].predicted == dataset.label_set(i) for i in tested)
    return {
        "model": stored.id,
        "already_trained": training.done is not None,
        "architecture": stored.record.architecture,
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size_name,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
        "train_accuracy": stored.record.train_accuracy,
        "test_images": len(tested),
        "test_correct": correct,
        "test_accuracy": correct / len(tested) if tested else None,
        "weights": str(session.weights / stored.record.weights_file),
    }
