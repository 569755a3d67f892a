"""What is looked at before hours are spent on a training: what is there, and what can be stored."""

import tempfile
from collections.abc import Mapping

from sqlalchemy import Engine

from pixguard.errors import DataError, PixguardError, UsageError
from pixguard.records import TRAINING_KEY, DatasetInfo
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.location import locate
from pixguard.store.lock import is_locked
from pixguard.store.reader import StoredModel


def finished_trainings(session: Session) -> dict[str, StoredModel]:
    """Return the trained models by their key; makes the database, which is to take the result.

    One whose weights are gone is not among them: it is trained again, to the same weights.
    """
    with reading(session.database, create=True) as engine:
        models = reader.models(engine)
    finished = {}
    for model in models:
        file, key = model.record.weights_file, model.record.hyperparameters.get(TRAINING_KEY)
        if key is not None and (not file or (session.weights / file).is_file()):
            finished[key] = model
    return finished


def begun(session: Session, finished: Mapping[str, StoredModel], key: str) -> bool:
    """Say whether a training was finished or begun before."""
    return key in finished or session.checkpoint(key).exists()


def check_registrable(session: Session, engine: Engine, info: DatasetInfo) -> None:
    """Raise where the database would not take a dataset, or the command."""
    for text in (info.location, session.command):
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{text!a} is not text in UTF-8, which is what the database holds",
                "rename the file or folder",
            ) from None
    reader.check_dataset(engine, info)


def check_writable(session: Session) -> None:
    """Raise where the result could not be written; say who writes to the database now.

    Raises:
        PixguardError: there is no permission to.
    """
    with reading(session.database, create=True, writable=True) as engine, engine.begin():
        pass
    try:
        session.weights.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=session.weights).close()
    except OSError as error:
        raise PixguardError(
            f"{session.weights} cannot be written: {error.strerror}",
            f"mend the permissions of {session.files.resolve()}, or take a database in another "
            "folder, `database=...`",
        ) from error
    path = locate(session.database).path
    if path is not None and is_locked(path):
        session.display.say(f"{session.place} is being written to: this waits at its end")


def refuse_to_go_on(session: Session, key: str, done: StoredModel | None) -> None:
    """Raise where a training was finished or begun before, and nobody asked to go on.

    Raises:
        UsageError: it was.
    """
    if done is not None:
        raise UsageError(
            f"this training is finished: it made {done.record.kind} {done.id}",
            "`resume=True` to keep it, or `fresh_seed=True` to train another",
        )
    checkpoint = session.checkpoint(key)
    if checkpoint.exists():
        raise UsageError(
            f"this training was begun before; {checkpoint} holds what is done",
            "`resume=True` to go on, or `fresh_seed=True` to begin another",
        )
