"""Trains a classifier, judges it on the test images and registers both."""

from dataclasses import asdict
from typing import Any

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.training import train_classifier
from pixguard.config import TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.runner.judging import judge_test_images
from pixguard.runner.registering import begin_training, register
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject


def train(
    session: Session, dataset: ImageDataset, settings: TrainSettings, *, resume: bool
) -> dict[str, Any]:
    """Train a classifier on a dataset's training images and register it.

    Returns:
        What ``pixguard train --json`` prints.

    Raises:
        UsageError: this training exists, and ``resume`` is not set.
        InterruptedRunError: a stop was requested; the finished epochs are kept.
    """
    training = begin_training(session, dataset.info, asdict(settings), resume)
    if training.done is not None:
        session.display.say(f"already trained: classifier {training.done.id}; nothing to do")
        return {"model": training.done.id, "already_trained": True}
    classifier = build_classifier(settings.architecture, dataset.info, seed=settings.seed)
    classifier.to(session.device)
    fit = train_classifier(
        classifier,
        dataset,
        settings,
        device=session.device,
        checkpoint=training.checkpoint,
        display=session.display,
        stop=session.stop,
    )
    session.honour_stop(f"{len(fit.epochs)} finished epochs are kept in {training.checkpoint}")
    with session.writer(asdict(settings), settings.seed) as writer:
        stored = register(
            session,
            writer,
            dataset.info,
            training,
            "classifier",
            settings.architecture,
            classifier,
            fit,
        )
        subject = Subject(dataset, stored.dataset_id, stored, classifier.eval())
        predictions = judge_test_images(session, writer, subject)
    training.checkpoint.unlink(missing_ok=True)
    tested = dataset.indices("test").tolist()
    correct = sum(predictions[i].predicted == dataset.label_set(i) for i in tested)
    return {
        "model": stored.id,
        "architecture": stored.record.architecture,
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
        "train_accuracy": stored.record.train_accuracy,
        "test_images": len(tested),
        "test_correct": correct,
        "test_accuracy": correct / len(tested) if tested else None,
        "weights": str(session.weights / stored.record.weights_file),
    }
