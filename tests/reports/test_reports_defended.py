"""Tables ``recovery``, ``paired``, ``classes`` and ``pixels``, worked out by hand.

oct, resnet50 #1; dae #2 and identity #3 restore what one pixel fooled; PSNR of the restored image:

            becomes   pixel (of 28 x 28)   dae    identity   recovered by dae
    A CNV   DME       (0, 0)               30     50         yes
    B CNV   Normal    (27, 5)              35     50         yes
    C CNV   DME       (13, 14)             inf    50         no
    D DME   CNV       (7, 6)               40     40         no
    E DME   (failed)
"""

import json
import math
from typing import Any

import pytest
from scipy import stats

from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.specs import table_spec
from reports.reports_miniature import OCT_CLASSES, Miniature

CLASSIFIER, DAE, IDENTITY = 1, 2, 3
CNV, DME, NORMAL = "0", "1", "3"
# class, class after, pixel, colours, PSNR of the DAE, right behind it
FOOLED = [
    (CNV, DME, (0, 0), ("[10]", "[255]"), 30.0, 1),
    (CNV, NORMAL, (27, 5), ("[20]", "[0]"), 35.0, 1),
    (CNV, DME, (13, 14), ("[30]", "[100]"), "inf", 0),
    (DME, CNV, (7, 6), ("[40]", "[255]"), 40.0, 0),
]
IDENTITY_PSNR = [50.0, 50.0, 50.0, 40.0]


@pytest.fixture
def defended(empty: Miniature) -> Miniature:
    db = empty
    oct_ = db.dataset("oct", OCT_CLASSES)
    db.model("classifier", "resnet50", oct_)
    for name in ("dae", "identity"):
        db.model("denoiser", name, oct_)
    attack, metrics = db.attack(1), db.metrics()
    for (before, after, (row, col), colours, psnr, right), bare in zip(
        FOOLED, IDENTITY_PSNR, strict=True
    ):
        image = db.image(oct_, before)
        db.prediction(CLASSIFIER, image, before)
        decisions = {"predicted_before": before, "predicted_after": after}
        attempt = db.attempt(attack, CLASSIFIER, image, 1, **decisions)
        db.pixel(attempt, row, col, *colours)
        for denoiser, value, recovered in ((DAE, psnr, right), (IDENTITY, bare, 0)):
            restored = db.restoration(attempt, image, CLASSIFIER, denoiser, recovered)
            db.score(restored, metrics["psnr"], value)
            db.score(restored, metrics["mse"], 0.001 if denoiser == DAE else 0.0001)
    failed = db.image(oct_, DME)
    db.prediction(CLASSIFIER, failed, DME)
    db.pixel(db.attempt(attack, CLASSIFIER, failed, 0), 14, 14)
    wrong = db.image(oct_, DME)
    db.prediction(CLASSIFIER, wrong, CNV)
    # Clean: A and B right behind the DAE, C broken; what was wrong before cannot be broken.
    for image, right in ((1, 1), (2, 1), (3, 0), (wrong, 0)):
        db.restoration(None, image, CLASSIFIER, DAE, right)
    return db


def add_what_must_not_count(db: Miniature) -> None:
    """Add successes of other attacks, targets and repeats, through a defence, and elsewhere."""
    decisions: dict[str, Any] = {"predicted_before": CNV, "predicted_after": NORMAL}
    other = db.model("classifier", "resnet50", 1, created_ms=0)
    random = db.attack(1, "random", parameters="{}")
    for values in ({"target": 3}, {"repeat": 1}, {"through_model_id": DAE}, {"seed": 9}):
        attempt = db.attempt(1, CLASSIFIER, 1, 1, **decisions, **values)
        db.pixel(attempt, 20, 20)
    for attack, classifier in ((random, CLASSIFIER), (1, other)):
        db.pixel(db.attempt(attack, classifier, 1, 1, **decisions), 20, 20)


def build(db: Miniature, name: str, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec(name), **options)


def values(table: ReportTable) -> list[list[Any]]:
    return [[cell.value for cell in row.cells] for row in table.rows]


def figures(table: ReportTable, *names: str) -> list[list[Cell]]:
    places = [[c.name for c in table.columns].index(name) for name in names]
    return [[row.cells[place] for place in places] for row in table.rows]


def test_recovery(defended: Miniature) -> None:
    table = build(defended, "recovery")
    head = ["oct", "medmnist 28", "resnet50 #1", "differential-evolution"]
    head += [1, 0]
    assert values(table) == [
        [*head, "dae #2", 4, 50.0, pytest.approx(100 / 3)],
        [*head, "identity #3", 4, 0.0, None],
    ]
    recovered, broken = figures(table, "recovered %", "clean broken %")[0]
    assert (recovered.denominator, broken.denominator) == (4, 3)
    assert recovered.interval == pytest.approx((15.0036, 84.9964), abs=1e-3)  # Wilson, 2 of 4
    assert table.rows[1].cells[-1].note == "not run"
    assert any("not run where" in note for note in table.notes)
    assert "differential-evolution: population=100, generations=100." in table.notes


@pytest.mark.parametrize("name", ["classes", "pixels", "paired"])
def test_only_the_papers_attack_counts(defended: Miniature, name: str) -> None:
    before = values(build(defended, name))
    add_what_must_not_count(defended)
    assert values(build(defended, name)) == before


def test_recovery_keeps_attacks_apart(defended: Miniature) -> None:
    add_what_must_not_count(defended)
    assert values(build(defended, "recovery"))[0][7:9] == [4, 50.0]


def test_settings_stand_in_the_row_where_they_differ(defended: Miniature) -> None:
    other = defended.attack(1, parameters='{"population": 10}')
    attempt = defended.attempt(other, CLASSIFIER, 1, 1)
    defended.restoration(attempt, 1, CLASSIFIER, DAE, 1)
    table = build(defended, "recovery")
    assert [row[3] for row in values(table)] == [
        "differential-evolution (population=100, generations=100)",
        "differential-evolution (population=100, generations=100)",
        "differential-evolution (population=10)",
    ]
    assert values(table)[2][7:9] == [1, 100.0]


def test_which_class_turns_into_which(defended: Miniature) -> None:
    table = build(defended, "classes")
    cnv, dme = "Choroidal neovascularization", "Diabetic macular edema"
    assert values(table) == [
        [1, cnv, dme, 2, pytest.approx(200 / 3)],
        [1, cnv, "Normal", 1, pytest.approx(100 / 3)],
        [1, dme, cnv, 1, 100.0],
    ]
    assert [c.denominator for (c,) in figures(table, "share %")] == [3, 3, 1]
    assert table.rows[0].cells[4].interval == pytest.approx((20.766, 93.851), abs=1e-3)


def test_label_sets_without_a_class_are_told(empty: Miniature) -> None:
    classes = [(-1, "Normal", "Normal"), (0, "A", None), (1, "B", None)]
    chest = empty.dataset("chest", classes, task="multi-label")
    empty.model("classifier", "resnet50", chest)
    attack = empty.attack(1)
    for before, after in (("", "0"), ("", "0,1"), ("0,1", "0")):
        decisions = {"predicted_before": before, "predicted_after": after}
        empty.attempt(attack, 1, empty.image(chest, before), 1, **decisions)
    assert [row[1:4] for row in values(build(empty, "classes"))] == [
        ["Normal", "A", 1],
        ["Normal", "several labels", 1],
        ["several labels", "A", 1],
    ]


def test_where_the_pixels_are(defended: Miniature) -> None:
    table = build(defended, "pixels")
    rows = {row[1]: row for row in values(table)}
    assert len(rows) == 18
    # changed pixels, share, by chance, brightness before and after, extremes
    assert rows["whole image"][2:] == [4, 100.0, 100.0, 25.0, 152.5, 75.0]
    assert rows["r1 c1"][2:] == [1, 25.0, 6.25, 10.0, 255.0, 100.0]  # A
    assert rows["r2 c1"][2:4] == [1, 25.0]  # D, row 7 of 28, column 6
    assert rows["r2 c3"][2:] == [1, 25.0, 6.25, 30.0, 100.0, 0.0]  # C, column 14 begins c3
    assert rows["r4 c1"][2:] == [1, 25.0, 6.25, 20.0, 0.0, 100.0]  # B
    assert rows["r3 c3"][2:] == [0, 0.0, 6.25, None, None, None]
    border = 100 * (28 * 28 - 26 * 26) / (28 * 28)
    assert rows["border"][2:] == [2, 50.0, pytest.approx(border), 15.0, 127.5, 100.0]


def test_brightness_is_a_mean_over_the_channels(empty: Miniature) -> None:
    derma = empty.dataset("derma", [(0, "Nevus", None)])
    empty.model("classifier", "resnet50", derma)
    attempt = empty.attempt(empty.attack(2), 1, empty.image(derma, "0"), 1)
    empty.pixel(attempt, 1, 1, "[0,30,60]", "[255,0,255]")
    empty.pixel(attempt, 1, 2, "[0,0,0]", "[255,1,255]", ordinal=1)
    whole = values(build(empty, "pixels"))[0]
    assert whole == [2, "whole image", 2, 100.0, 100.0, 15.0, pytest.approx(1021 / 6), 50.0]


def test_denoisers_pair_by_pair(defended: Miniature) -> None:
    table = build(defended, "paired")
    psnr, mse = (dict(zip([c.name for c in table.columns], row.cells, strict=True))
                 for row in table.rows)  # fmt: skip
    # Differences: -20, -15, inf, 0. Ranks 2, 1, 3: 3 minus 3.
    assert [psnr[n].value for n in ("metric", "first", "second", "pairs", "equal")] == [
        *("PSNR", "dae", "identity", 4, 1)
    ]
    assert psnr["median difference"].value == pytest.approx(-7.5)
    assert psnr["effect r"].value == 0.0
    assert (psnr["p"].value, psnr["p"].denominator) == (pytest.approx(1.0), 3)
    assert psnr["better"].value == "undecided"
    # MSE of the DAE is always greater: r = 1, and the exact p of four signs, 2 / 2 ** 4.
    assert (mse["effect r"].value, mse["p"].value) == (1.0, pytest.approx(0.125))
    assert mse["better"].value == "undecided"


def test_the_better_denoiser_is_named_after_holms_correction(empty: Miniature) -> None:
    oct_ = empty.dataset("oct", OCT_CLASSES)
    classifier = empty.model("classifier", "resnet50", oct_)
    attack, metrics = empty.attack(1), empty.metrics()
    models = [empty.model("denoiser", name, oct_) for name in ("dae", "identity", "median")]
    for n in range(8):
        image = empty.image(oct_, "0")
        attempt = empty.attempt(attack, classifier, image, 1)
        for place, model in enumerate(models):
            restored = empty.restoration(attempt, image, classifier, model, 0)
            empty.score(restored, metrics["psnr"], 30.0 + n * (place == 1) + 10.0 * (place == 2))
            empty.score(restored, metrics["gmsd"], 0.1 * place + 0.001 * n * place)
    rows = [[c.value for c in row] for row in figures(
        build(empty, "paired"), "metric", "first", "second", "equal", "p", "p (Holm)", "better"
    )]  # fmt: skip
    exact = 2 / 2**8
    seven = 2 / 2**7  # one pair of dae and identity is equal
    psnr, gmsd = rows[:3], rows[3:]
    assert [row[3:] for row in psnr] == [
        # The least of three is taken three times; the others are never below it.
        [1, pytest.approx(seven), pytest.approx(3 * exact), "identity"],
        [0, pytest.approx(exact, rel=0.5), pytest.approx(3 * exact, rel=0.5), "median"],
        [0, pytest.approx(exact), pytest.approx(3 * exact), "median"],
    ]
    assert [row[6] for row in gmsd] == ["dae", "dae", "identity"]


def test_what_the_tables_say_without_data(empty: Miniature) -> None:
    attack = "pixguard attack --dataset oct --attack differential-evolution --pixels 1"
    train = "pixguard train --dataset oct; "
    apply, score = "pixguard denoise apply --dataset oct", "pixguard score --dataset oct"
    tables = {name: build(empty, name, dataset="oct") for name in ("recovery", "paired", "classes")}
    assert tables["classes"].commands == (f"{train}{attack}",)
    assert tables["recovery"].commands == (f"{train}{attack}; {apply}",)
    assert tables["paired"].commands == (f"{train}{attack}; {apply}; {score}",)
    assert not any(table.has_data for table in tables.values())
    oct_ = empty.dataset("oct", OCT_CLASSES)
    empty.model("classifier", "resnet50", oct_)
    empty.attempt(empty.attack(1), 1, empty.image(oct_, "0"), 0)
    assert build(empty, "recovery").commands == (f"{apply} --model 1",)
    assert build(empty, "paired").commands == (f"{apply} --model 1; {score} --model 1",)
    for name, words in (("classes", "No attempt succeeded."), ("pixels", "No pixel of a")):
        table = build(empty, name)
        assert table.rows == () and any(words in note for note in table.notes)
    listed = {row.cells[0].value: row.cells[2] for row in list_tables(empty.engine).rows}
    assert listed["recovery"].not_run == f"{apply} --model 1"


def test_the_list_names_the_datasets(defended: Miniature) -> None:
    listed = {row.cells[0].value: row.cells[2].value for row in list_tables(defended.engine).rows}
    assert {listed[name] for name in ("recovery", "paired", "classes", "pixels")} == {"oct"}


def test_each_number_of_pixels_has_its_own_rows(defended: Miniature) -> None:
    two = defended.attack(2)
    decisions = {"predicted_before": CNV, "predicted_after": NORMAL}
    defended.attempt(two, CLASSIFIER, 1, 1, **decisions)
    rows = values(build(defended, "classes"))
    assert [row[0] for row in rows] == [1, 1, 1, 2]
    assert rows[-1][2:] == ["Normal", 1, 100.0]
    assert len(build(defended, "classes").caption) == 2


def test_signed_rank_is_scipys_on_finite_values() -> None:
    from pixguard.statistics import signed_rank

    first = [1.0, 5.0, 3.5, 8.0, 2.0, 9.0]
    second = [2.0, 1.0, 3.5, 5.0, 2.5, 7.0]
    found = signed_rank(list(zip(first, second, strict=True)))
    apart = [a - b for a, b in zip(first, second, strict=True) if a != b]
    assert found.p_value == pytest.approx(stats.wilcoxon(apart).pvalue)
    # Ranks of 1, 4, 3, 0.5, 2: 2, 5, 4, 1, 3; negative are the first and the fourth.
    assert (found.pairs, found.ties) == (6, 1)
    assert found.effect == pytest.approx((5 + 4 + 3 - 2 - 1) / 15)
    assert found.median == pytest.approx(1.0)


def test_signed_rank_without_a_difference() -> None:
    from pixguard.statistics import signed_rank

    same = signed_rank([(math.inf, math.inf), (2.0, 2.0)])
    assert (same.pairs, same.ties, same.median) == (2, 2, 0.0)
    assert same.effect is None and same.p_value is None
    assert signed_rank([]).median is None
    assert signed_rank([(math.inf, 1.0), (1.0, math.inf)]).median is None


def test_holm() -> None:
    from pixguard.statistics import holm

    corrected = holm([0.01, None, 0.04, 0.03])
    assert corrected == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_json_is_valid_with_infinite_medians(defended: Miniature) -> None:
    from pixguard.reports.render import render

    assert json.loads(render([build(defended, "paired")], "json"))["tables"][0]["name"] == "paired"
