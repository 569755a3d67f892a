"""What is to be attacked: which images, which targets, under which keys.

A plan is a pure function of the dataset, the clean predictions and the settings. What is left to
do is the plan's keys minus the keys that the database holds; there is no other state.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pixguard.config import AttackSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import UsageError
from pixguard.records import (
    NO_FINDING_ORDINAL,
    AttackRecord,
    DatasetInfo,
    DetectionRecord,
    LabelSet,
    PlannedAttempt,
    PredictionRecord,
    RestorationRecord,
    digest,
    encode_label_set,
)
from pixguard.registry import near
from pixguard.shards import Shard
from pixguard.statistics import wilson_interval
from pixguard.words import shell_word


@dataclass(frozen=True, slots=True)
class Plan:
    """An attack plan against what the database holds.

    Attributes:
        record: the attack.
        attempts: all of them, in order.
        done: of those that the database holds, by key, whether they succeeded.
        predictions: the decisions on the clean images, by index, of what is attacked: of the
            classifier behind its defence, where there is one.
        clean: every clean image that had to be judged behind the defence.
        scored: every clean image that had to be scored by the detector.
        shard: the part of the attempts that is made here; None: all.
    """

    record: AttackRecord
    attempts: Sequence[PlannedAttempt]
    done: Mapping[str, bool]
    predictions: Mapping[int, PredictionRecord]
    clean: Sequence[RestorationRecord] = ()
    scored: Sequence[DetectionRecord] = ()
    shard: Shard | None = None

    @property
    def todo(self) -> list[PlannedAttempt]:
        """The attempts that are still to be made here."""
        missing = [a for a in self.attempts if a.key not in self.done]
        return missing if self.shard is None else [a for a in missing if self.shard.holds(a.key)]


class Beginning:
    """The longest finished beginning of a plan's first repeat, as it grows.

    Successes end early: a rate over whatever has ended is too high. The order of a plan is drawn
    at random, so that its beginning is an unbiased sample of it.

    Attributes:
        attempts: how many were made; those that failed are passed over.
        successes: how many of them succeeded.
    """

    def __init__(self, plan: Plan) -> None:
        self.attempts = self.successes = 0
        self._order = [attempt for attempt in plan.attempts if attempt.repeat == 0]
        self._ended: dict[str, bool | None] = dict(plan.done)
        self._place = 0
        self._advance()

    def end(self, key: str, success: bool | None) -> None:
        """Take the end of an attempt; ``success`` is None where it failed."""
        self._ended[key] = success
        self._advance()

    def _advance(self) -> None:
        while self._place < len(self._order) and self._order[self._place].key in self._ended:
            success = self._ended[self._order[self._place].key]
            self.attempts += success is not None
            self.successes += bool(success)
            self._place += 1

    def rate(self) -> dict[str, Any]:
        """Return successes, attempts, and the rate with its 95 % Wilson interval, in [0, 1]."""
        return _rate(self.successes, self.attempts)

    def by_class(self, dataset: ImageDataset) -> list[dict[str, Any]]:
        """Return the rate of each true class; an image counts in every class that it carries."""
        ended: dict[int, list[bool]] = {c.ordinal: [] for c in dataset.info.classes}
        for attempt in self._order[: self._place]:
            success = self._ended[attempt.key]
            if success is None:
                continue
            for ordinal in dataset.label_set(attempt.image_index) or (NO_FINDING_ORDINAL,):
                ended.setdefault(ordinal, []).append(success)
        names = {c.ordinal: c.name for c in dataset.info.classes}
        return [
            {"class": names.get(ordinal, "no label"), **_rate(sum(own), len(own))}
            for ordinal, own in ended.items()
        ]

    def __str__(self) -> str:
        """``39.3 % of the first 28``."""
        share = 100 * self.successes / max(1, self.attempts)
        return f"{share:.1f} % of the first {self.attempts}"


def _rate(successes: int, attempts: int) -> dict[str, Any]:
    return {
        "successes": successes,
        "attempts": attempts,
        "rate": successes / attempts if attempts else None,
        "interval": wilson_interval(successes, attempts),
    }


def by_shape(plan: Plan, dataset: ImageDataset) -> list[Plan]:
    """Return the parts of a plan whose images have one shape each, in which something is to do.

    One part at least: the first, where nothing is to do.
    """
    if not dataset.info.is_native:
        return [plan]
    parts: dict[tuple[int, int], list[PlannedAttempt]] = {}
    for attempt in plan.attempts:
        parts.setdefault(dataset.shape(attempt.image_index), []).append(attempt)
    plans = [replace(plan, attempts=attempts) for attempts in parts.values()]
    return [part for part in plans if part.todo] or plans[:1]


def attempt_key(
    attack: AttackRecord,
    weights_sha256: str,
    image_sha256: str,
    image_index: int,
    target: int | None,
    repeat: int,
    seed: int,
    through: tuple[str, str] | None = None,
    undetected_by: tuple[str, str] | None = None,
) -> str:
    """Return the key of an attempt: 64 hexadecimal digits, the same on every machine.

    ``through`` is the name of the denoiser before the classifier, and the digest of its weights,
    ``undetected_by`` that of the detector beside it.
    """
    parts: dict[str, object] = {
        "attack": [attack.name, attack.version, attack.pixels, attack.parameters_hash],
        "weights": weights_sha256,
        "image": [image_index, image_sha256],
        "target": target,
        "repeat": repeat,
        "seed": seed,
    }
    if through is not None:  # no entry without one: databases hold keys that were made so
        parts["through"] = list(through)
    if undetected_by is not None:
        parts["undetected_by"] = list(undetected_by)
    return digest(parts)


def select_images(
    dataset: ImageDataset,
    predictions: Mapping[int, PredictionRecord],
    settings: AttackSettings,
    right_behind: Callable[[int], bool] | None = None,
) -> list[int]:
    """Return the test images to attack, in the order in which they are attacked.

    Only correctly classified images are attacked (the paper, section 4.1.2), and of a multi-label
    dataset only the categories that its definition names, unless ``which`` says otherwise. The
    order is drawn with the seed and goes round the classes, so that ``limit`` cuts a balanced set
    and a larger one contains it. Where one label is what has to be right, the classes are those
    with the label and those without.

    Args:
        dataset: the images and their labels.
        predictions: the classifier's decisions on the test images, by index.
        settings: seed, ``which``, ``per_class`` and ``limit``; with a target, where ``which`` is
            ``label``.
        right_behind: for a classifier behind a defence, tells whether it is right about an image;
            asked no more often than needed. Images that the classifier alone is right about come
            first and in the order without a defence, so that both attacks meet the same images.
    """
    classes = []
    for code, (right, wrong) in sorted(_by_class(dataset, predictions, settings).items()):
        stream = np.random.Generator(np.random.PCG64([settings.seed, int(digest(code)[:8], 16)]))
        drawn: Iterator[int] = map(int, stream.permutation(right))
        if right_behind is not None:
            drawn = itertools.chain(drawn, map(int, stream.permutation(wrong)))
            drawn = filter(right_behind, drawn)
        classes.append(itertools.islice(drawn, settings.most_per_class))
    return list(itertools.islice(_in_turn(classes), settings.limit))


def _by_class(
    dataset: ImageDataset,
    predictions: Mapping[int, PredictionRecord],
    settings: AttackSettings,
) -> dict[str, tuple[list[int], list[int]]]:
    """Return the test images that may be attacked: code -> (correctly classified, the others)."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    of_label = settings.which == "label"
    targets = resolve_targets(dataset.info, settings.target, ()) if of_label else [None]
    for index in dataset.indices("test").tolist():
        truth, predicted = dataset.label_set(index), predictions[index].predicted
        told = {*truth} & {*targets} if len(targets) == 1 and of_label else truth
        code = encode_label_set(sorted(told))
        if (
            settings.which != "paper"
            or dataset.attack_codes is None
            or code in dataset.attack_codes
        ):
            right, wrong = found.setdefault(code, ([], []))
            is_right = any(is_right_about(target, truth, predicted) for target in targets)
            (right if is_right else wrong).append(index)
    return found


def is_right_about(label: int | None, truth: LabelSet, predicted: LabelSet) -> bool:
    """Say whether a decision is right about a label; None: about the whole label set."""
    return predicted == truth if label is None else (label in predicted) == (label in truth)


def _in_turn(iterators: Sequence[Iterator[int]]) -> Iterator[int]:
    """Yield one item of each iterator after another, and again, until all are used up."""
    while iterators:
        going = []
        for iterator in iterators:
            for item in itertools.islice(iterator, 1):
                yield item
                going.append(iterator)
        iterators = going


def resolve_targets(info: DatasetInfo, target: str | None, truth: LabelSet) -> Sequence[int | None]:
    """Return the targets of an image: ``[None]`` for a non-targeted attack.

    Raises:
        UsageError: the dataset has no class of that name or ordinal.
    """
    if target is None:
        return [None]
    classes = {c.ordinal: c.name for c in info.classes if c.ordinal != NO_FINDING_ORDINAL}
    if target == "each":
        return [o for o in classes if info.task == "multi-label" or o not in truth]
    named = [o for o, name in classes.items() if target in (str(o), name)]
    if not named:
        choices = ", ".join(f"{o} ({name})" for o, name in classes.items())
        guess = near(target, [*classes.values(), "each"])
        raise UsageError(
            f"{info.name} has no class {target!r}",
            f"did you mean `target={shell_word(guess[0])}`?"
            if guess
            else f"`target=...`, one of {choices}, each",
        )
    # A multi-class image that is already of the target class cannot be moved to it.
    return [] if info.task == "multi-class" and named[0] in truth else named


def plan_attempts(
    dataset: ImageDataset,
    indices: Sequence[int],
    image_sha256: Mapping[int, str],
    attack: AttackRecord,
    weights_sha256: str,
    settings: AttackSettings,
    through: tuple[str, str] | None = None,
    undetected_by: tuple[str, str] | None = None,
    right_about: Callable[[int, int | None], bool] = lambda index, target: True,
) -> list[PlannedAttempt]:
    """Return every attempt of a plan, in order, whether or not it has been made.

    ``right_about`` tells whether the classifier is right about a target of an image; it is not
    attacked otherwise.
    """

    def key(index: int, target: int | None, repeat: int) -> str:
        sha256, seed = image_sha256[index], settings.seed
        of = (attack, weights_sha256, sha256, index, target, repeat, seed)
        return attempt_key(*of, through=through, undetected_by=undetected_by)

    return [
        PlannedAttempt(key(i, target, repeat), i, target, repeat)
        for repeat in range(settings.repeats)
        for i in indices
        for target in resolve_targets(dataset.info, settings.target, dataset.label_set(i))
        if right_about(i, target)
    ]
