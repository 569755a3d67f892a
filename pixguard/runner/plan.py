"""What is to be attacked: which images, which targets, under which keys.

A plan is a pure function of the dataset, the clean predictions and the settings. What is left to
do is the plan's keys minus the keys that the database holds; there is no other state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pixguard.config import AttackSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import UsageError
from pixguard.records import (
    NO_FINDING_ORDINAL,
    AttackRecord,
    DatasetInfo,
    LabelSet,
    PredictionRecord,
    digest,
    encode_label_set,
)


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One attempt of a plan: its key, and what the key was made of."""

    key: str
    image_index: int
    target: int | None
    repeat: int


@dataclass(frozen=True, slots=True)
class Plan:
    """An attack plan against what the database holds."""

    record: AttackRecord
    attempts: Sequence[PlannedAttempt]
    done: frozenset[str]

    @property
    def todo(self) -> list[PlannedAttempt]:
        """The attempts that are still to be made."""
        return [a for a in self.attempts if a.key not in self.done]


def attempt_key(
    attack: AttackRecord,
    weights_sha256: str,
    image_sha256: str,
    image_index: int,
    target: int | None,
    repeat: int,
    seed: int,
) -> str:
    """Return the key of an attempt: 64 hexadecimal digits, the same on every machine."""
    return digest(
        {
            "attack": [attack.name, attack.version, attack.pixels, attack.parameters_hash],
            "weights": weights_sha256,
            "image": [image_index, image_sha256],
            "target": target,
            "repeat": repeat,
            "seed": seed,
        }
    )


def select_images(
    dataset: ImageDataset,
    predictions: Mapping[int, PredictionRecord],
    settings: AttackSettings,
) -> list[int]:
    """Return the test images to attack, in the order in which they are attacked.

    Only correctly classified images are attacked (the paper, section 4.1.2), and of a multi-label
    dataset only the categories that its definition names. The order is drawn with the seed and
    goes round the classes, so that ``limit`` cuts a balanced set and a larger one contains it.
    """
    by_code: dict[str, list[int]] = {}
    for index in dataset.indices("test").tolist():
        truth = dataset.label_set(index)
        code = encode_label_set(truth)
        wanted = dataset.attack_codes is None or code in dataset.attack_codes
        if wanted and predictions[index].predicted == truth:
            by_code.setdefault(code, []).append(index)
    ranked: list[tuple[int, str, int]] = []
    for code, indices in by_code.items():
        stream = np.random.Generator(np.random.PCG64([settings.seed, int(digest(code)[:8], 16)]))
        drawn = stream.permutation(indices)[: settings.per_class or None]
        ranked += [(rank, code, int(index)) for rank, index in enumerate(drawn)]
    return [index for _, _, index in sorted(ranked)][: settings.limit]


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
        raise UsageError(f"{info.name} has no class {target!r}", f"--target one of {choices}, each")
    # A multi-class image that is already of the target class cannot be moved to it.
    return [] if info.task == "multi-class" and named[0] in truth else named


def plan_attempts(
    dataset: ImageDataset,
    indices: Sequence[int],
    image_sha256: Mapping[int, str],
    attack: AttackRecord,
    weights_sha256: str,
    settings: AttackSettings,
) -> list[PlannedAttempt]:
    """Return every attempt of a plan, in order, whether or not it has been made."""
    return [
        PlannedAttempt(
            attempt_key(attack, weights_sha256, image_sha256[i], i, target, repeat, settings.seed),
            i,
            target,
            repeat,
        )
        for repeat in range(settings.repeats)
        for i in indices
        for target in resolve_targets(dataset.info, settings.target, dataset.label_set(i))
    ]
