"""Table ``detection``: every figure worked out by hand.

Detector #2 (normal: Healthy, nu 0.05) on the clean test images, score > 0 flagged:

    Healthy  20 images: -1 to -0.05 in steps of 0.05 (19 of them), and one at +0.2
    Nodule    4 images: -2, -0.5 (ties with one normal), 0.1, 0.3
    Mass      1 image: 0.2 (ties with the one normal that is flagged)
"""

import json
from typing import Any

import pytest

from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.specs import table_spec
from pixguard.reports.tables.detection import COLUMNS
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

TRAINED = {"normal": "Healthy", "nu": 0.05, "epochs": 3, "seed": 7, "training_images": 50}
CLASSES = [(0, "Healthy", None), (1, "Nodule", None), (2, "Mass", None)]
HEALTHY = [round(-1 + 0.05 * step, 2) for step in range(19)] + [0.2]
NODULES = [-2.0, -0.5, 0.1, 0.3]


def detector(db: Miniature, dataset: int, **changes: Any) -> int:
    return db.model(
        "detector", "one-class-svm", dataset, hyperparameters=json.dumps({**TRAINED, **changes})
    )


@pytest.fixture
def scored(empty: Miniature) -> Miniature:
    db = empty
    lungs = db.dataset("lungs", CLASSES)
    classifier, svm = db.model("classifier", "resnet50", lungs), detector(db, lungs)
    for code, scores in (("0", HEALTHY), ("1", NODULES), ("2", [0.2])):
        for score in scores:
            db.detection(svm, db.image(lungs, code), score, int(score > 0))
    # Neither training nor validation images count.
    db.detection(svm, db.image(lungs, "1", "val"), 9.0, 1)
    db.detection(svm, db.image(lungs, "0", "val"), 9.0, 1)
    assert (classifier, svm) == (1, 2)
    return db


def build(db: Miniature, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec("detection"), **options)


def by_aim(table: ReportTable) -> dict[Any, dict[str, Cell]]:
    names = [column.name for column in COLUMNS]
    rows = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
    return {row["to find"].value: row for row in rows}


def test_every_figure_of_a_class(scored: Miniature) -> None:
    table = build(scored)
    found = by_aim(table)
    assert list(found) == ["Nodule", "Mass", "all others"]
    nodule = found["Nodule"]
    assert [nodule[name].value for name in ("detector", "normal", "nu", "images", "compared")] == [
        "one-class-svm #2", "Healthy", 0.05, 4, 20,
    ]  # fmt: skip
    # -2 beats none; -0.5 ten and half of one; 0.1 nineteen; 0.3 all twenty.
    assert nodule["AUC"].value == pytest.approx((0 + 10.5 + 19 + 20) / 80)
    # One of twenty is 5 %: 0.1 and 0.3 have at most one normal at or above them.
    assert (nodule["found % at 5 %"].value, nodule["found % at 5 %"].denominator) == (50.0, 4)
    assert nodule["found % at 1 %"].value is None
    assert nodule["found % at 1 %"].note == "too few to compare"
    assert (nodule["flagged %"].value, nodule["flagged %"].denominator) == (50.0, 4)
    alarms = nodule["false alarms %"]
    assert (alarms.value, alarms.denominator) == (5.0, 20)
    assert alarms.interval == pytest.approx((0.8881, 23.6131), abs=1e-3)
    # 0.2 ties with the flagged normal: it beats nineteen and a half, one of twenty is at it.
    assert found["Mass"]["AUC"].value == pytest.approx(19.5 / 20)
    assert found["Mass"]["found % at 5 %"].value == 100.0
    assert found["all others"]["images"].value == 5
    assert found["all others"]["AUC"].value == pytest.approx((49.5 + 19.5) / 100)
    assert found["all others"]["flagged %"].value == 60.0
    assert table.title.endswith(": lungs")
    about, trained = table.caption
    assert "source medmnist, 28 x 28" in about
    assert trained.endswith(
        "normal class Healthy, 50 training images, 3 epochs, nu 0.05, seed 7"
    ) and trained.startswith("one-class-svm #2 (weights ")
    assert any(note.startswith("too few to compare: ") for note in table.notes)


def test_one_in_a_hundred(empty: Miniature) -> None:
    lungs = empty.dataset("lungs", CLASSES)
    svm = detector(empty, lungs)
    for score in range(100):
        empty.detection(svm, empty.image(lungs, "0"), float(score), 0)
    for score in (98.5, 98.0, 99.0, 99.5):  # 1, 2, 1 and 0 normal images score as high
        empty.detection(svm, empty.image(lungs, "1"), score, 0)
    row = by_aim(build(empty))["Nodule"]
    assert row["found % at 1 %"].value == 75.0
    assert row["found % at 5 %"].value == 100.0
    assert row["false alarms %"].value == 0.0
    assert row["AUC"].value == pytest.approx((99 + 98.5 + 99.5 + 100) / 400)


def test_attacked_images_are_compared_with_themselves(scored: Miniature) -> None:
    attack = scored.attack(2)
    other = scored.model("classifier", "densenet121", 1)
    attacked = {1: -1.0, 2: 0.4, 21: -0.5}  # clean: -1, -0.95 and (a nodule) -2
    for image, score in attacked.items():
        attempt = scored.attempt(attack, 1, image, 1)
        scored.detection(2, image, score, int(score > 0), attempt)
    scored.detection(2, 1, 5.0, 1, scored.attempt(attack, other, 1, 1))
    # What follows must not count.
    median = scored.model("denoiser", "median", 1)
    for changes in ({"target": 1}, {"repeat": 1}, {"through_model_id": median}):
        scored.detection(2, 3, 9.0, 1, scored.attempt(attack, 1, 3, 1, **changes))
    table = build(scored)
    found = by_aim(table)
    name = "attacked: differential-evolution, 2 pixels, population=100, generations=100, seed 0, {}"
    row = found[name.format("resnet50 #1")]
    assert (row["images"].value, row["compared"].value) == (3, 3)
    # -1 beats one and ties with one; 0.4 and -0.5 beat all three.
    assert row["AUC"].value == pytest.approx((1.5 + 3 + 3) / 9)
    assert row["flagged %"].value == pytest.approx(100 / 3)
    assert row["false alarms %"].value == 0.0
    assert row["found % at 5 %"].note == "too few to compare"
    assert found[name.format("densenet121 #3")]["AUC"].value == 1.0
    # The rows of the classes know of no attack.
    assert found["Nodule"]["images"].value == 4
    assert any("Attacked: " in note for note in table.notes)
    only = by_aim(build(scored, model="resnet50"))
    assert name.format("resnet50 #1") in only and name.format("densenet121 #3") not in only


def test_attacks_under_the_alarm_stand_beside_the_same_without_it(scored: Miniature) -> None:
    attack, later = scored.attack(2), scored.attack(1)
    for image, success in ((1, 1), (2, 1), (3, 0)):
        attempt = scored.attempt(attack, 1, image, success)
        scored.detection(2, image, 0.5, 1, attempt)
    # Image 4 was attacked under the alarm alone; targets and repeats do not count.
    for image, success in ((1, 1), (2, 0), (3, 0), (4, 0)):
        scored.attempt(attack, 1, image, success, through_model_id=2)
    for changes in ({"target": 1}, {"repeat": 1}):
        scored.attempt(attack, 1, 5, 1, through_model_id=2, **changes)
    scored.attempt(later, 1, 1, 0, through_model_id=2)
    found = by_aim(build(scored))
    name = (
        "attacked: differential-evolution, {}, population=100, generations=100, seed 0, resnet50 #1"
    )
    row = found[name.format("2 pixels")]
    fooled, undetected = row["fooled %"], row["undetected %"]
    assert (fooled.value, fooled.denominator) == (pytest.approx(200 / 3), 3)
    assert (undetected.value, undetected.denominator) == (25.0, 4)
    assert row["images"].value == 2, "what it found out about replayed attacks is as before"
    alone = found[name.format("1 pixel")]
    assert (alone["undetected %"].value, alone["undetected %"].denominator) == (0.0, 1)
    told = alone["fooled %"].not_run
    assert told and "--pixels 1 --model 1" in told and "--undetected-by" not in told
    assert alone["AUC"].not_run == "pixguard detect apply --dataset lungs --detector 2"
    assert found["Nodule"]["undetected %"].not_run is None


def test_an_attack_that_the_detector_was_not_in_says_how_to_attack_both(scored: Miniature) -> None:
    for name in ("corner", "spgd"):
        attack = scored.attack(1, name, parameters="{}")
        scored.detection(2, 1, 0.5, 1, scored.attempt(attack, 1, 1, 1))
    corner, descent = (
        row for aim, row in by_aim(build(scored)).items() if str(aim).startswith("attacked")
    )
    told = corner["undetected %"].not_run
    assert told and told.endswith("--attack corner --pixels 1 --model 1 --undetected-by 2 --seed 0")
    assert descent["undetected %"].not_run is None, "it could not heed a detector"


def test_the_commands_of_a_row_are_made_with_its_settings(scored: Miniature) -> None:
    bare, watched = (
        scored.attack(1, "sparse-rs", parameters=f'{{"queries": {n}}}') for n in (400, 500)
    )
    scored.detection(2, 1, 0.5, 1, scored.attempt(bare, 1, 1, 1))
    scored.attempt(watched, 1, 1, 0, through_model_id=2)
    for attack, queries, detector_id in ((bare, 400, None), (watched, 500, 2)):
        options = {"queries": queries}
        settings = {"attack": "sparse-rs", "pixels": 1, "limit": 40, "batch": 7, "per_class": None}
        scored.add(
            t.Plan, model_id=1, attack_id=attack, dataset_id=1, through_model_id=detector_id,
            run_id=1, seed=0, target=None, planned=1, command="", remarks="[]", created_ms=0,
            finished_ms=1, settings=json.dumps({**settings, "options": options}),
        )  # fmt: skip
    told = {
        str(aim): row["undetected %"].not_run or row["fooled %"].not_run
        for aim, row in by_aim(build(scored)).items()
        if str(aim).startswith("attacked")
    }
    command = "pixguard attack --dataset lungs --attack sparse-rs --pixels 1 --model 1"
    assert list(told.values()) == [
        f"{command} --undetected-by 2 --seed 0 --limit 40 --queries 400",
        f"{command} --seed 0 --limit 40 --queries 500",
    ]


def test_several_labels(empty: Miniature) -> None:
    """With no finding as the normal class, an image stands in the row of each of its labels."""
    classes = [(-1, "Normal", None), (0, "Mass", None), (1, "Nodule", None), (10, "Edema", None)]
    chest = empty.dataset("chest", classes, task="multi-label")
    svm = detector(empty, chest, normal="Normal")
    other = detector(empty, chest, normal="Mass")
    for label_set, score in (("", 0.0), ("0", 1.0), ("0,1", -1.0), ("10", 2.0)):
        image = empty.image(chest, label_set)
        empty.detection(svm, image, score, 1)
        empty.detection(other, image, score, 1)
    rows = [
        [row.cells[i].value for i in (0, 3, 4, 5, 6)] for row in build(empty, dataset="chest").rows
    ]
    assert rows == [
        ["one-class-svm #1", "Mass", 2, 1, 0.5],
        ["one-class-svm #1", "Nodule", 1, 1, 0.0],
        ["one-class-svm #1", "Edema", 1, 1, 1.0],
        ["one-class-svm #1", "all others", 3, 1, pytest.approx(2 / 3)],
        # Normal here: what carries Mass, with or without Nodule.
        ["one-class-svm #2", "Normal", 1, 2, 0.5],
        ["one-class-svm #2", "Edema", 1, 2, 1.0],
        ["one-class-svm #2", "all others", 2, 2, 0.75],
    ]


def test_what_is_missing_says_how_to_get_it(empty: Miniature) -> None:
    (command,) = build(empty).commands
    assert command == (
        "pixguard detect train --dataset chest; pixguard detect apply --dataset chest"
    )
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "detection"]
    assert listed.cells[2].not_run == command
    lungs = empty.dataset("lungs", CLASSES)
    detector(empty, lungs)
    table = build(empty)
    assert table.commands == ("pixguard detect apply --dataset lungs --detector 1",)
    assert table.rows[0].cells[1].value == "Healthy"


def test_a_dataset_of_one_class_has_nothing_to_find(empty: Miniature) -> None:
    lungs = empty.dataset("lungs", CLASSES[:1])
    svm = detector(empty, lungs)
    empty.detection(svm, empty.image(lungs, "0"), 1.0, 1)
    row = by_aim(build(empty))["all others"]
    assert (row["images"].value, row["AUC"].note) == (0, "no test images")


def test_datasets_are_not_mixed_and_phantoms_are_named(scored: Miniature) -> None:
    made_up = scored.dataset("derma", CLASSES, source="phantom")
    phantom = detector(scored, made_up)
    for code in ("0", "1"):
        scored.detection(phantom, scored.image(made_up, code), 1.0, 1)
    table = build(scored)
    assert table.title.endswith(": lungs")
    assert "There is data for derma, phantom (--dataset derma --size 28) too." in table.notes
    shown = build(scored, dataset="derma")
    assert list(by_aim(shown)) == ["Nodule"]  # all others are that class
    assert shown.title.endswith(": derma, phantom data")
    assert shown.caption[0].endswith("phantom data: synthetic, not the paper's")
    (listed,) = [r for r in list_tables(scored.engine).rows if r.cells[0].value == "detection"]
    assert listed.cells[2].value == "derma, lungs"


def test_one_in_a_thousand_takes_a_thousand_images(empty: Miniature) -> None:
    lungs = empty.dataset("lungs", CLASSES)
    svm = detector(empty, lungs)
    for score in (997.5, 998.0, 998.5, 999.5):
        empty.detection(svm, empty.image(lungs, "1"), score, 0)
    for score in range(999):
        empty.detection(svm, empty.image(lungs, "0"), float(score), 0)
    few = by_aim(build(empty))["Nodule"]["found % at 0.1 %"]
    assert (few.value, few.note) == (None, "too few to compare")
    empty.detection(svm, empty.image(lungs, "0"), 999.0, 0)
    # At or above 997.5 are two normal images, 998 ties with one more; 998.5 has one, 999.5 none.
    assert by_aim(build(empty))["Nodule"]["found % at 0.1 %"].value == 50.0
