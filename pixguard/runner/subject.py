"""Finds what a command works on: the dataset as registered, the classifier, the weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.opening import open_classifier
from pixguard.config import DatasetSettings, Source
from pixguard.datasets import open_dataset
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.catalogue import paper_entry
from pixguard.datasets.registered import settings_of
from pixguard.defences.certified import is_vote, open_vote
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import POLYPHASE_VOTE, DatasetInfo
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import open_engine
from pixguard.store.location import locate
from pixguard.store.reader import StoredDataset, StoredModel

DEFAULT_SIZE = 28


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What the user said about the dataset; None where it is left to what is registered."""

    name: str
    source: Source | None = None
    size: int | None = None
    data_dir: Path | None = None


def registered_name(name: str) -> str:
    """Return the name that a dataset is registered under: octmnist is the paper's oct."""
    entry = paper_entry(name)
    return entry.name if entry else name


@dataclass(frozen=True, slots=True)
class Defence:
    """A denoiser before a classifier; ``stored`` may be None for one without weights."""

    name: str
    stored: StoredModel | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Its name and the digest of its weights, empty where it has none."""
        record = None if self.stored is None else self.stored.record
        return self.name, record.weights_sha256 if record and record.weights_file else ""

    def __str__(self) -> str:
        return self.name if self.stored is None else f"denoiser {self.stored.id} ({self.name})"


@dataclass(frozen=True, slots=True)
class Subject:
    """A classifier and the dataset that it was trained on, ready to be attacked.

    Where there is a ``defence``, ``classifier`` is the trained one behind it.
    """

    dataset: ImageDataset
    dataset_id: int
    model: StoredModel
    classifier: Classifier
    defence: Defence | None = None


def find_classifier(engine: Engine, request: DatasetRequest, selector: str) -> StoredModel:
    """Return the classifier that a request means: by default the newest of that dataset.

    Raises:
        UsageError: nothing fits, with the command that would make one.
    """
    candidates = [
        stored
        for stored in reader.datasets(engine, name=registered_name(request.name))
        if request.source in (None, "auto", stored.info.source)
        and request.size in (None, stored.info.size)
    ]
    ids = {stored.id for stored in candidates}
    models = [m for m in reader.models(engine, kind="classifier") if m.dataset_id in ids]
    matching = [m for m in models if selector in ("latest", str(m.id), m.record.architecture)]
    if not matching:
        wanted = "" if selector == "latest" else f" that is {selector!r}"
        known = ", ".join(f"{m.id} ({m.record.architecture})" for m in models)
        command = "certify train" if selector == POLYPHASE_VOTE else "train"
        raise UsageError(
            f"no classifier of dataset {request.name!r}{wanted} is registered"
            + (f"; there is {known}" if known else ""),
            f"pixguard {command} --dataset {request.name}" + (", or --model ID" if known else ""),
        )
    return max(matching, key=lambda m: m.id)


def open_registered(
    engine: Engine, dataset_id: int, request: DatasetRequest, display: Display
) -> ImageDataset:
    """Open a registered dataset again, and make sure that it is still the same.

    Raises:
        DataError: its content has changed since it was registered.
    """
    (stored,) = [s for s in reader.datasets(engine) if s.id == dataset_id]
    settings = settings_of(stored.info, data_dir=request.data_dir)
    dataset = open_dataset(settings, display)
    if dataset.info.manifest_sha256 != stored.info.manifest_sha256:
        raise DataError(
            f"dataset {stored.info.name!r} has changed since it was registered: its files are "
            "not those that the classifier was trained and attacked on",
            f"restore the files, or register the new ones: pixguard train --dataset "
            f"{stored.info.name} --data-dir ...",
        )
    return dataset


def open_subject(session: Session, request: DatasetRequest, selector: str) -> Subject:
    """Open the classifier and dataset that a command means, and say which they are."""
    engine = open_engine(session.database)
    try:
        model = find_classifier(engine, request, selector)
        dataset = open_registered(engine, model.dataset_id, request, session.display)
    finally:
        engine.dispose()
    open_one = open_vote if is_vote(model.record) else open_classifier
    classifier = open_one(model.record, dataset.info, session.weights, session.device)
    session.display.say(
        f"dataset {describe(dataset.info)}; classifier {model.id} ({model.record.architecture})"
    )
    return Subject(dataset, model.dataset_id, model, classifier)


def describe(info: DatasetInfo) -> str:
    """Return a dataset's name, source and size in a few words."""
    synthetic = ", synthetic" if info.is_synthetic else ""
    return f"{info.name} ({info.source}, {info.size}x{info.size}{synthetic})"


def open_for_training(
    session: Session, request: DatasetRequest, overrides: Mapping[str, Any]
) -> ImageDataset:
    """Open the dataset to train on, and say which it is.

    Where the user named neither source nor files and the database knows the dataset, the newest
    registration decides; ``overrides`` are the further settings that the user named.
    """
    settings = DatasetSettings(
        request.name, request.source or "auto", request.size or DEFAULT_SIZE, request.data_dir
    )
    if request.source is None and request.data_dir is None:
        known = [
            stored
            for stored in _registered(session.database, request.name)
            if request.size in (None, stored.info.size)
        ]
        if known:
            settings = settings_of(max(known, key=lambda s: s.id).info)
    dataset = open_dataset(replace(settings, **overrides), session.display)
    session.display.say(f"dataset {describe(dataset.info)}")
    return dataset


def _registered(database: str, name: str) -> list[StoredDataset]:
    path = locate(database).path
    if path is not None and not path.exists():
        return []  # not made before there is something to write
    engine = open_engine(database)
    try:
        return reader.datasets(engine, name=registered_name(name))
    finally:
        engine.dispose()
