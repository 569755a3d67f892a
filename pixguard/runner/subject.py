"""Finds what a command works on: the dataset as registered, the classifier, the weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from shlex import quote

from sqlalchemy import Engine

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.opening import open_classifier
from pixguard.classifiers.resizing import FILTER, at_native_size
from pixguard.classifiers.trust import UntrustedError
from pixguard.config import AttackAt, DatasetRequest, DatasetSettings, TrainingRequest
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.catalogue import (
    MEDICAL_MNIST,
    find,
    is_named,
    registered_name,
    unknown_dataset,
)
from pixguard.datasets.medmnist import SIZES
from pixguard.datasets.medmnist import locate as locate_medmnist
from pixguard.datasets.opening import open_dataset
from pixguard.datasets.overview import size_range
from pixguard.datasets.registered import settings_of
from pixguard.datasets.registry import SOURCES
from pixguard.defences.certificates.registry import CERTIFICATES
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import NATIVE, NATIVE_SIZE, DatasetInfo
from pixguard.registry import near
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import is_there, reading
from pixguard.store.reader import StoredDataset, StoredModel
from pixguard.store.writer import Writer
from pixguard.words import shell_word

DEFAULT_SIZE = 28


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
class Watch:
    """A trained detector beside a classifier, and the classifier that it asks, if it asks one.

    ``asks`` is that one, and the dataset that it was trained on.
    """

    stored: StoredModel
    asks: tuple[StoredModel, DatasetInfo] | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Its name and the digest of its weights, the threshold among them."""
        return self.stored.record.architecture, self.stored.record.weights_sha256

    def __str__(self) -> str:
        return f"detector {self.stored.id} ({self.stored.record.architecture})"


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A classifier whose gradients stand in for another's, and the dataset it was trained on."""

    stored: StoredModel
    own: DatasetInfo


@dataclass(frozen=True, slots=True)
class Subject:
    """A classifier and the images that it is attacked on, ready to be attacked.

    Where there is a ``defence``, ``classifier`` is the trained one behind it; where there is a
    ``watch``, a success must not alarm it. Where it is attacked
    at native size, ``dataset`` holds the images of its own dataset at their own sizes, and
    ``classifier`` the trained one behind a resize. ``dataset_id`` is 0 until the dataset is
    registered. An attack that transfers takes the gradients of the ``surrogate``.
    """

    dataset: ImageDataset
    dataset_id: int
    model: StoredModel
    classifier: Classifier
    defence: Defence | None = None
    watch: Watch | None = None
    resized_to: int | None = None
    surrogate: Surrogate | None = None

    @property
    def threat(self) -> Mapping[str, str]:
        """What an attack's parameters say of where pixels are changed; nothing for the input.

        One changed before a resize is another threat than one changed after it: with other
        parameters it is another attack, and no plan, resumption or table mixes the two.
        """
        return {} if self.resized_to is None else {"at": NATIVE, "resize": FILTER}

    @property
    def option(self) -> str:
        """The option, with a space before it, by which commands find this subject; or nothing."""
        return "" if self.resized_to is None else f" --attack-at {NATIVE}"

    def registered(self, writer: Writer) -> "Subject":
        """Return the subject with its dataset registered."""
        return replace(self, dataset_id=writer.dataset(self.dataset.info))


def find_classifier(engine: Engine, request: DatasetRequest, selector: str) -> StoredModel:
    """Return the classifier that a request means: by default the newest that was trained.

    Raises:
        UsageError: nothing fits, with the command that would make one.
    """
    known = reader.datasets(engine)
    named = [stored for stored in known if stored.info.name == registered_name(request.name)]
    if not named and request.data_dir is None and not is_named(request.name):
        raise unknown_dataset(request.name, (stored.info.name for stored in known))
    candidates = [
        stored
        for stored in named
        if request.source in (None, "auto", stored.info.source)
        and request.size in (None, stored.info.size)
    ]
    ids = {stored.id for stored in candidates}
    models = [m for m in reader.models(engine, kind="classifier") if m.dataset_id in ids]
    matching = [m for m in models if m.is_called(selector)]
    if matching:
        return reader.meant(matching, selector)
    wanted = "" if selector == "latest" else f" that is {selector!r}"
    there = ", ".join(f"{m.id} ({m.record.architecture})" for m in models)
    if request.size == NATIVE_SIZE:
        hint = f"`attack_at={NATIVE}`, and no size: the classifier is of one size, the images not"
    elif selector in CERTIFICATES:
        hint = f"{CERTIFICATES[selector].made_by} --dataset {shell_word(request.name)}"
    elif models:
        guess = near(selector, {m.record.architecture for m in models})
        hint = (
            f"did you mean `model={guess[0]}`?"
            if guess
            else f"pixguard models list --dataset {shell_word(request.name)}"
        )
    else:
        hint = _way_to_train(request)
    raise UsageError(
        f"no classifier of dataset {request.name!r}{wanted} is registered"
        + (f"; there is {there}" if there else ""),
        hint,
    )


def _way_to_train(request: DatasetRequest) -> str:
    """Return the commands that train on what was asked for; first that which fetches it."""
    train = f"pixguard train --dataset {quote(request.name)}"
    train += f" --source {request.source}" if request.source else ""
    train += f" --size {request.size}" if request.size else ""
    train += f" --data-dir {quote(str(request.data_dir))}" if request.data_dir else ""
    if request.source not in (None, "auto", "medmnist") or request.data_dir is not None:
        return train
    size = request.size or DEFAULT_SIZE
    if not is_named(request.name) or request.name == MEDICAL_MNIST.name:
        return f"{train} --data-dir DIR"
    if size in SIZES and not locate_medmnist(find(request.name), size, None):
        fetch = f"pixguard data fetch {request.name}"
        return f"{fetch}{f' --size {size}' if request.size else ''}; {train}"
    return train


def open_registered(
    engine: Engine,
    dataset_id: int,
    request: DatasetRequest,
    display: Display,
    attack_at: AttackAt = "input",
    *,
    by_model: bool = False,
) -> ImageDataset:
    """Open a registered dataset again, and make sure that it is still the same.

    At ``native``, open the same images at their own sizes. ``by_model``: it is a classifier's, in
    whose place another may fit.

    Raises:
        UsageError: its source has no native sizes.
        DataError: its content has changed since it was registered.
    """
    stored = reader.dataset(engine, dataset_id)
    settings = settings_of(stored.info, data_dir=request.data_dir)
    if attack_at == NATIVE:
        if not SOURCES[settings.source].native_sizes:
            raise UsageError(
                f"{describe(stored.info)} has no other size to attack at: its source "
                f"{stored.info.source} has its images at one size",
                "`attack_at=input`; or train on images with sizes of their own: "
                f"pixguard train --dataset {shell_word(stored.info.name)} --source originals "
                "--data-dir DIR",
            )
        settings = replace(settings, size=NATIVE_SIZE)
    dataset = open_dataset(settings, display)
    if dataset.info.manifest_sha256 != stored.info.manifest_sha256:
        other = _newest_on(engine, stored.info, dataset.info) if by_model else None
        raise DataError(
            f"dataset {stored.info.name!r} has changed since it was registered: its files are "
            "not those that the classifier was trained and attacked on",
            (f"`model={other}`, which was trained on these; or " if other else "")
            + "restore the files, or register the new ones: pixguard train --dataset "
            f"{stored.info.name} --data-dir ...",
        )
    return dataset


def _newest_on(engine: Engine, stored: DatasetInfo, found: DatasetInfo) -> int | None:
    """Return the newest classifier, rather a plain one, of files that were found."""
    known = reader.datasets(engine, name=stored.name, source=stored.source, size=stored.size)
    ids = {one.id for one in known if one.info.manifest_sha256 == found.manifest_sha256}
    models = reader.models(engine, kind="classifier")
    fitting = [(m.record.is_plain, m.id) for m in models if m.dataset_id in ids]
    return max(fitting)[1] if fitting else None


def open_subject(
    session: Session, request: DatasetRequest, selector: str, attack_at: AttackAt = "input"
) -> Subject:
    """Open the classifier and dataset that a command means, and say which they are.

    Raises:
        UsageError: no classifier fits, or its images have no native sizes.
        DataError: the dataset has changed since it was registered.
    """
    with reading(session.database) as engine:
        model = find_classifier(engine, request, selector)
        dataset = open_registered(
            engine, model.dataset_id, request, session.display, attack_at, by_model=True
        )
        known = {(s.id, s.info.size) for s in _same_images(engine, dataset.info)}
        own = reader.dataset(engine, model.dataset_id).info
    classifier = open_stored(session, model, own)
    session.display.say(
        f"dataset {describe(dataset.info)}; classifier {model.id} ({model.record.architecture})"
    )
    if own.is_native or not dataset.info.is_native:
        return Subject(dataset, model.dataset_id, model, classifier)
    session.display.say(
        f"pixels are changed in images of {size_range(dataset)}, before a resize to "
        f"{own.size} x {own.size} that is part of the classifier"
    )
    return Subject(
        dataset,
        next((id_ for id_, size in known if size == NATIVE_SIZE), 0),
        model,
        at_native_size(classifier, own.size),
        resized_to=own.size,
    )


def open_stored(session: Session, stored: StoredModel, info: DatasetInfo) -> Classifier:
    """Return a stored classifier of a dataset's images, with its weights, on the device.

    Raises:
        PixguardError: its file is missing, damaged or not that of the record.
        UntrustedError: it brings code that this user has not trusted on this machine.
        UsageError: the code that builds it is missing, or has changed.
    """
    name = stored.record.architecture
    open_one = CERTIFICATES.load(name) if name in CERTIFICATES else open_classifier
    try:
        classifier: Classifier = open_one(stored.record, info, session.weights, session.device)
    except UntrustedError as error:  # the library below knows models by their weights only
        raise UntrustedError(
            f"model {stored.id}: {error.message}",
            f"if you know who made it: pixguard models trust {stored.id}",
        ) from None
    return classifier


def _same_images(engine: Engine, info: DatasetInfo) -> list[StoredDataset]:
    """Return what is registered of a dataset, at whatever size, with the same split."""
    return [
        stored
        for stored in reader.datasets(engine, name=info.name, source=info.source)
        if replace(stored.info, size=info.size, location=info.location) == info
    ]


def describe(info: DatasetInfo) -> str:
    """Return a dataset's name, source and size in a few words."""
    synthetic = ", synthetic" if info.is_synthetic else ""
    size = "native sizes" if info.is_native else f"{info.size}x{info.size}"
    return f"{info.name} ({info.source}, {size}{synthetic})"


def open_for_training(session: Session, request: TrainingRequest) -> ImageDataset:
    """Open the dataset to train on, and say which it is.

    Where the user named neither source nor files and the database knows the dataset, the newest
    registration of that size decides, or of the same files at another one.
    """
    settings = DatasetSettings(
        request.name,
        request.source or "auto",
        DEFAULT_SIZE if request.size is None else request.size,
        request.data_dir,
    )
    if request.source is None and request.data_dir is None:
        registered = _registered(session.database)
        known = [s for s in registered if s.info.name == registered_name(request.name)]
        if not known and not is_named(request.name):
            raise unknown_dataset(request.name, (s.info.name for s in registered))
        # An attack at native size registers images that no classifier is trained on.
        fitting = [
            stored
            for stored in known
            if request.size == stored.info.size or (request.size is None and stored.info.size)
        ]
        # Files can be read at any size, whichever they were registered at.
        fitting = fitting or [s for s in known if SOURCES[s.info.source].native_sizes]
        if fitting:
            newest = settings_of(max(fitting, key=lambda s: s.id).info)
            settings = newest if request.size is None else replace(newest, size=request.size)
    if request.split == "official":
        settings = replace(settings, group=None)  # it parts what it parts
    dataset = open_dataset(replace(settings, **request.chosen), session.display)
    session.display.say(f"dataset {describe(dataset.info)}")
    return dataset


def _registered(database: str) -> list[StoredDataset]:
    if not is_there(database):
        return []  # not made before there is something to write
    with reading(database) as engine:
        return reader.datasets(engine)
