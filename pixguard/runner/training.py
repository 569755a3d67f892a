"""The one verb that trains: begin or go on, keep what is finished, register it.

What is trained, a classifier, a vote, a denoiser or a detector, is a :class:`Training`, which each
kind derives in a module of its own.
"""

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pixguard.config import DenoiserSettings, DetectorSettings, TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import (
    DatabaseBusyError,
    UsageError,
    enough_memory,
)
from pixguard.models.seeding import seeded
from pixguard.models.training_loop import DivergedError, Made, Workplace
from pixguard.models.weights import parameter_counts, save_weights
from pixguard.records import TRAINING_KEY, DatasetInfo, ModelKind, ModelRecord, digest
from pixguard.runner.session import Session
from pixguard.runner.training_checks import (
    begun,
    check_registrable,
    check_writable,
    finished_trainings,
    refuse_to_go_on,
)
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

SettingsT = TypeVar("SettingsT", bound=TrainSettings | DenoiserSettings | DetectorSettings)
BUSY_POLL_S = 2.0
"""How often a finished training looks whether the database is free."""


class Training(ABC, Generic[SettingsT]):
    """A model to train: the same images and settings have the same key, and give the same weights.

    Args:
        dataset: what it is trained on.
        settings: how. A kind puts in what they leave open, so that the same training has the same
            key, whoever asks for it.

    Attributes:
        kind: of the model.
        concludes_again: whether :meth:`conclude` has work to do where the model was trained before.
        note: what tells the model from others of its kind, for messages.

    Raises:
        UsageError: the settings do not fit the dataset.
    """

    kind: ClassVar[ModelKind]
    concludes_again: ClassVar[bool] = False
    note: str = ""

    def __init__(self, dataset: ImageDataset, settings: SettingsT) -> None:
        self.dataset = dataset
        self.settings = settings

    @property
    def architecture(self) -> str:
        """The name to register."""
        return str(self.identity["name"])

    @property
    def identity(self) -> dict[str, Any]:
        """Every setting, ``seed`` among them; what the run records, and the model."""
        return asdict(self.settings)

    @property
    def key(self) -> str:
        """What identifies the training: the dataset as it is split, and every setting."""
        return self.key_of(self.settings.seed)

    def key_of(self, seed: int) -> str:
        """Return the key that the training would have with another seed."""
        info = self.dataset.info
        images = [info.name, info.source, info.size, info.version, info.manifest_sha256]
        split = [info.split_scheme, info.split_seed]
        return digest([*images, *split, {**self.identity, "seed": seed}])

    def with_seed(self, seed: int) -> Self:
        """Return the training with another seed."""
        return type(self)(self.dataset, replace(self.settings, seed=seed))

    @abstractmethod
    def make(self, at: Workplace) -> Made:
        """Train, keeping the state in the workplace's checkpoint."""

    @abstractmethod
    def conclude(
        self, session: Session, writer: Writer, stored: StoredModel, made: Made | None
    ) -> dict[str, Any]:
        """Write what stands beside the model, and return what is told of it.

        Args:
            session: where, and who watches.
            writer: the open database.
            stored: the model as it is registered.
            made: what was trained; None where it was trained before.
        """


def train(
    session: Session,
    training: Training[SettingsT],
    *,
    resume: bool = False,
    fresh_seed: bool = False,
) -> dict[str, Any]:
    """Train a model, register it, and return what is told of it; see :func:`train_each`."""
    (told,) = train_each(session, [training], resume=resume, fresh_seed=fresh_seed)
    return told


def train_each(
    session: Session,
    trainings: Sequence[Training[SettingsT]],
    *,
    resume: bool = False,
    fresh_seed: bool = False,
) -> list[dict[str, Any]]:
    """Train models one after the other, and register them; what is finished is not done again.

    Args:
        session: where, and who watches.
        trainings: what to train.
        resume: go on with what was begun before, and keep what was finished.
        fresh_seed: take the first seed, from theirs on, that none of them has begun with: one for
            all, as the command that goes on after an interruption names only one.

    Returns:
        What is told of each, as the command prints it with ``--json``.

    Raises:
        UsageError: one was finished or begun before, and ``resume`` was not asked for.
        DataError: the database could not take the result.
        InterruptedRunError: a stop was requested; the finished epochs and models are kept.
        PixguardError: the database, or the folder beside it, cannot be written.
    """
    finished = finished_trainings(session)
    if fresh_seed:
        seed = next(
            seed
            for seed in itertools.count(trainings[0].settings.seed)
            if not any(begun(session, finished, t.key_of(seed)) for t in trainings)
        )
        trainings = [t.with_seed(seed) for t in trainings]
    # All are checked before hours are spent on the first.
    check_writable(session)
    with reading(session.database) as engine:
        for training in trainings:
            check_registrable(session, engine, training.dataset.info)
    for training in trainings:
        if not resume:
            refuse_to_go_on(session, training.key, finished.get(training.key))
    with session.at_work():
        return [_train(session, training, finished.get(training.key)) for training in trainings]


def _train(
    session: Session, training: Training[SettingsT], done: StoredModel | None
) -> dict[str, Any]:
    seed, checkpoint, made = training.settings.seed, session.checkpoint(training.key), None
    if done is not None:
        known = f"already trained: {training.kind} {done.id}{training.note}"
        if not training.concludes_again:
            session.display.say(f"{known}; nothing to do")
            return {"run": None, "model": done.id, "already_trained": True}
        session.display.say(known)
    else:
        at = Workplace(session.device, checkpoint, session.display, session.stop)
        step, hint = "training", ""
        if batch := getattr(training.settings, "batch_size", None):  # a detector has none
            step, hint = f"a step of {batch} images", f"`batch_size={max(batch // 2, 2)}`"
        with seeded(seed), _removed_if_diverged(checkpoint), enough_memory(step, hint):
            made = training.make(at)
        kept = f"{len(made.fit.epochs)} finished epochs are kept in {checkpoint}"
        session.honour_stop(kept, session.again(seed))
    with _writer_when_free(session, training.identity, seed) as writer:
        # What was stopped between the training and its end goes on from there.
        stored = done
        if stored is None:
            assert made is not None
            with _removed_if_diverged(checkpoint):
                stored = _register(session, writer, training, made)
        told = training.conclude(session, writer, stored, made)
    checkpoint.unlink(missing_ok=True)
    named = {"run": writer.run_id, "model": stored.id, "already_trained": done is not None}
    return {**named, **told}


@contextmanager
def _removed_if_diverged(checkpoint: Path) -> Iterator[None]:
    """Remove a training's checkpoint where it came to nothing: gone on with, it would again."""
    try:
        yield
    except DivergedError:
        checkpoint.unlink(missing_ok=True)
        raise


@contextmanager
def _writer_when_free(session: Session, identity: Mapping[str, Any], seed: int) -> Iterator[Writer]:
    """Yield the writer; while another process writes to the database, wait for it.

    Raises:
        InterruptedRunError: a stop was requested; the finished training is kept.
    """
    with ExitStack() as stack:
        told = False
        while True:
            try:
                writer = stack.enter_context(session.writer(identity, seed))
                break
            except DatabaseBusyError as error:
                if not told:
                    session.display.say(f"{error.message}; waiting, the training is finished")
                    told = True
            time.sleep(BUSY_POLL_S)
            session.honour_stop("the finished training is kept", session.again(seed))
        yield writer


def _register(
    session: Session, writer: Writer, training: Training[SettingsT], made: Made
) -> StoredModel:
    """Save a trained module's weights and register it with its training curve.

    Raises:
        DivergedError: the weights are not finite.
    """
    module, fit, info = made.module, made.fit, training.dataset.info
    # The loss of an epoch is that before its last step.
    if not all(t.isfinite().all() for t in module.state_dict().values()):
        raise DivergedError("the weights are not finite after its last step")
    weights_file, content_sha256 = save_weights(module, session.weights)
    dataset_id = writer.dataset(info)
    # The same images under another name give the same weights, which are another model; so do
    # other arguments of a builder that its weights know nothing of.
    same = [m for m in reader.models(writer.engine) if m.record.weights_sha256 == content_sha256]
    parameters = dict(made.parameters)
    other = any(m.record.parameters != parameters for m in same if m.dataset_id == dataset_id)
    taken = other or any(m.dataset_id != dataset_id for m in same)
    images = [info.name, info.source, info.size, info.version, info.manifest_sha256]
    identity = [content_sha256, *images, info.split_scheme, info.split_seed]
    identity += [parameters] if other else []
    trainable, frozen = parameter_counts(module)
    record = ModelRecord(
        kind=training.kind,
        architecture=training.architecture,
        weights_sha256=digest(identity) if taken else content_sha256,
        weights_file=weights_file,
        parameters=parameters,
        hyperparameters={
            **training.identity,
            TRAINING_KEY: training.key,
            "training_images": fit.train_size,
            **({"content_sha256": content_sha256} if taken else {}),
        },
        trainable_parameters=trainable,
        frozen_parameters=frozen,
        training_seconds=fit.seconds,
        epochs=len(fit.epochs),
        train_accuracy=fit.epochs[-1].train_accuracy if fit.epochs else None,
    )
    return reader.model(writer.engine, writer.model(record, dataset_id, fit.epochs))


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


def described(stored: StoredModel, info: DatasetInfo) -> dict[str, Any]:
    """Return what is told of every trained model."""
    return {
        "dataset": info.name,
        "source": info.source,
        "size": info.size_name,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
    }
