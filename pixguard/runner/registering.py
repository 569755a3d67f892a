"""What every training shares: is it done already, where is its checkpoint, who is registered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pixguard.classifiers.weights import parameter_counts, save_weights
from pixguard.errors import UsageError
from pixguard.records import DatasetInfo, ModelKind, ModelRecord, digest
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import open_engine
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer
from pixguard.training import Fit


@dataclass(frozen=True, slots=True)
class Training:
    """One training: the same images and settings have the same key, and give the same weights."""

    hyperparameters: Mapping[str, Any]
    checkpoint: Path
    done: StoredModel | None


def begin_training(
    session: Session, info: DatasetInfo, settings: Mapping[str, Any], resume: bool
) -> Training:
    """Check a training against what is there, before hours are spent on it.

    Raises:
        UsageError: it was finished or begun before, and ``resume`` was not asked for.
        PixguardError: the database could not take the result.
    """
    key = digest({"manifest": info.manifest_sha256, "size": info.size, "settings": settings})
    models = _registered_models(session)
    done = next((m for m in models if m.record.hyperparameters.get("training_key") == key), None)
    if done is not None and not resume:
        raise UsageError(
            f"this training is finished: it made {done.record.kind} {done.id}",
            "--resume to keep it, or --fresh-seed to train another",
        )
    checkpoint = session.checkpoint(key)
    if done is None and checkpoint.exists() and not resume:
        raise UsageError(
            f"this training was begun before; {checkpoint} holds what is done",
            "--resume to go on, or --fresh-seed to begin another",
        )
    return Training({**settings, "training_key": key}, checkpoint, done)


def unused_seed(session: Session, seed: int) -> int:
    """Return the first seed from ``seed`` on that no registered model was trained with."""
    used = {m.record.hyperparameters.get("seed") for m in _registered_models(session)}
    while seed in used:
        seed += 1
    return seed


def _registered_models(session: Session) -> list[StoredModel]:
    engine = open_engine(session.database, create=True, writable=True)
    try:
        return reader.models(engine)
    finally:
        engine.dispose()


def register(
    session: Session,
    writer: Writer,
    info: DatasetInfo,
    training: Training,
    kind: ModelKind,
    architecture: str,
    module: nn.Module,
    fit: Fit,
) -> StoredModel:
    """Save a trained module's weights and register it with its training curve."""
    weights_file, weights_sha256 = save_weights(module, session.weights)
    trainable, frozen = parameter_counts(module)
    record = ModelRecord(
        kind=kind,
        architecture=architecture,
        weights_sha256=weights_sha256,
        weights_file=weights_file,
        parameters={},
        hyperparameters={**training.hyperparameters, "training_images": fit.train_size},
        trainable_parameters=trainable,
        frozen_parameters=frozen,
        training_seconds=fit.seconds,
        epochs=len(fit.epochs),
        train_accuracy=fit.epochs[-1].train_accuracy,
    )
    model_id = writer.model(record, writer.dataset(info), fit.epochs)
    return next(m for m in reader.models(writer.engine) if m.id == model_id)
