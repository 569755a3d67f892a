"""Tables 1, 2, 6 to 11, 46 and 47: every figure worked out by hand.

oct (phantom 28)      train  val  test        chest (real 64)  train  test
CNV (0)                   6    1     3        no label             4     1
DME (1)                   2    1     2        Atelectasis alone    2     1
Drusen (2)                -    -     1        both labels          1     1
Normal (3)                -    -     4
                                    20                                  10
"""

from dataclasses import dataclass
from typing import Any

import pytest

from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import ReportTable
from pixguard.reports.specs import table_spec
from pixguard.store import tables as t
from reports.reports_miniature import OCT_CLASSES, Miniature


@dataclass
class FakeLayer:
    type: str
    output: tuple[int, ...] | None
    parameters: int


@dataclass
class FakeLayers:
    rows: list[FakeLayer]
    total_parameters: int = 12
    trainable_parameters: int = 10
    frozen_parameters: int = 2


def values(table: ReportTable) -> list[list[Any]]:
    return [[c.value if c.not_run is None else "not run" for c in row.cells] for row in table.rows]


def build(db: Miniature, number: int, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec(number), **options)


@pytest.fixture
def held(empty: Miniature) -> Miniature:
    oct_ = empty.dataset("oct", OCT_CLASSES, source="phantom")
    counts = {("train", "0"): 6, ("val", "0"): 1, ("test", "0"): 3}
    counts |= {("train", "1"): 2, ("val", "1"): 1, ("test", "1"): 2}
    counts |= {("test", "2"): 1, ("test", "3"): 4}
    empty.content(oct_, counts, modality="optical coherence tomography")
    classes = [(-1, "Normal", "Normal"), (0, "Atelectasis", "Disease"), (1, "Cardiomegaly", None)]
    chest = empty.dataset("chest", classes, size=64, task="multi-label")
    counts = {("train", ""): 4, ("test", ""): 1, ("train", "0"): 2, ("test", "0"): 1}
    counts |= {("train", "0,1"): 1, ("test", "0,1"): 1}
    empty.content(chest, counts, least_width=300, greatest_width=400)
    empty.model("classifier", "resnet50", empty.dataset("derma", [(0, "Nevus", None)]))
    return empty


def test_tables_1_and_2_are_counted_on_the_model(empty: Miniature) -> None:
    for number in (1, 2):
        table = build(empty, number, paper=True)
        figures = [row.cells[3] for row in table.rows]
        assert [c.difference for c in figures] == [0] * 17
    assert [row.cells[3].published for row in table.rows][-3:] == [8163, 8163, 0]
    assert build(empty, 1, size=28).caption == (
        "autoencoder: images of 28 x 28 x 1, computed from the module",
    )


def test_table_6_datasets(held: Miniature) -> None:
    table = build(held, 6, paper=True)
    gap = ["not run"] * 6
    assert values(table) == [
        ["Derma", None, *gap],
        ["Pathology", None, *gap],
        ["OCT", None, *gap],
        [
            *("Chest", "medmnist 64", 10, 2, "(300-400) x 28", "binary-class multi-label"),
            *("grayscale", "unknown"),
        ],
        [
            *("oct", "phantom 28", 20, 4, "28 x 28", "multi-class", "grayscale"),
            "optical coherence tomography (synthetic)",
        ],
    ]
    assert [row.in_paper for row in table.rows] == [True] * 4 + [False]
    assert [c.published for c in table.rows[3].cells] == [None, None, 112120, 14, *[None] * 4]
    assert table.rows[4].cells[2].published is None
    # A registered classifier's next attack records what its dataset holds.
    assert table.rows[0].cells[2].not_run == (
        "pixguard attack --dataset derma --pixels 1 --model 1 --per-class 1 --resume"
    )
    assert table.rows[1].cells[2].not_run == "pixguard train --dataset pathology"
    assert [r[0] for r in values(build(held, 6, dataset="oct"))] == ["oct"]
    assert [r[2] for r in values(build(held, 6, size=64))] == [*["not run"] * 3, 10]


def test_table_9_classes(held: Miniature) -> None:
    table = build(held, 9, paper=True)
    assert table.title == "Overview of a Dataset: oct, phantom data (form of Table 9)"
    assert values(table) == [
        ["Normal", "Normal", 4, 20.0],
        ["Choroidal neovascularization", "Disease", 10, 50.0],
        ["Diabetic macular edema", "Disease", 5, 25.0],
        ["Drusen", "Disease", 1, 5.0],
    ]
    assert {cell.denominator for row in table.rows for cell in row.cells[2:]} == {20}
    assert all(cell.published is None for row in table.rows for cell in row.cells)
    assert "phantom data" in table.caption[0]


def test_table_10_counts_images_with_one_label_alone(held: Miniature) -> None:
    table = build(held, 10, paper=True)
    assert values(table) == [
        ["Normal", "Normal", 5, 50.0],
        ["Atelectasis", "Disease", 3, 30.0],
        ["several labels", None, 2, 20.0],
    ]
    assert [row.cells[2].published for row in table.rows] == [60361, 4215, None]
    assert [row.in_paper for row in table.rows] == [True, True, False]


def test_a_table_of_classes_without_data_names_them(held: Miniature) -> None:
    table = build(held, 8)
    assert [row[2] for row in values(table)] == ["not run"] * 9
    assert values(table)[0][:2] == ["Adipose", "Normal"]
    assert not table.has_data


def test_table_11_computers(empty: Miniature) -> None:
    again = {"uuid": "v", "command": "c", "config": "{}", "config_hash": "h", "seed": 0}
    times = {"pid": 1, "status": "finished", "started_ms": 0, "heartbeat_ms": 0}
    empty.add(t.Run, environment_id=1, host="h", **again, **times)
    machine = {"fingerprint": "g", "pixguard_version": "0", "python_version": "3"}
    machine |= {"torch_version": "2", "packages": "{}"}
    empty.add(t.Environment, cpu="x", cpu_threads=8, gpu="H", memory_mib=2048, **machine)
    empty.add(t.Run, environment_id=2, host="a", **{**again, "uuid": "w"}, **times)
    table = build(empty, 11, paper=True)
    assert values(table) == [
        ["#1", "c", 1, None, 1 / 1024, 2],
        ["#2", "x", 8, "H", 2.0, 1],
    ]
    assert table.rows[0].cells[3].note == "none"
    assert any("RTX 3090" in note for note in table.notes)


def test_tables_46_and_47_times(mini: Miniature) -> None:
    # Every attempt of the miniature takes 1 ms and 100 queries; 7 count on oct, 5 on chest.
    table = build(mini, 46, paper=True)
    assert [row[0] for row in values(table)] == [
        *("Derma", "Pathology", "OCT", "Chest", "derma", "pneumoniamnist")
    ]
    assert values(table)[2] == [
        *("OCT", "medmnist 28", "resnet50 #2", 7, "c", "0 s"),
        *(0.007, 0.001, pytest.approx(100_000)),
    ]
    assert [c.published for c in table.rows[2].cells[3:]] == [
        21024,
        None,
        None,
        3020967,
        None,
        None,
    ]
    assert values(table)[3][3:7] == [5, "c", "0 s", 0.005]
    assert values(build(mini, 47))[2][3] == 7
    assert values(build(mini, 47))[3][3] == "not run"


def test_attempts_on_two_computers_are_two_rows(mini: Miniature) -> None:
    machine = {"fingerprint": "g", "pixguard_version": "0", "python_version": "3"}
    machine |= {"torch_version": "2", "packages": "{}", "cpu": "x", "cpu_threads": 8}
    mini.add(t.Environment, gpu="H", memory_mib=2048, **machine)
    again = {"uuid": "v", "command": "c", "config": "{}", "config_hash": "h", "seed": 0}
    times = {"pid": 1, "status": "finished", "started_ms": 0, "heartbeat_ms": 0}
    run = mini.add(t.Run, environment_id=2, host="a", **again, **times)
    late = mini.image(1, "0")
    mini.attempt(1, 2, late, 0, run_id=run, elapsed_ms=90_500.0, queries=905)
    table = build(mini, 46, paper=True)
    rows = [row[3:] for row in values(table) if row[0] == "OCT"]
    assert rows[0] == [1, "H", "1 min 30 s", 90.5, 90.5, 10.0]
    assert rows[1][:2] == [7, "c"]
    assert all(c.published is None for row in table.rows[2:4] for c in row.cells)
    assert any("several computers" in note for note in table.notes)


def test_the_list_knows_what_is_held(held: Miniature) -> None:
    data = {row.cells[0].value: row.cells[2] for row in list_tables(held.engine).rows}
    assert data[1].value == "computed from the model"
    assert data[6].value == "1 of 4 datasets; oct"
    assert (data[9].value, data[10].value) == ("other data", "as in the paper")
    assert data[8].not_run == "pixguard train --dataset pathology"
