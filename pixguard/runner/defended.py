"""Attacks through a defence: which denoiser, and who is right behind it."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Engine

from pixguard.classifiers.evaluation import predict
from pixguard.config import AttackSettings
from pixguard.defences.defended import defended
from pixguard.defences.denoisers import NAMES, TRAINED, build_denoiser
from pixguard.errors import UsageError
from pixguard.records import PredictionRecord
from pixguard.runner.denoising import load_denoiser, register_untrained
from pixguard.runner.plan import select_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Defence, Subject
from pixguard.store import reader
from pixguard.store.engine import open_engine
from pixguard.store.writer import Writer


def find_defence(engine: Engine, subject: Subject, selector: str) -> Defence:
    """Return the denoiser that a user means: an id, a name, or ``latest`` for the newest trained.

    Raises:
        UsageError: there is none for the dataset.
    """
    if selector in NAMES and selector not in TRAINED:
        return Defence(selector)
    name = subject.dataset.info.name
    if selector == reader.LATEST:
        # Identity and median are registered by `denoise apply`, after what was trained for it.
        known = reader.models(engine, kind="denoiser", dataset_id=subject.dataset_id)
        trained = [model for model in known if model.record.weights_file]
        if not trained:
            raise UsageError(
                f"no denoiser has been trained for {name!r}",
                f"pixguard denoise train --dataset {name}, or --through median",
            )
        return Defence(trained[-1].record.architecture, trained[-1])
    stored = reader.find_model(
        engine, selector, kind="denoiser", dataset_id=subject.dataset_id, dataset_name=name
    )
    return Defence(stored.record.architecture, stored)


def defend(session: Session, subject: Subject, selector: str) -> Subject:
    """Return a subject whose classifier stands behind a denoiser, and say which it is.

    Raises:
        UsageError: there is no such denoiser for the dataset.
    """
    engine = open_engine(session.database)
    try:
        defence = find_defence(engine, subject, selector)
    finally:
        engine.dispose()
    channels = subject.dataset.info.channels
    if defence.stored is None:
        denoiser = build_denoiser(defence.name, channels).to(session.device).eval()
    else:
        denoiser = load_denoiser(session, defence.stored, channels)
    session.display.say(f"through {defence}")
    return replace(subject, classifier=defended(subject.classifier, denoiser), defence=defence)


def defence_id(writer: Writer, subject: Subject) -> int | None:
    """Return the id of the subject's denoiser, registered if it has no weights and is new."""
    if subject.defence is None:
        return None
    stored = subject.defence.stored or register_untrained(writer, subject.defence.name, subject)
    return stored.id


def select_behind(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    bare: Mapping[int, PredictionRecord],
) -> tuple[list[int], dict[int, PredictionRecord]]:
    """Return the images to attack behind a defence, and the decisions there that were needed.

    Args:
        session: where to judge, and who watches.
        subject: the defended classifier.
        settings: which images.
        bare: the decisions of the classifier alone on the test images, by index.

    Raises:
        InterruptedRunError: a stop was requested.
    """
    dataset, made = subject.dataset, dict[int, PredictionRecord]()
    at_most = len(select_images(dataset, bare, settings))
    title = "judging clean images behind the defence"
    with session.display.track(title, at_most, "right") as progress:
        right = 0

        def right_behind(index: int) -> bool:
            nonlocal right
            session.honour_stop("the attack has not begun", session.again(settings.seed))
            (made[index],) = predict(subject.classifier, dataset, [index], device=session.device)
            correct = made[index].predicted == dataset.label_set(index)
            right += correct
            progress.update(min(right, at_most))
            return correct

        return select_images(dataset, bare, settings, right_behind), made


def clean_cost(
    subject: Subject,
    bare: Mapping[int, PredictionRecord],
    behind: Mapping[int, PredictionRecord],
) -> dict[str, int]:
    """Return what a defence costs on clean images, of those that were judged behind it.

    Args:
        subject: the dataset.
        bare: the decisions of the classifier alone, by image.
        behind: those of the defended classifier.

    Returns:
        ``clean_judged``: how many the classifier alone is right about, ``clean_broken``: of
        these, how many the defended one is wrong about.
    """
    truth = subject.dataset.label_set
    judged = [index for index in behind if bare[index].predicted == truth(index)]
    broken = sum(behind[index].predicted != truth(index) for index in judged)
    return {"clean_judged": len(judged), "clean_broken": broken}
