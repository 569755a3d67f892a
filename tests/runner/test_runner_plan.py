from dataclasses import replace

import numpy as np
import pytest

from pixguard.attacks.engine.search import make_search
from pixguard.config import AttackSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import UsageError
from pixguard.records import (
    NO_FINDING_ORDINAL,
    AttackRecord,
    ClassInfo,
    DatasetInfo,
    PredictionRecord,
)
from pixguard.runner.plan import (
    attempt_key,
    is_right_about,
    plan_attempts,
    resolve_targets,
    select_images,
)
from pixguard.runner.planning import full_record


def dataset(labels: np.ndarray, attack_codes: tuple[str, ...] | None = None) -> ImageDataset:
    multi = labels.ndim == 2
    ordinals = [*range(labels.shape[1]), NO_FINDING_ORDINAL] if multi else [0, 1, 2]
    info = DatasetInfo(
        "set", "folder", 28, "v", "paper", 0, "m", "multi-label" if multi else "multi-class", 1,
        tuple(ClassInfo(o, f"class {o}") for o in ordinals),
    )  # fmt: skip
    splits = np.full(len(labels), 2, np.uint8)
    splits[:5] = 0
    return ImageDataset(info, labels, splits, lambda i: np.zeros((len(i), 28, 28, 1), np.uint8),
                        attack_codes)  # fmt: skip


MULTI_CLASS = dataset(np.arange(65) % 3)
MULTI_LABEL = dataset(
    np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10, np.uint8), attack_codes=("", "1")
)


def right_predictions(data: ImageDataset, wrong: frozenset[int] = frozenset()):
    return {
        i: PredictionRecord(i, (2,) if i in wrong else data.label_set(i), 0.9)
        for i in range(len(data))
    }


def test_only_correct_test_images_are_attacked():
    wrong = frozenset({6, 9, 20})
    chosen = select_images(MULTI_CLASS, right_predictions(MULTI_CLASS, wrong), AttackSettings())
    correct = {i for i in wrong if MULTI_CLASS.label_set(i) == (2,)}
    assert set(chosen) == set(range(5, 65)) - (wrong - correct)


@pytest.mark.parametrize("per_class", [1, 7])
def test_per_class_is_balanced_and_seeded(per_class):
    predictions = right_predictions(MULTI_CLASS)
    chosen = select_images(MULTI_CLASS, predictions, AttackSettings(per_class=per_class))
    assert np.bincount([i % 3 for i in chosen]).tolist() == [per_class] * 3
    again = select_images(MULTI_CLASS, predictions, AttackSettings(per_class=per_class))
    other = select_images(MULTI_CLASS, predictions, AttackSettings(per_class=per_class, seed=1))
    assert chosen == again != other


def test_a_larger_limit_contains_a_smaller_one_and_both_are_balanced():
    predictions = right_predictions(MULTI_CLASS)
    small = select_images(MULTI_CLASS, predictions, AttackSettings(limit=6))
    large = select_images(MULTI_CLASS, predictions, AttackSettings(limit=30))
    assert large[:6] == small
    assert np.bincount([i % 3 for i in large]).tolist() == [10] * 3


def test_a_multi_label_dataset_is_attacked_in_the_categories_it_names():
    chosen = select_images(MULTI_LABEL, right_predictions(MULTI_LABEL), AttackSettings())
    assert {MULTI_LABEL.label_set(i) for i in chosen} == {(), (1,)}
    assert chosen == [i for i in chosen if i >= 5]


def test_targets():
    info = MULTI_CLASS.info
    assert resolve_targets(info, None, (0,)) == [None]
    assert resolve_targets(info, "class 2", (0,)) == [2]
    assert resolve_targets(info, "2", (0,)) == [2]
    assert resolve_targets(info, "0", (0,)) == []
    assert resolve_targets(info, "each", (1,)) == [0, 2]
    assert resolve_targets(MULTI_LABEL.info, "each", (1,)) == [0, 1]
    with pytest.raises(UsageError, match="no class 'lesion'"):
        resolve_targets(info, "lesion", (0,))


def test_every_part_of_a_key_counts():
    attack = AttackRecord("de", 1, 1, {"a": 1})
    base = (attack, "w", "i", 3, None, 0, 0)
    changed = [
        (AttackRecord("de", 2, 1, {"a": 1}), *base[1:]),
        (AttackRecord("de", 1, 2, {"a": 1}), *base[1:]),
        (AttackRecord("de", 1, 1, {"a": 2}), *base[1:]),
        (attack, "v", *base[2:]),
        (attack, "w", "j", *base[3:]),
        (attack, "w", "i", 4, *base[4:]),
        (*base[:4], 0, 0, 0),
        (*base[:5], 1, 0),
        (*base[:6], 1),
        (*base, ("median", "")),
        (*base, ("identity", "")),
        (*base, ("median", "v")),
    ]
    keys = [attempt_key(*arguments) for arguments in [base, *changed]]
    assert len(set(keys)) == len(keys)
    assert attempt_key(*base) == keys[0]


def test_keys_are_those_of_databases_that_were_made_before_there_were_defences():
    """The first attempt of ``pixguard.db.example``."""
    settings = AttackSettings()
    attack = full_record(make_search(settings.attack), settings, "multi-class")
    weights = "e7f252b8fb08fdad9bc304b9ac082409db187d731095790501b69a527b2e2967"
    image = "a0548c103906f13e757bf5f1c46b4e27b4071fcee0719d3df969dbee043e950e"
    data = dataset(np.arange(4894) % 3)
    (bare,) = plan_attempts(data, [4893], {4893: image}, attack, weights, settings)
    assert bare.key == "697458d3f24b82ed7484c85eed8558d44a641a3996845a616476146d7d2d3a52"
    through = ("median", "")
    (other,) = plan_attempts(data, [4893], {4893: image}, attack, weights, settings, through)
    assert other.key != bare.key


WRONG = frozenset({6, 9, 20})
BROKEN = frozenset({5, 7, 8, 30})


def images_behind(settings: AttackSettings) -> tuple[list[int], list[int]]:
    """Select behind a defence that breaks some images and mends one; return what it was asked."""
    asked: list[int] = []

    def right_behind(index: int) -> bool:
        asked.append(index)
        return index not in BROKEN and index != 9

    predictions = right_predictions(MULTI_CLASS, WRONG)
    return select_images(MULTI_CLASS, predictions, settings, right_behind), asked


def test_behind_a_defence_all_images_that_it_is_right_about_are_attacked():
    chosen, asked = images_behind(AttackSettings())
    assert sorted(chosen) == sorted(set(range(5, 65)) - BROKEN - {9})
    assert sorted(asked) == list(range(5, 65)), "each is judged, and once"


@pytest.mark.parametrize("settings", [AttackSettings(limit=10), AttackSettings(per_class=4)])
def test_behind_a_defence_no_more_images_are_judged_than_needed(settings):
    chosen, asked = images_behind(settings)
    bare = select_images(MULTI_CLASS, right_predictions(MULTI_CLASS, WRONG), AttackSettings())
    assert [i for i in bare if i in set(chosen)] == chosen, "in the order without a defence"
    assert len(chosen) == (settings.limit or 3 * settings.per_class)
    assert set(asked) - set(chosen) <= BROKEN


def test_a_plan_has_one_attempt_for_each_image_target_and_repeat():
    settings = AttackSettings(target="each", repeats=2)
    attack = AttackRecord("de", 1, 1, {})
    plan = plan_attempts(MULTI_CLASS, [5, 6], {5: "a", 6: "b"}, attack, "w", settings)
    assert len({a.key for a in plan}) == len(plan) == 2 * 2 * 2
    assert {(a.image_index, a.target) for a in plan} == {(5, 0), (5, 1), (6, 1), (6, 2)}


def test_any_label_set_is_attacked_where_it_is_asked_for():
    chosen = select_images(MULTI_LABEL, right_predictions(MULTI_LABEL), AttackSettings(which="any"))
    assert sorted(chosen) == list(range(5, 40))


def test_an_image_is_attacked_about_the_labels_that_are_right_of_it():
    predictions = right_predictions(MULTI_LABEL, frozenset({6, 7}))
    predictions[6] = PredictionRecord(6, (0, 1), 0.9)  # truly (0,): right about 0 alone
    predictions[7] = PredictionRecord(7, (), 0.9)  # truly (0, 1): right about neither
    one = AttackSettings(target="class 0", which="label")
    chosen = select_images(MULTI_LABEL, predictions, one)
    assert set(chosen) == set(range(5, 40)) - {7}
    few = select_images(MULTI_LABEL, predictions, replace(one, per_class=3))
    assert sorted(0 in MULTI_LABEL.label_set(i) for i in few) == [False] * 3 + [True] * 3
    assert few == chosen[:6]  # a smaller plan begins a larger one

    each = AttackSettings(target="each", which="label")
    chosen = select_images(MULTI_LABEL, predictions, each)
    attack = AttackRecord("random", 1, 1, {})

    def right_about(index, target):
        return is_right_about(target, MULTI_LABEL.label_set(index), predictions[index].predicted)

    hashes = {i: str(i) for i in chosen}
    planned = plan_attempts(MULTI_LABEL, chosen, hashes, attack, "w", each, right_about=right_about)
    assert [a.target for a in planned if a.image_index == 6] == [0]
    assert [a.target for a in planned if a.image_index == 5] == [0, 1] and 7 not in chosen
