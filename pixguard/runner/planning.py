"""What an attack takes before its first candidate: the defence, the search, the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from sqlalchemy import Engine

from pixguard.attacks.engine.search import Search, make_search
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.records import (
    AttackRecord,
    DatasetInfo,
    DetectionRecord,
    PredictionRecord,
    RestorationRecord,
)
from pixguard.runner.defence import check_through, defend, select_behind
from pixguard.runner.plan import (
    Plan,
    is_right_about,
    plan_attempts,
    resolve_targets,
    select_images,
)
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.surrogate import open_surrogate, with_surrogate
from pixguard.runner.watching import check_guarded, open_guard, select_silent, watched
from pixguard.shards import Shard
from pixguard.store import reader
from pixguard.words import shell_word


def full_record(
    search: Search,
    settings: AttackSettings,
    task: str,
    threat: Mapping[str, str] = MappingProxyType({}),
) -> AttackRecord:
    """Return the attack's record; what counts as success is one of its parameters.

    So is the ``threat``, see :attr:`Subject.threat`.
    """
    goal = "targeted" if settings.target else "non-targeted"
    parameters = {**search.record.parameters, "goal": goal, **threat}
    if task == "multi-label":
        parameters["success"] = "label" if settings.target else settings.success
    return replace(search.record, parameters=parameters)


def prepare(
    session: Session,
    subject: Subject,
    settings: AttackSettings,
    through: str | None,
    undetected_by: str | None,
) -> tuple[Subject, AttackSettings, Subject, Search, AttackRecord]:
    """Return subject and settings, what is attacked, the search, and the record of the attack.

    Raises:
        UsageError: as :func:`pixguard.runner.attacking.attack`, before anything is written.
    """
    subject, settings = with_surrogate(session, subject, settings)
    search, record = open_search(subject, settings)
    search.surrogate = open_surrogate(session, subject.surrogate, subject.resized_to)
    check_through(settings, through)
    target = subject if through is None else defend(session, subject, through)
    if undetected_by is not None:
        check_guarded(settings, search, through)
        target = watched(session, subject, undetected_by)
        assert target.watch is not None
        search.guard = open_guard(session, target.watch, search.channels, settings.attack)
    return subject, settings, target, search, record


def open_search(subject: Subject, settings: AttackSettings) -> tuple[Search, AttackRecord]:
    """Return the search and its full record.

    Raises:
        UsageError: the search does not work on such images, or that many pixels; the definition of
            success is not for such an attack; the dataset has no such target.
    """
    info = subject.dataset.info
    check_definition(settings, info)
    resolve_targets(info, settings.target, ())
    search = make_search(
        settings.attack, settings.options, pixels=settings.pixels, channels=info.channels
    )
    return search, full_record(search, settings, info.task, subject.threat)


def check_definition(settings: AttackSettings, info: DatasetInfo) -> None:
    """Refuse a definition of success that the attack could not use.

    Raises:
        UsageError: ``argmax`` for a multi-class dataset, a targeted attack, or a single label;
            images that are right about a label for anything but an attack on one of several.
    """
    if settings.success == "argmax" and (
        info.task == "multi-class" or settings.target or info.label_count < 2
    ):
        raise UsageError(
            "success by argmax is for non-targeted attacks on several labels at once",
            "take the default, label-set",
        )
    if settings.which == "label" and (info.task == "multi-class" or not settings.target):
        raise UsageError(
            "images that are right about a label are for attacks on one of several labels",
            "`target=each`, or a label's name; or leave `which=label` out",
        )


def make_plan(
    session: Session,
    engine: Engine,
    subject: Subject,
    record: AttackRecord,
    settings: AttackSettings,
    predictions: Mapping[int, PredictionRecord],
) -> Plan:
    """Return the plan and what of it is done.

    Args:
        session: where a defended classifier judges clean images, as many as the plan needs.
        engine: the open database.
        subject: what is attacked.
        record: the attack.
        settings: of the plan.
        predictions: the decisions of the classifier, without a defence, on the test images.

    Raises:
        UsageError: no test image is classified correctly.
        InterruptedRunError: a stop was requested.
    """
    info, model, defence = subject.dataset.info, subject.model, subject.defence
    clean: Sequence[RestorationRecord] = ()
    scored: Sequence[DetectionRecord] = ()
    if subject.watch is not None:
        indices, scored = select_silent(session, subject, settings, predictions)
    elif defence is None:
        indices = select_images(subject.dataset, predictions, settings)
    else:
        indices, judged, clean = select_behind(session, subject, settings, predictions)
        predictions = {
            index: PredictionRecord(index, r.predicted, r.confidence) for index, r in judged.items()
        }
    if not indices and scored:
        raise UsageError(
            f"{subject.watch} raises an alarm at all {len(scored)} clean test images that "
            f"classifier {model.id} is right about: there is nothing to attack",
            f"pixguard detect train --dataset {shell_word(info.name)} with a larger "
            "`false_alarms=...`",
        )
    if not indices:
        behind = "" if defence is None else f", behind {defence},"
        raise UsageError(
            f"classifier {model.id}{behind} classifies no test image of {info.name!r} correctly: "
            "there is nothing to attack",
            "`target=each` with `which=label`: images on which that label is right"
            if info.task == "multi-label" and settings.which != "label"
            else f"pixguard train --dataset {shell_word(info.name)} --fresh-seed, with more epochs"
            if model.record.is_plain
            else "add it again with its classes in the order of `pixguard data info`, and with the "
            "`mean=...` and `std=...` that it was trained with",
        )
    hashes = {r.index: r.sha256 for r in subject.dataset.records(indices)}

    def right_about(index: int, target: int | None) -> bool:
        truth = subject.dataset.label_set(index)
        return settings.which != "label" or is_right_about(
            target, truth, predictions[index].predicted
        )

    attempts = plan_attempts(
        subject.dataset,
        indices,
        hashes,
        record,
        model.record.weights_sha256,
        settings,
        through=None if defence is None else defence.identity,
        undetected_by=None if subject.watch is None else subject.watch.identity,
        right_about=right_about,
    )
    present = reader.attempt_outcomes(engine, model.id, subject.dataset_id)
    done = {a.key: present[a.key] for a in attempts if a.key in present}
    shard = None if settings.shard is None else Shard.parse(settings.shard)
    return Plan(record, attempts, done, predictions, clean, scored, shard)
