"""The detectors that a database knows: which ones are meant, and how they come back to life."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Engine
from torch import nn

from pixguard.classifiers.classifier import Classifier
from pixguard.config import DatasetRequest
from pixguard.datasets.catalogue import is_named, registered_name, unknown_dataset
from pixguard.defences.detectors.registry import DETECTORS, options_text
from pixguard.errors import UsageError
from pixguard.models.weights import load_weights
from pixguard.records import DatasetInfo, ModelRecord
from pixguard.registry import suggestion
from pixguard.runner.session import Session
from pixguard.runner.subject import Watch, open_stored
from pixguard.store import reader
from pixguard.store.engine import is_there, reading
from pixguard.store.reader import StoredModel
from pixguard.words import shell_word


def build_registered_detector(
    record: ModelRecord, channels: int, classifier: Classifier | None = None
) -> nn.Module:
    """Return a registered detector that awaits its weights, and asks the classifier if it asks."""
    parameters = dict(record.parameters)
    if DETECTORS[record.architecture].of_classifier:
        parameters["classifier"] = classifier
    detector: nn.Module = DETECTORS.load(record.architecture)(channels, **parameters)
    return detector


def load_detector(session: Session, watch: Watch, channels: int) -> nn.Module:
    """Return a registered detector on the session's device, in evaluation mode."""
    record, classifier = watch.stored.record, None
    if watch.asks is not None:
        classifier = open_stored(session, *watch.asks)
    detector = build_registered_detector(record, channels, classifier)
    load_weights(detector, session.weights / record.weights_file, record.content_sha256)
    return detector.to(session.device).eval()


def watch_of(engine: Engine, stored: StoredModel) -> Watch:
    """Return a detector with the classifier that it asks.

    Raises:
        UsageError: the database does not hold that classifier.
    """
    if not DETECTORS[stored.record.architecture].of_classifier:
        return Watch(stored)
    wanted = stored.record.parameters["classifier"]
    for one in reader.models(engine, "classifier"):
        if one.record.weights_sha256 == wanted:
            return Watch(stored, (one, reader.dataset(engine, one.dataset_id).info))
    raise UsageError(
        f"detector {stored.id} ({stored.record.architecture}) asks the classifier of weights "
        f"{wanted[:12]}, which is not in this database",
        f"pixguard detect train --dataset {shell_word(stored.dataset_name)} "
        f"--model {stored.record.architecture}",
    )


def find_asked(session: Session, info: DatasetInfo, selector: str) -> StoredModel:
    """Return the classifier of a dataset, as it is split, that a new detector is to ask.

    Raises:
        UsageError: there is none.
    """
    found = list[StoredModel]()
    if is_there(session.database):
        with reading(session.database) as engine:
            found = askable(engine, info)
    meant = [model for model in found if model.is_called(selector)]
    if meant:
        return reader.meant(meant, selector)
    there = ", ".join(f"{m.id} ({m.record.architecture})" for m in found)
    raise UsageError(
        f"the detector asks a classifier of {info.name!r}, and there is "
        + (f"none that is {selector!r}: only {there}" if found else "none"),
        f"`classifier={found[-1].id}`"
        if found
        else f"pixguard train --dataset {shell_word(info.name)}",
    )


def askable(engine: Engine, info: DatasetInfo) -> list[StoredModel]:
    """Return the classifiers of a dataset, as it is split, that a detector can ask."""
    return [
        model
        for same in reader.datasets(engine, info.name, info.source, info.size)
        if replace(same.info, location=info.location) == info
        for model in reader.models(engine, "classifier", same.id)
    ]


def asked_weights(engine: Engine, info: DatasetInfo, selector: str) -> str | None:
    """Return the SHA-256 by which a new detector would keep the classifier that it asks."""
    meant = [model for model in askable(engine, info) if model.is_called(selector)]
    return reader.meant(meant, selector).record.weights_sha256 if meant else None


def normal_class(stored: StoredModel) -> str:
    """Return the name of the class that a detector was trained on."""
    return str(stored.record.hyperparameters["normal"])


def label(stored: StoredModel) -> str:
    """Return a detector's name, id, normal class and own options in a few words."""
    record = stored.record
    own = options_text(record.architecture, record.hyperparameters)
    return f"{record.architecture} #{stored.id} (normal: {normal_class(stored)}{own})"


def _kind(stored: StoredModel) -> tuple[str, ...]:
    """Return what tells a detector from one that took its place: name, class and own options."""
    record = stored.record
    own = options_text(record.architecture, record.hyperparameters)
    return record.architecture, normal_class(stored), own


def find_detectors(
    engine: Engine, request: DatasetRequest, selectors: Sequence[str]
) -> list[StoredModel]:
    """Return the detectors that a user means, all of one dataset, by their ids.

    Args:
        engine: an open database.
        request: the dataset; of several that fit, the one counts that has the newest
            detector, or the newest that is named by its id.
        selectors: ids or names of normal classes; by default every detector, class and options,
            the newest of each.

    Raises:
        UsageError: there is none, or one that was named belongs to another dataset.
    """
    registered = reader.datasets(engine)
    meant = [one for one in registered if one.info.name == registered_name(request.name)]
    fitting = {
        stored.id
        for stored in meant
        if request.source in (None, "auto", stored.info.source)
        and request.size in (None, stored.info.size)
    }
    everywhere = reader.models(engine, kind="detector")
    own = [m for m in everywhere if m.dataset_id in fitting]
    command = f"pixguard detect train --dataset {shell_word(request.name)}"
    for selector in selectors:
        for stranger in (m for m in everywhere if str(m.id) == selector and m not in own):
            raise UsageError(
                f"detector {stranger.id} was trained on {stranger.dataset_name!r}, not on this "
                f"{request.name!r}",
                f"pixguard detect apply --dataset {shell_word(stranger.dataset_name)} "
                f"--detector {stranger.id}",
            )
    if not meant and not is_named(request.name):
        raise unknown_dataset(request.name, (one.info.name for one in registered))
    if not own:
        raise UsageError(f"no detector of dataset {request.name!r} is registered", command)
    chosen_one = ([m for m in own if str(m.id) in selectors] or own)[-1]
    own = [m for m in own if m.dataset_id == chosen_one.dataset_id]
    newest = {_kind(m): m for m in own}
    if not selectors:
        return sorted(newest.values(), key=lambda m: m.id)
    chosen = {}
    for selector in selectors:
        named = [m for m in newest.values() if selector == normal_class(m)]
        matching = named or [m for m in own if selector == str(m.id)]
        if not matching:
            there = ", ".join(label(m) for m in own)
            raise UsageError(
                f"no detector {selector!r} is registered for {request.name!r}; there is {there}",
                f"{command} --normal {shell_word(selector)}"
                if any(selector == c.name for one in meant for c in one.info.classes)
                else suggestion(selector, [*(m.id for m in own), *map(normal_class, own)]),
            )
        chosen.update({m.id: m for m in matching})
    return [chosen[number] for number in sorted(chosen)]
