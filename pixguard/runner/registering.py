"""What every training shares: is it done already, where is its checkpoint, who is registered."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from pixguard.config import DenoiserSettings, DetectorSettings, TrainSettings, VoteSettings
from pixguard.errors import DatabaseBusyError, UsageError
from pixguard.models.training_loop import Fit
from pixguard.models.weights import parameter_counts, save_weights
from pixguard.records import DatasetInfo, ModelKind, ModelRecord, digest
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

AnySettings = TypeVar(
    "AnySettings", TrainSettings, VoteSettings, DenoiserSettings, DetectorSettings
)


@dataclass(frozen=True, slots=True)
class Made:
    """What came out of a training.

    Attributes:
        module: with its weights.
        fit: its epochs and seconds.
        parameters: what its builder was given, empty for its defaults.
    """

    module: nn.Module
    fit: Fit
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Training:
    """One training: the same images and settings have the same key, and give the same weights."""

    hyperparameters: Mapping[str, Any]
    checkpoint: Path
    done: StoredModel | None


def training_key(info: DatasetInfo, settings: Mapping[str, Any]) -> str:
    """Return what identifies a training: the dataset as it is split, and every setting."""
    images = [info.name, info.source, info.size, info.version, info.manifest_sha256]
    return digest([*images, info.split_scheme, info.split_seed, dict(settings)])


def require_one_size(info: DatasetInfo, work: str) -> None:
    """Raise where images have many sizes and a batch must have one.

    Raises:
        UsageError: with what to type.
    """
    if info.is_native:
        raise UsageError(
            f"{work} takes images of one size, and those of {info.name!r} have many",
            "`size=64` or `size=224`, to which images are resized; pixguard attack --attack-at "
            "native changes pixels before that resize",
        )


def begin_training(
    session: Session, info: DatasetInfo, settings: Mapping[str, Any], resume: bool
) -> Training:
    """Check a training against what is there, before hours are spent on it.

    Raises:
        UsageError: it was finished or begun before, and ``resume`` was not asked for.
        PixguardError: the database could not take the result.
    """
    key = training_key(info, settings)
    models = _registered_models(session)
    done = next((m for m in models if m.record.hyperparameters.get("training_key") == key), None)
    if done is not None and not resume:
        raise UsageError(
            f"this training is finished: it made {done.record.kind} {done.id}",
            "`resume=True` to keep it, or `fresh_seed=True` to train another",
        )
    checkpoint = session.checkpoint(key)
    if done is None and checkpoint.exists() and not resume:
        raise UsageError(
            f"this training was begun before; {checkpoint} holds what is done",
            "`resume=True` to go on, or `fresh_seed=True` to begin another",
        )
    return Training({**settings, "training_key": key}, checkpoint, done)


def with_fresh_seed(
    session: Session,
    info: DatasetInfo,
    settings: AnySettings,
    identify: Callable[[Any], Mapping[str, Any]] = asdict,
) -> AnySettings:
    """Return the settings with the first seed, from theirs on, that no training has begun with."""
    models = _registered_models(session)
    keys = {m.record.hyperparameters.get("training_key") for m in models}
    while True:
        key = training_key(info, identify(settings))
        if key not in keys and not session.checkpoint(key).exists():
            return settings
        settings = replace(settings, seed=settings.seed + 1)


@contextmanager
def keeping_a_finished_training(session: Session, seed: int) -> Iterator[None]:
    """Say that a training is not lost when the database is busy at its end."""
    try:
        yield
    except DatabaseBusyError as error:
        raise DatabaseBusyError(
            f"{error.message}; the finished training is kept",
            f"when it is free: {session.again(seed)}",
        ) from error


def _registered_models(session: Session) -> list[StoredModel]:
    with reading(session.database, create=True, writable=True) as engine:
        return reader.models(engine)


def register(
    session: Session,
    writer: Writer,
    info: DatasetInfo,
    training: Training,
    kind: ModelKind,
    architecture: str,
    made: Made,
) -> StoredModel:
    """Save a trained module's weights and register it with its training curve."""
    module, fit = made.module, made.fit
    weights_file, weights_sha256 = save_weights(module, session.weights)
    trainable, frozen = parameter_counts(module)
    record = ModelRecord(
        kind=kind,
        architecture=architecture,
        weights_sha256=weights_sha256,
        weights_file=weights_file,
        parameters=dict(made.parameters),
        hyperparameters={**training.hyperparameters, "training_images": fit.train_size},
        trainable_parameters=trainable,
        frozen_parameters=frozen,
        training_seconds=fit.seconds,
        epochs=len(fit.epochs),
        train_accuracy=fit.epochs[-1].train_accuracy,
    )
    model_id = writer.model(record, writer.dataset(info), fit.epochs)
    return reader.model(writer.engine, model_id)
