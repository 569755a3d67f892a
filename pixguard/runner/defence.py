"""Attacks through a defence: which denoiser, and who is right behind it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Engine

from pixguard.classifiers.behind import behind, is_bpda
from pixguard.classifiers.evaluation import predict
from pixguard.config import AttackSettings
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.registry import UNTRAINED
from pixguard.errors import UsageError
from pixguard.records import PredictionRecord, RestorationRecord
from pixguard.runner.denoisers import (
    find_denoiser,
    is_default,
    known_denoisers,
    label,
    load_denoiser,
    register_untrained,
)
from pixguard.runner.plan import select_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Defence, Subject
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.writer import Writer
from pixguard.words import shell_word


def find_defence(engine: Engine, subject: Subject, selector: str) -> Defence:
    """Return the denoiser that a user means: an id, a name, or ``latest`` for the newest trained.

    Raises:
        UsageError: there is none for the dataset.
    """
    if selector in UNTRAINED:
        return Defence(selector)
    name = subject.dataset.info.name
    known = known_denoisers(engine, subject)
    if selector != reader.LATEST:
        stored = find_denoiser(known, selector, name)
        return Defence(label(stored), stored)
    # Those without weights are registered by `denoise apply`, after what was trained for it.
    trained = [m for m in known if m.record.epochs and is_default(m)]
    if not trained:
        raise UsageError(
            f"no denoiser has been trained for {name!r}",
            f"pixguard denoise train --dataset {shell_word(name)}, or `through=median`",
        )
    return Defence(label(trained[-1]), trained[-1])


def defend(session: Session, subject: Subject, selector: str) -> Subject:
    """Return a subject whose classifier stands behind a denoiser, and say which it is.

    Raises:
        UsageError: there is no such denoiser for the dataset.
    """
    with reading(session.database) as engine:
        defence = find_defence(engine, subject, selector)
    channels = subject.dataset.info.channels
    if defence.stored is None:
        denoiser = build_denoiser(defence.name, channels).to(session.device).eval()
    else:
        denoiser = load_denoiser(session, defence.stored, channels)
    session.display.say(f"through {defence}")
    return replace(subject, classifier=behind(subject.classifier, denoiser), defence=defence)


def gradient_through(subject: Subject) -> str:
    """Return in words which gradient a white-box attack gets of the defence."""
    return "as if it changed nothing (BPDA)" if is_bpda(subject.classifier) else "its own"


def select_behind(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    bare: Mapping[int, PredictionRecord],
) -> tuple[list[int], dict[int, RestorationRecord], list[RestorationRecord]]:
    """Return the images to attack behind a defence, its decisions, and a sample of these.

    The sample are the images that would be attacked without the defence. All decisions are none: of
    a class that the defence breaks, image after image is asked about.

    Args:
        session: where to judge, and who watches.
        subject: the defended classifier.
        settings: which images.
        bare: the decisions of the classifier alone on the test images, by index.

    Raises:
        InterruptedRunError: a stop was requested.
    """
    made = dict[int, RestorationRecord]()

    def judge(index: int) -> RestorationRecord:
        if index not in made:
            made[index] = _judge_clean(session, subject, index)
        return made[index]

    chosen = select_defended(session, subject, settings, bare, lambda i: judge(i).recovered)
    sample = [judge(index) for index in select_images(subject.dataset, bare, settings)]
    return chosen, made, sample


def select_defended(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    bare: Mapping[int, PredictionRecord],
    is_right: Callable[[int], bool],
) -> list[int]:
    """Return the images to attack in the face of a defence: what ``is_right`` says of each counts.

    Raises:
        InterruptedRunError: a stop was requested.
    """
    at_most, asked, right = len(select_images(subject.dataset, bare, settings)), 0, 0
    title = "judging clean images with the defence"
    with session.display.track(title, at_most, "right") as progress:

        def right_behind(index: int) -> bool:
            nonlocal asked, right
            session.honour_stop("the attack has not begun", session.again(settings.seed))
            is_one = is_right(index)
            asked, right = asked + 1, right + is_one
            if is_one and right <= at_most:
                progress.update(right, f"{asked - right} not")
            return is_one

        return select_images(subject.dataset, bare, settings, right_behind)


def _judge_clean(session: Session, subject: Subject, index: int) -> RestorationRecord:
    """Judge a clean image behind the defence; the time is that of restoring and judging."""
    started = time.perf_counter()
    (decision,) = predict(subject.classifier, subject.dataset, [index], device=session.device)
    return RestorationRecord(
        image_index=index,
        attempt_id=None,
        predicted=decision.predicted,
        confidence=decision.confidence,
        recovered=decision.predicted == subject.dataset.label_set(index),
        elapsed_ms=(time.perf_counter() - started) * 1000,
    )


def store_defence(writer: Writer, subject: Subject, clean: Sequence[RestorationRecord]) -> int:
    """Store what a defence makes of clean images; return the denoiser's id.

    A denoiser without weights is registered if it is new.
    """
    assert subject.defence is not None
    stored = subject.defence.stored or register_untrained(
        writer, subject.defence.name, subject.dataset.info, subject.dataset_id
    )
    ids = reader.image_ids(writer.engine, subject.dataset_id)
    for record in clean:
        writer.restoration(
            record,
            image_id=ids[record.image_index],
            classifier_id=subject.model.id,
            denoiser_id=stored.id,
        )
    return stored.id


def check_through(settings: AttackSettings, through: str | None) -> None:
    """Refuse images that a defended classifier is right about one label of.

    Raises:
        UsageError: what a denoiser recovers is a whole label set.
    """
    if through is not None and settings.which == "label":
        told = "behind a denoiser an image is right where its whole label set is"
        raise UsageError(told, "`which=any`, or leave `through=...` out")


def clean_cost(
    subject: Subject, bare: Mapping[int, PredictionRecord], clean: Sequence[RestorationRecord]
) -> dict[str, int]:
    """Return what a defence costs on clean images, of those that were judged behind it.

    Args:
        subject: the dataset.
        bare: the decisions of the classifier alone, by index.
        clean: those of the defended classifier.

    Returns:
        ``clean_judged``: how many the classifier alone is right about, ``clean_broken``: of
        these, how many the defended one is wrong about.
    """
    truth = subject.dataset.label_set
    judged = [r for r in clean if bare[r.image_index].predicted == truth(r.image_index)]
    return {
        "clean_judged": len(judged),
        "clean_broken": sum(not record.recovered for record in judged),
    }
