"""The denoisers that a database knows: which one is meant, and how it comes back to life."""

from collections.abc import Sequence

from sqlalchemy import Engine
from torch import nn

from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.denoisers.registry import ALWAYS, UNTRAINED
from pixguard.defences.patch_select import SUFFIX, PatchSelect
from pixguard.errors import UsageError
from pixguard.models.weights import load_weights, parameter_counts
from pixguard.records import DatasetInfo, ModelRecord, digest
from pixguard.registry import suggestion
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import outcomes, reader
from pixguard.store.reader import StoredModel
from pixguard.store.rows import dataset_key
from pixguard.store.writer import Writer
from pixguard.words import shell_word


def is_patch_select(record: ModelRecord) -> bool:
    """Say whether a denoiser is another one with patch selection over it."""
    return record.architecture.endswith(SUFFIX)


def build_registered(record: ModelRecord, channels: int) -> nn.Module:
    """Return a registered denoiser with fresh weights, whatever selects from it around it."""
    parameters = record.parameters
    if not is_patch_select(record):
        return build_denoiser(record.architecture, channels, **parameters)
    base = record.architecture.removesuffix(SUFFIX)
    denoiser = build_denoiser(base, channels, **parameters["base_parameters"])
    return PatchSelect(denoiser, parameters["tau"], parameters["window"])


def load_denoiser(session: Session, stored: StoredModel, channels: int) -> nn.Module:
    """Return a registered denoiser on the session's device, in evaluation mode."""
    record = stored.record
    denoiser = build_registered(record, channels)
    if record.weights_file:
        bare, sha256 = denoiser, record.content_sha256
        if isinstance(denoiser, PatchSelect):
            bare = denoiser.denoiser
            sha256 = record.hyperparameters.get("content_sha256", record.parameters["base_sha256"])
        load_weights(bare, session.weights / record.weights_file, sha256)
    return denoiser.to(session.device).eval()


def missing_denoiser(dataset: str, name: str) -> str:
    """Return the command that makes a denoiser of this name."""
    named = shell_word(dataset)
    if name.endswith(SUFFIX):
        base = name.removesuffix(SUFFIX)
        return f"pixguard denoise apply --dataset {named} --denoiser {base} --patch-select"
    if DENOISERS[name].reads:
        return f"pixguard denoise add FILE --model {name} --dataset {named}"
    return f"pixguard denoise train --dataset {named} --model {name}"


def register_untrained(
    writer: Writer, name: str, info: DatasetInfo, dataset_id: int
) -> StoredModel:
    """Register a denoiser without weights (identity, median); its digest stands for them."""
    for known in reader.models(writer.engine, "denoiser", dataset_id):
        if known.record.architecture == name and not known.record.weights_file:
            return known
    trainable, frozen = parameter_counts(build_denoiser(name, info.channels))
    record = ModelRecord(
        kind="denoiser",
        architecture=name,
        # One row a dataset, as every model has, and the same on every machine.
        weights_sha256=digest(
            ["untrained", name, info.manifest_sha256, *dataset_key(info).values()]
        ),
        weights_file="",
        parameters={},
        hyperparameters={},
        trainable_parameters=trainable,
        frozen_parameters=frozen,
        training_seconds=0.0,
        epochs=0,
    )
    model_id = writer.model(record, dataset_id)
    return reader.model(writer.engine, model_id)


def is_default(stored: StoredModel) -> bool:
    """Say whether a denoiser is its builder's default, trained on every class.

    With patch selection over it, it is what its base is.
    """
    record = stored.record
    parameters = record.parameters.get("base_parameters", record.parameters)
    return not parameters and record.hyperparameters.get("only_class") is None


def label(stored: StoredModel) -> str:
    """Return the name of a denoiser, with its id where the name stands for another one."""
    name = stored.record.architecture
    return name if is_default(stored) else f"{name} #{stored.id}"


def find_denoiser(known: Sequence[StoredModel], selector: str, dataset: str) -> StoredModel:
    """Return the one of a dataset's denoisers that a user means: an id, or a name's newest.

    A name does not stand for variants or for models of one class: those go by id.

    Raises:
        UsageError: there is none.
    """
    matching = [
        m for m in known
        if selector == str(m.id) or (selector == m.record.architecture and is_default(m))
    ]  # fmt: skip
    if not matching:
        choices = ", ".join(f"{m.id} ({m.record.architecture})" for m in known) or "none"
        can_be_made = selector.removesuffix(SUFFIX) in DENOISERS
        names = [*(m.record.architecture for m in known), *DENOISERS.names]
        raise UsageError(
            f"no denoiser {selector!r} is registered for {dataset!r}; there is {choices}",
            missing_denoiser(dataset, selector) if can_be_made else suggestion(selector, names),
        )
    return matching[-1]


def known_denoisers(engine: Engine, subject: Subject) -> list[StoredModel]:
    """Return the denoisers for a subject's images, those that are taken first at the end.

    Denoisers take images of any size: at native size, those that were trained on the same images
    at the classifier's size serve too, after those of the native images.
    """
    own = reader.models(engine, kind="denoiser", dataset_id=subject.dataset_id)
    if subject.dataset_id == subject.model.dataset_id:
        return own
    lent = reader.models(engine, kind="denoiser", dataset_id=subject.model.dataset_id)
    # A threshold that was found at another size is another threshold.
    return [*(m for m in lent if m.record.epochs and not is_patch_select(m.record)), *own]


def choose_denoisers(
    writer: Writer, subject: Subject, selectors: Sequence[str]
) -> list[StoredModel]:
    """Return the denoisers to apply: those named (id or name), else the newest of each name.

    Those without weights are always among the latter, but for those that are taken by name alone.

    Raises:
        UsageError: a selector fits no denoiser of the dataset.
    """
    info = subject.dataset.info
    for name in UNTRAINED:
        if name in (selectors or ALWAYS):
            register_untrained(writer, name, info, subject.dataset_id)
    known = known_denoisers(writer.engine, subject)
    present = {m.record.architecture for m in known if is_default(m)}
    known_names = [entry.name for entry in DENOISERS if not entry.by_name_alone]
    wanted = selectors or [name for name in known_names if name in present]
    return [find_denoiser(known, selector, info.name) for selector in wanted]


def applied_denoisers(engine: Engine, subject: Subject) -> list[StoredModel]:
    """Return the denoisers that have restored attempts on the subject."""
    classifier_id, dataset_id = subject.model.id, subject.dataset_id
    return [
        m
        for m in known_denoisers(engine, subject)
        if outcomes.restoration_keys(engine, classifier_id, m.id, dataset_id)
    ]
