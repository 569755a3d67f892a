"""The one verb that trains: begin or go on, keep what is finished, register it.

What is trained, a classifier, a denoiser, a detector or a certified vote, is the business of a
:class:`Job`, which each kind's own module makes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pixguard.models.training_loop import Workplace
from pixguard.records import DatasetInfo, ModelKind
from pixguard.runner.registering import Made, Training, keeping_a_finished_training, register
from pixguard.runner.session import Session
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Job:
    """One training, whatever is trained.

    Attributes:
        kind: of the model.
        architecture: the name to register.
        identity: every setting, ``seed`` among them; what the run records.
        make: trains, keeping its state in the workplace's checkpoint.
        finish: what is written beside the model, while the database is open.
        finish_again: whether that is done, too, where the model was trained before.
    """

    kind: ModelKind
    architecture: str
    identity: Mapping[str, Any]
    make: Callable[[Workplace], Made]
    finish: Callable[[Writer, StoredModel], None] = lambda writer, stored: None
    finish_again: bool = False


def train(session: Session, info: DatasetInfo, training: Training, job: Job) -> StoredModel:
    """Train what was not trained before, and register it.

    Args:
        session: where, and who watches.
        info: the dataset that it is trained on.
        training: as :func:`~pixguard.runner.registering.begin_training` found it.
        job: what is trained.

    Raises:
        InterruptedRunError: a stop was requested; the finished epochs are kept.
        DatabaseBusyError: at the end; the finished training is kept.
    """
    seed, made = int(job.identity["seed"]), None
    if training.done is not None:
        session.display.say(f"already trained: {job.kind} {training.done.id}")
        if not job.finish_again:
            return training.done
    else:
        at = Workplace(session.device, training.checkpoint, session.display, session.stop)
        made = job.make(at)
        kept = f"{len(made.fit.epochs)} finished epochs are kept in {training.checkpoint}"
        session.honour_stop(kept, session.again(seed))
    with (
        keeping_a_finished_training(session, seed),
        session.writer(job.identity, seed) as writer,
    ):
        # What was stopped between the training and its end goes on from there.
        stored = training.done
        if stored is None:
            assert made is not None
            stored = register(session, writer, info, training, job.kind, job.architecture, made)
        job.finish(writer, stored)
    training.checkpoint.unlink(missing_ok=True)
    return stored


def described(stored: StoredModel, info: DatasetInfo) -> dict[str, Any]:
    """Return what is told of every trained model."""
    return {
        "dataset": info.name,
        "source": info.source,
        "size": info.size_name,
        "epochs": stored.record.epochs,
        "training_seconds": round(stored.record.training_seconds, 1),
    }
