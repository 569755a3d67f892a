"""Attacks that must not raise a detector's alarm: which detector, and on whom it is silent."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pixguard.attacks.engine.guard import Guard
from pixguard.attacks.engine.search import Search
from pixguard.attacks.registry import ATTACKS
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.records import DetectionRecord, PredictionRecord
from pixguard.registry import suggestion
from pixguard.runner.defence import select_defended
from pixguard.runner.detectors import load_detector, watch_of
from pixguard.runner.plan import select_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject, Watch
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.writer import Writer
from pixguard.words import shell_word


def watched(session: Session, subject: Subject, selector: str) -> Subject:
    """Return a subject beside whose classifier a detector stands, and say which it is.

    Args:
        session: whose database holds the detector.
        subject: the classifier.
        selector: a detector of its dataset: an id, or a name's newest, or ``latest``.

    Raises:
        UsageError: there is none, or the images are of another size than the detector's.
    """
    if subject.resized_to is not None:
        raise UsageError(
            "a detector sees the image that the classifier takes, and pixels would be changed in "
            "the one before it is resized",
            "`attack_at=input`",
        )
    with reading(session.database) as engine:
        known = reader.models(engine, "detector", subject.model.dataset_id)
        names = [(str(m.id), m.record.architecture) for m in known]
        meant = [
            m
            for m, own in zip(known, names, strict=True)
            if selector == reader.LATEST or selector in own
        ]
        if not meant:
            dataset = subject.dataset.info.name
            raise UsageError(
                f"no detector {selector!r} is registered for {dataset!r}"
                + "".join(f"; there is {id_} ({name})" for id_, name in names),
                suggestion(selector, sorted({name for own in names for name in own}))
                if names
                else f"pixguard detect train --dataset {shell_word(dataset)}",
            )
        watch = watch_of(engine, meant[-1])
    session.display.say(f"a success must not alarm {watch}")
    return replace(subject, watch=watch)


def open_guard(session: Session, watch: Watch, channels: int, attack: str) -> Guard:
    """Return the detector, ready to be asked in an attack: less often, where that will do."""
    detector, is_complete = load_detector(session, watch, channels), ATTACKS[attack].complete
    if watch.asks is not None:  # about each pixel: an image takes as long as an attack
        return Guard(detector, only_fooling=True, batch=1)
    return Guard(detector, only_fooling=is_complete)


def check_guarded(settings: AttackSettings, search: Search, through: str | None) -> None:
    """Refuse attacks that a detector could not be heeded in.

    Raises:
        UsageError: the attack follows gradients or proves something of the classifier alone; one
            label is what an image must be right about; or there is a denoiser, too.
    """
    if search.entry.descends:
        others = ", ".join(n for n in ATTACKS.names if not ATTACKS[n].descends and n != "corner")
        raise UsageError(
            f"{search.entry.name} follows the classifier's gradient, which knows of no detector",
            f"`attack=corner`, or another that follows answers: {others}",
        )
    if search.record.parameters.get("by") == "bounds":
        told = "bounds prove what flips the classifier, whatever a detector says of it"
        raise UsageError(told, "`by=candidates`")
    if settings.which == "label":
        told = "beside a detector an image is right where its whole label set is"
        raise UsageError(told, "`which=any`, or leave `undetected_by=...` out")
    if through is not None:
        raise UsageError(
            "a denoiser before the classifier and a detector beside it are two defences: an attack "
            "is on one",
            "`through=...` or `undetected_by=...`, one of the two",
        )


def select_silent(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
) -> tuple[list[int], list[DetectionRecord]]:
    """Return the images to attack, which raise no alarm themselves, and a sample of clean scores.

    The sample is what would be attacked without the detector; see
    :func:`pixguard.runner.defence.select_behind`.

    Args:
        session: where to score, and who watches.
        subject: the classifier, and the detector beside it.
        settings: which images.
        predictions: the classifier's decisions on the test images, by index.

    Raises:
        InterruptedRunError: a stop was requested.
    """
    dataset, made = subject.dataset, dict[int, DetectionRecord]()
    assert subject.watch is not None
    guard = open_guard(session, subject.watch, dataset.info.channels, settings.attack)

    def score(index: int) -> DetectionRecord:
        if index not in made:
            started = time.perf_counter()
            found = guard.score(to_unit_range(dataset.images([index]), session.device))
            elapsed_ms = (time.perf_counter() - started) * 1000
            made[index] = DetectionRecord(index, None, found, found > 0, elapsed_ms)
        return made[index]

    def is_right(index: int) -> bool:
        is_known = predictions[index].predicted == dataset.label_set(index)
        return is_known and not score(index).flagged

    chosen = select_defended(session, subject, settings, predictions, is_right)
    return chosen, [score(index) for index in select_images(dataset, predictions, settings)]


def store_watch(writer: Writer, subject: Subject, clean: Sequence[DetectionRecord]) -> int:
    """Store what the detector says of clean images; return its id."""
    assert subject.watch is not None
    ids = reader.image_ids(writer.engine, subject.dataset_id)
    detector_id = subject.watch.stored.id
    for record in clean:
        writer.detection(record, image_id=ids[record.image_index], detector_id=detector_id)
    return detector_id
