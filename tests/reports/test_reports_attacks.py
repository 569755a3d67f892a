"""Table ``attacks``: attacks on the same images, worked out by hand (1 fooled, 0 not).

              A  B  C  D  E  F  G    queries of a success, of a failure
    de        1  1  1  1  0  0  1    100, 1000
    corner    1  0  0  0  0  1  .    10, 50
    random    0  0  1  0  0  0  0    7, 500

All three tried A to F: there de has 4, corner 2 and random 1. G is left out.
"""

import json

import pytest

from pixguard.reports.build import build_table
from pixguard.reports.render import render
from pixguard.reports.report_table import ReportTable
from pixguard.reports.selection import Selection, selection
from pixguard.reports.specs import table_spec
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

CLASSIFIER = 1
DE, CORNER, RANDOM = 1, 2, 3
OUTCOMES = {DE: "1111001", CORNER: "100001", RANDOM: "0010000"}
QUERIES = {DE: (1000, 100), CORNER: (50, 10), RANDOM: (500, 7)}


@pytest.fixture
def compared(empty: Miniature) -> Miniature:
    oct_ = empty.dataset("oct", [(0, "Normal", "Normal"), (1, "Drusen", "Disease")])
    empty.model("classifier", "resnet50", oct_)
    for _ in range(8):
        empty.image(oct_, "0")
    for name in ("differential-evolution", "corner", "random"):
        empty.attack(1, name, parameters=json.dumps({"of": name}))
    for attack, outcomes in OUTCOMES.items():
        for image, outcome in enumerate(map(int, outcomes), 1):
            cost = {"queries": QUERIES[attack][outcome], "elapsed_ms": 2000.0}
            empty.attempt(attack, CLASSIFIER, image, outcome, **cost)
    return empty


def build(db: Miniature, chosen: Selection = Selection()) -> ReportTable:  # noqa: B008
    return build_table(db.engine, table_spec("attacks"), selection=chosen)


def rows(table: ReportTable) -> dict[tuple, dict]:
    names = [column.name for column in table.columns]
    found = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
    return {(r["attack"].value, r["pixels"].value, r["seed"].value): r for r in found}


def pick(row: dict, *names: str) -> list[object]:
    return [row[name].value for name in names]


def test_every_figure(compared: Miniature) -> None:
    table = build(compared)
    found = rows(table)
    assert list(found) == [
        ("differential-evolution", 1, 0),
        ("corner", 1, 0),
        ("random", 1, 0),
    ]
    best, corner, random = found.values()
    assert pick(best, "images", "successes", "success %") == [6, 4, pytest.approx(200 / 3)]
    assert best["success %"].interval == pytest.approx((29.999, 90.323), abs=1e-3)  # Wilson, 4 of 6
    queries = ("median queries, found", "mean queries, found", "median queries, all")
    assert pick(best, *queries, "mean queries, all", "seconds an attempt") == [
        *(100, 100, 100),
        400,
        2.0,
    ]
    assert pick(corner, *queries) == [10, 10, 50]
    assert corner["mean queries, all"].value == pytest.approx(220 / 6)
    assert best["compared with"].value == "reference" and best["p"].value is None
    # corner alone fooled F, differential evolution alone B, C and D: p = 2 * (1 + 4) / 16
    pair = ("compared with", "difference", "only this", "only the other", "p", "p (Holm)")
    other = "differential-evolution, seed 0"
    assert pick(corner, *pair) == [
        other,
        pytest.approx(-100 / 3),
        1,
        3,
        pytest.approx(0.625),
        0.625,
    ]
    # random fooled C as well; differential evolution alone A, B and D: p = 2 / 8
    assert pick(random, *pair) == [other, -50, 0, 3, pytest.approx(0.25), pytest.approx(0.5)]
    assert table.caption[1] == (
        "1 pixel: 6 images that all 3 attacks tried; 1 of 7 left out, for not all tried them: "
        "fewest corner, seed 0, 6"
    )
    (one,) = json.loads(render([table], "json"))["tables"]
    assert one["rows"][1]["p_n"] == 4


def test_only_first_non_targeted_attempts_on_the_bare_classifier_count(compared: Miniature) -> None:
    before = rows(build(compared))
    other = compared.model("classifier", "resnet50", 1, created_ms=0)
    for image in range(1, 7):
        compared.attempt(CORNER, CLASSIFIER, image, 1, target=1)
        compared.attempt(CORNER, CLASSIFIER, image, 1, repeat=1)
        compared.attempt(CORNER, CLASSIFIER, image, 1, through_model_id=other)
        compared.attempt(CORNER, other, image, 1)
    assert rows(build_table(compared.engine, table_spec("attacks"), model=CLASSIFIER)) == before


def test_of_an_incomplete_plan_its_beginning_is_compared(compared: Miniature) -> None:
    with compared.engine.connect() as connection:
        made = connection.execute(t.Attempt.__table__.select()).all()
    keys = [row.attempt_key for row in made if row.attack_id == CORNER]
    plan = compared.add(
        t.Plan,
        run_id=1,
        settings="{}",
        created_ms=0,
        model_id=CLASSIFIER,
        attack_id=CORNER,
        dataset_id=1,
        seed=0,
        through_model_id=None,
        target=None,
        planned=7,
        command="pixguard attack --resume",
        remarks="[]",
        finished_ms=None,
    )
    # D, the fourth, is missing: what finished after it, E and F, says nothing of a rate.
    with compared.engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM attempt WHERE attempt_key = '{keys[3]}'")
    for place, key in enumerate(keys):
        values = {
            "plan_id": plan,
            "repeat": 0,
            "place": place,
            "dataset_index": place,
            "attempt_key": key,
        }
        with compared.engine.begin() as connection:
            connection.execute(t.PlannedAttempt.__table__.insert(), values)
    table = build(compared)
    assert {row["images"].value for row in rows(table).values()} == {3}
    assert any(note.startswith("Incomplete: ") for note in table.notes)


def test_the_first_that_is_named_is_the_reference(compared: Miniature) -> None:
    found = rows(build(compared, selection(["corner", "differential-evolution"])))
    assert [key[0] for key in found] == ["differential-evolution", "corner"]
    first, corner = found.values()
    assert pick(corner, "compared with") == ["reference"]
    assert pick(first, "images", "compared with", "difference", "only this") == [
        *(6, "corner, seed 0"),
        pytest.approx(100 / 3),
        3,
    ]


def test_seeds_and_numbers_of_pixels_are_rows_of_their_own(compared: Miniature) -> None:
    two = compared.attack(2, "corner")
    compared.attempt(two, CLASSIFIER, 1, 1)
    compared.attempt(CORNER, CLASSIFIER, 1, 0, seed=5)
    table = build(compared)
    found = rows(table)
    assert found["corner", 2, 0]["compared with"].value == "no other attack"
    assert found["corner", 1, 5]["images"].value == found["corner", 1, 0]["images"].value == 1
    assert "2 pixels: one attack, 1 images" in table.caption
    assert list(rows(build(compared, selection(pixels=2)))) == [("corner", 2, 0)]
    assert rows(build(compared, selection(seed=0)))["corner", 1, 0]["images"].value == 6


def test_attacks_without_an_image_in_common_say_so(compared: Miniature) -> None:
    compared.attempt(CORNER, CLASSIFIER, 8, 1, seed=5)
    table = build(compared)
    for row in rows(table).values():
        assert (row["images"].value, row["success %"].note) == (0, "no image shared")
        assert row["p"].value is None
    assert any("--attack and --seed select" in note for note in table.notes)


def test_another_meaning_of_success_is_compared_apart(compared: Miniature) -> None:
    for name in ("corner", "random"):
        meaning = '{"success":"argmax"}'
        attack = compared.attack(1, name, parameters=meaning)
        compared.attempt(attack, CLASSIFIER, 1, int(name == "corner"))
    lines = build(compared).caption
    assert any(line.startswith("1 pixel, success argmax: 1 images that all 2") for line in lines)


def test_without_attempts_it_names_the_command(empty: Miniature) -> None:
    (row,) = build(empty).rows
    assert "pixguard attack --dataset" in str(row.cells[-1].not_run)
