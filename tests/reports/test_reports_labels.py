"""Tables ``labels``, ``label-sets`` and ``severity``, worked out by hand.

chest, resnet50 #1, labels P (0), N (1) and C (2); one pixel:

            true   decided   without a target        target P    target N
    A       P      P         P -> none               none        P, N
    B       P      P         failed                  failed      failed
    C       (none) (none)    none -> N               P           N
    D       P, N   P, N      P, N -> N, C            failed      P
    E       C      P                                             C, P -> N
    F       C      (none)
"""

from pathlib import Path
from typing import Any

import pytest

from pixguard.errors import PixguardError, UsageError
from pixguard.reports.build import build_table
from pixguard.reports.costs import Costs, read_costs
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.selection import selection
from pixguard.reports.specs import table_spec
from pixguard.statistics import wilson_interval
from reports.reports_miniature import Miniature

LABELS = [(-1, "Normal", None), (0, "P", None), (1, "N", None), (2, "C", None)]
# true, decided, then label set after each attempt; None: failed
IMAGES: list[tuple[str, str, dict[int | None, str | None]]] = [
    ("0", "0", {None: "", 0: "", 1: "0,1"}),
    ("0", "0", {None: None, 0: None, 1: None}),
    ("", "", {None: "1", 0: "0", 1: "1"}),
    ("0,1", "0,1", {None: "1,2", 0: None, 1: "0"}),
    ("2", "0", {1: "0,1"}),
    ("2", "", {}),
]


@pytest.fixture
def chest(empty: Miniature) -> Miniature:
    db = empty
    dataset = db.dataset("chest", LABELS, task="multi-label")
    db.model("classifier", "resnet50", dataset)
    plain = db.attack(1)
    aimed = db.attack(1, parameters='{"goal": "targeted"}')
    other = db.attack(1, "random", parameters="{}")
    for truth, decided, attempts in IMAGES:
        image = db.image(dataset, truth)
        db.prediction(1, image, decided)
        for target, after in attempts.items():
            values: dict[str, Any] = {"predicted_before": decided, "target": target}
            # What a failed attempt saw last is no decision that it reached.
            values["predicted_after"] = "0,1,2" if after is None else after
            attack = plain if target is None else aimed
            db.attempt(attack, 1, image, int(after is not None), **values)
            # Not what is shown: another attack, a repeat, and through a defence.
            if target is None:
                values |= {"predicted_after": "0,1,2"}
                db.attempt(other, 1, image, 1, **values)
                db.attempt(plain, 1, image, 1, **{**values, "repeat": 1})
    return db


def build(db: Miniature, name: str, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec(name), **options)


def rows(table: ReportTable) -> dict[tuple[Any, ...], dict[str, Cell]]:
    """Return the rows by aim and label: column name -> cell."""
    names = [column.name for column in table.columns]
    found = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
    return {tuple(r[n].value for n in ("aim", "label") if n in r): r for r in found}


def figures(row: dict[str, Cell], *names: str) -> list[Any]:
    return [row[name].value for name in names]


COUNTS = ("attacked with it", "missed", "attacked without it", "false")


def test_labels(chest: Miniature) -> None:
    found = rows(build(chest, "labels"))
    assert len(found) == 6
    any_p, any_n, any_c = (found["any label", name] for name in "PNC")
    assert figures(any_p, *COUNTS) == [3, 2, 1, 0]
    assert figures(any_n, *COUNTS) == [1, 0, 3, 1]
    assert figures(any_c, *COUNTS) == [0, 0, 4, 1]
    aimed_p, aimed_n, aimed_c = (found["each target", name] for name in "PNC")
    assert figures(aimed_p, *COUNTS) == [3, 1, 1, 1]
    assert figures(aimed_n, *COUNTS) == [1, 1, 4, 3]
    assert figures(aimed_c, *COUNTS) == [0, 0, 0, 0]
    # C is found on neither image that has it; P on all three.
    assert figures(any_c, "test images with it", "of these found %") == [2, 0.0]
    assert figures(any_p, "test images with it", "of these found %") == [3, 100.0]
    low, high = wilson_interval(2, 3) or (0.0, 0.0)
    assert any_p["missed %"].interval == pytest.approx((100 * low, 100 * high))
    assert any_p["missed %"].denominator == 3 and aimed_c["missed %"].value is None


def test_another_attack_is_shown_where_it_is_selected(chest: Miniature) -> None:
    found = rows(build(chest, "labels", selection=selection("random")))
    assert {aim for aim, _ in found} == {"any label"}
    assert figures(found["any label", "C"], *COUNTS) == [0, 0, 4, 4]


def test_label_sets(chest: Miniature) -> None:
    table = build(chest, "label-sets")
    assert [[cell.value for cell in row.cells] for row in table.rows] == [
        [1, "P", 2, 2, 2, 1, 50.0],
        [1, "Normal", 1, 1, 1, 1, 100.0],
        [1, "P + N", 1, 1, 1, 1, 100.0],
        [1, "1 others", 2, 0, 0, 0, None],
        [1, "all", 6, 4, 4, 3, 75.0],
    ]


def test_severity(chest: Miniature, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_text("label,direction,cost\nP,missed,5\n*,false,0.5\n")
    table = build(chest, "severity", costs=read_costs(path))
    found = rows(table)
    # A 5, B 0, C 0.5, D P missed and C false: 5.5.
    row = found["any label",]
    assert figures(row, "images", "mean cost", "maximal cost", "images at it") == [4, 2.75, 5.5, 1]
    assert figures(row, "images with a cost", "with a cost %", "at it %") == [3, 75.0, 25.0]
    half = 1.959964 * ((2.25**2 * 2 + 2.75**2 * 2) / 3 / 4) ** 0.5
    assert row["mean cost"].interval == pytest.approx((max(0, 2.75 - half), 2.75 + half), abs=1e-5)
    # The worst over the targets: A 5, B 0, C 0.5, D 0 (nothing is said of a missed N), E 0.5.
    row = found["each target",]
    assert figures(row, "images", "mean cost", "maximal cost", "images at it") == [5, 1.2, 5.0, 1]
    assert any("missed P 5, false any other label 0.5" in note for note in table.notes)


def test_without_costs_each_flip_counts_one(chest: Miniature) -> None:
    row = rows(build(chest, "severity"))["any label",]
    assert figures(row, "mean cost", "maximal cost", "images at it") == [1.0, 2.0, 1]


def test_the_same_cost_everywhere_is_no_certainty(empty: Miniature) -> None:
    dataset = empty.dataset("chest", LABELS, task="multi-label")
    empty.model("classifier", "resnet50", dataset)
    empty.attack(1)
    for _ in range(3):
        decisions = {"predicted_before": "", "predicted_after": ""}
        empty.attempt(1, 1, empty.image(dataset, ""), 0, **decisions)
    row = rows(build(empty, "severity"))["any label",]
    assert (row["mean cost"].value, row["mean cost"].interval) == (0.0, None)
    assert figures(row, "images at it", "maximal cost") == [0, 0.0]


def test_costs_of_a_label_that_is_not_there_are_refused(chest: Miniature) -> None:
    with pytest.raises(UsageError, match="no such label"):
        build(chest, "severity", costs=Costs({("Q", "missed"): 1.0}))


@pytest.mark.parametrize(
    "text",
    [
        *("P,lost,5", "P,missed,-1", "P,missed,nan", "P,missed", ",missed,1"),
        *(
            "P,missed,1\nP,missed,2",
            "P,missed,1,5",
            "P,missed,1_000",
            "P,missed,1e9",
            "P,missed,1e308",
        ),
        "P,missed,1000001",
    ],
)
def test_costs_that_are_none_are_refused_with_their_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(f"label,direction,cost\n{text}\n")
    with pytest.raises(UsageError, match=r"line [23]"):
        read_costs(path)


@pytest.mark.parametrize("header", ["label,direction,cost,cost", "label,cost", "a,b,c"])
def test_another_first_line_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(f"{header}\nP,missed,1,2\n")
    with pytest.raises(UsageError, match="the first line"):
        read_costs(path)


def test_a_file_that_holds_no_costs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    with pytest.raises(PixguardError, match="cannot be read"):
        read_costs(path)
    path.write_text("label,direction,cost\n")
    with pytest.raises(UsageError, match="holds no cost"):
        read_costs(path)
