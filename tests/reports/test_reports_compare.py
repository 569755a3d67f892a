"""``report --compare``: two plans, denoisers or classifiers, worked out by hand.

          A  B  C  D  E  F  G
plan 1    1  1  1  0  0  1  0     all done
plan 2    1  0  0  0  1  0  .     G is not done yet; F was before E: it does not count
                                  until E is, and then does
"""

import json

import pytest

from pixguard.errors import UsageError
from pixguard.reports.compare import compare
from pixguard.reports.report_table import ReportTable
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

FIRST, SECOND = "1110010", "100010"


@pytest.fixture
def two(empty: Miniature) -> Miniature:
    oct_ = empty.dataset("oct", [(0, "Normal", "Normal"), (1, "Drusen", "Disease")])
    empty.model("classifier", "resnet50", oct_)
    for number in range(7):
        empty.prediction(1, empty.image(oct_, "0"), "01"[number == 6])
    for attack, outcomes in enumerate((FIRST, SECOND), 1):
        empty.attack(1, f"attack-{attack}", parameters=json.dumps({"of": attack}))
        for image, outcome in enumerate(map(int, outcomes), 1):
            empty.attempt(attack, 1, image, outcome, attempt_key=f"{attack}-{image}")
        plan(empty, attack, 7, finished=attack == 1)
    return empty


def plan(db: Miniature, attack: int, planned: int, *, finished: bool) -> None:
    words = {"settings": "{}", "command": "pixguard attack --resume", "remarks": "[]"}
    ids = {"model_id": 1, "attack_id": attack, "dataset_id": 1, "run_id": 1}
    times = {"created_ms": 0, "finished_ms": 1 if finished else None}
    number = db.add(t.Plan, **ids, seed=0, planned=planned, **words, **times)
    for place in range(planned):
        key = {"dataset_index": place, "attempt_key": f"{attack}-{place + 1}"}
        db.add(t.PlannedAttempt, plan_id=number, repeat=0, place=place, **key)


def row(table: ReportTable, number: int = 0) -> dict[str, object]:
    cells = zip(table.columns, table.rows[number].cells, strict=True)
    return {column.name: cell.value for column, cell in cells}


def test_two_plans(two: Miniature) -> None:
    table, changed = compare(two.engine, "1", "plan:2")
    found = row(table)
    counts = ("pairs", "both", "only first", "only second", "neither")
    assert [found[name] for name in counts] == [6, 1, 3, 1, 1]
    assert (found["left out, first"], found["left out, second"]) == (1, 0)
    assert found["difference"] == pytest.approx(100 * 2 / 6)
    assert found["p"] == pytest.approx(0.625)  # 2 * (1 + 4) / 16
    images = [row(changed, n)["image"] for n in range(len(changed.rows))]
    assert images == [1, 2, 4, 5]
    assert (row(changed)["first"], row(changed)["second"]) == ("yes", "no")
    assert (row(changed)["true label"], row(changed)["first decides"]) == ("Normal", "Drusen")
    notes = " ".join(table.notes)
    assert "6 of 7 planned" in notes
    assert "unbiased sample" in notes


def test_what_finished_before_its_turn_is_not_compared(two: Miniature) -> None:
    with two.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM attempt WHERE attempt_key = '2-2'")
    (table, _) = compare(two.engine, "1", "2")
    assert (row(table)["pairs"], row(table)["left out, first"]) == (1, 6)


def test_the_attempts_of_a_run_stand_for_its_plan(two: Miniature) -> None:
    with two.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO run SELECT 2, 'u2', command, config, config_hash, seed, environment_id, "
            "host, pid, status, started_ms, heartbeat_ms, finished_ms, error FROM run"
        )
        connection.exec_driver_sql("UPDATE attempt SET run_id = 2 WHERE attempt_key = '2-4'")
    assert row(compare(two.engine, "plan:1", "run:2")[0])["pairs"] == 6
    with pytest.raises(UsageError, match="several plans"):
        compare(two.engine, "run:1", "plan:1")


def test_two_denoisers_and_two_classifiers(two: Miniature) -> None:
    two.model("denoiser", "dae", 1)
    two.model("denoiser", "median", 1)
    two.model("classifier", "vgg16", 1)
    for attempt, *outcomes in ((1, 1, 0), (2, 1, 1), (3, 0, 0)):
        for denoiser, recovered in enumerate(outcomes, 2):
            two.restoration(attempt, attempt, 1, denoiser, recovered)
    two.restoration(None, 4, 1, 2, 1)  # clean, by one of them alone
    for number in range(1, 8):
        two.prediction(4, number, "01"[number < 3])
    (table, changed) = compare(two.engine, "model:2", "model:3")
    found = row(table)
    assert str(found["compared"]).startswith("recovered, attacked, resnet50 #1, attack-1")
    assert [found[n] for n in ("pairs", "both", "only first", "neither")] == [3, 1, 1, 1]
    assert (len(table.rows), len(changed.rows)) == (1, 1)
    found = row(compare(two.engine, "model:1", "model:4")[0])
    assert [found[n] for n in ("pairs", "both", "only first", "only second")] == [7, 4, 2, 1]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("1", "plan:1", "the same"),
        ("1", "model:1", "of a plan, model:1 of a classifier"),
        ("1", "plan:9", "no plan 9"),
        ("model:9", "1", "no such model"),
        ("one", "1", "nothing to compare"),
    ],
)
def test_what_cannot_be_compared(two: Miniature, first: str, second: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        compare(two.engine, first, second)


def test_plans_that_count_another_thing_or_share_no_image(two: Miniature) -> None:
    two.attack(1, "other", parameters=json.dumps({"success": "argmax"}))
    plan(two, 3, 1, finished=False)
    with pytest.raises(UsageError, match="success None and argmax"):
        compare(two.engine, "1", "3")
    two.attack(1, "fourth", parameters=json.dumps({"of": 4}))
    plan(two, 4, 1, finished=False)
    with pytest.raises(UsageError, match="no image in common"):
        compare(two.engine, "1", "4")
