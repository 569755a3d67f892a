"""The classifier whose gradients stand in for those of the attacked one."""

from dataclasses import replace

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.resizing import at_native_size
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.records import DatasetInfo
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject, Surrogate, open_stored
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.words import shell_word


def open_surrogate(
    session: Session, surrogate: Surrogate | None, resized_to: int | None
) -> Classifier | None:
    """Return the classifier, behind a resize where the attacked one is; None where there is none.

    Raises:
        PixguardError: as :func:`pixguard.runner.subject.open_stored`.
    """
    if surrogate is None:
        return None
    classifier = open_stored(session, surrogate.stored, surrogate.own)
    return classifier if resized_to is None else at_native_size(classifier, resized_to)


def with_surrogate(
    session: Session, subject: Subject, settings: AttackSettings
) -> tuple[Subject, AttackSettings]:
    """Return the subject with the surrogate that an attack's options name, if they name one.

    In the settings its content hash stands in the place of the name, so that what identifies the
    attack is the surrogate and not how it was called.

    Raises:
        UsageError: there is no such classifier of such images and classes, or it is the attacked
            one.
    """
    selector = getattr(settings.options, "surrogate", None)
    if settings.options is None or selector is None:
        return subject, settings
    with reading(session.database) as engine:
        infos = {one.id: one.info for one in reader.datasets(engine)}
        known = reader.models(engine, kind="classifier")
    own = infos[subject.model.dataset_id]
    alike = [m for m in known if _asks_the_same(infos[m.dataset_id], own)]
    named = [m for m in alike if m.is_called(selector)]
    listed = f"pixguard models list --dataset {shell_word(own.name)}"
    if not named:
        raise UsageError(
            f"there is no classifier {selector!r} of images and classes like those of "
            f"{own.name!r} ({own.size_name} pixels, {own.channels} channels)",
            listed,
        )
    stored = reader.meant(named, selector)
    content = stored.record.content_sha256
    if content == subject.model.record.content_sha256:
        raise UsageError(
            f"the surrogate {selector!r} is the attacked classifier itself: with its own gradient "
            "the attack sees inside",
            f"`order=gradient` for that; for another classifier: {listed}",
        )
    session.display.say(
        f"ranked by the gradients of classifier {stored.id} ({stored.record.architecture})"
    )
    options = replace(
        settings.options,
        surrogate=content,  # type: ignore[call-arg] # those that got this far have one
    )
    surrogate = Surrogate(stored, infos[stored.dataset_id])
    return replace(subject, surrogate=surrogate), replace(settings, options=options)


def _asks_the_same(info: DatasetInfo, other: DatasetInfo) -> bool:
    """Tell whether classifiers of two datasets take such images and give such labels alike."""
    return all(
        getattr(info, name) == getattr(other, name)
        for name in ("task", "channels", "size", "classes")
    )
