"""Table ``cost``: every figure worked out by hand."""

from typing import Any

import pytest

from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.specs import table_spec
from pixguard.store import tables as t
from reports.reports_miniature import Miniature


@pytest.fixture
def timed(empty: Miniature) -> Miniature:
    """Five attempts on oct (real) and one on derma (phantom)."""
    db = empty
    oct_ = db.dataset("oct", [(0, "Normal", "Normal")])
    classifier, dae = db.model("classifier", "resnet50", oct_), db.model("denoiser", "dae", oct_)
    image, attack = db.image(oct_, "0"), db.attack(1)

    def attempt(queries: int, distinct: int | None, elapsed_ms: float, **values: Any) -> None:
        measures = {"queries": queries, "distinct_queries": distinct, "elapsed_ms": elapsed_ms}
        db.attempt(attack, classifier, image, 0, **measures, **values)

    attempt(100, 50, 1000.0)
    attempt(300, None, 3000.0, repeat=1)
    attempt(1000, 800, 500.0, evaluator="delta", precision="bfloat16")
    attempt(600, 600, 2000.0, through_model_id=dae)
    environment = db.add(
        t.Environment,
        fingerprint="g",
        pixguard_version="0",
        python_version="3",
        torch_version="2",
        cpu="c",
        cpu_threads=1,
        gpu="H200",
        memory_mib=1,
        packages="{}",
    )
    run = db.add(
        t.Run,
        uuid="v",
        command="c",
        config="{}",
        config_hash="h",
        seed=0,
        environment_id=environment,
        host="h",
        pid=1,
        status="finished",
        started_ms=0,
        heartbeat_ms=0,
    )
    attempt(9000, 9000, 0.0, run_id=run)
    derma = db.dataset("derma", [(0, "Nevus", None)], source="phantom")
    phantom = db.model("classifier", "small-cnn", derma)
    db.attempt(attack, phantom, db.image(derma, "0"), 1, queries=10, elapsed_ms=100.0)
    return db


def build(db: Miniature, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec("cost"), **options)


def figures(table: ReportTable) -> list[list[Any]]:
    return [[cell.value for cell in row.cells] for row in table.rows]


EVOLUTION = ["differential-evolution", 1]


def test_every_figure(timed: Miniature) -> None:
    table = build(timed, dataset="oct")
    head = ["oct", "medmnist 28", "resnet50 #1", *EVOLUTION]
    assert figures(table) == [
        # attempts, queries, distinct, %, seconds, an attempt, queries/s, distinct/s
        [*head, None, "delta", "bfloat16", "c", 1, 1000, 800, 80.0, 0.5, 0.5, 2000.0, 1600.0],
        # No time was measured on the other machine: there is no rate.
        [*head, None, "dense", "float32", "H200", 1, 9000, 9000, 100.0, 0.0, 0.0, None, None],
        # Distinct queries were counted in the first attempt only: 50 of its 100, in its second.
        [*head, None, "dense", "float32", "c", 2, 400, 50, 50.0, 4.0, 2.0, 100.0, 50.0],
        [*head, "dae #2", "dense", "float32", "c", 1, 600, 600, 100.0, 2.0, 2.0, 300.0, 300.0],
    ]
    distinct: Cell = table.rows[2].cells[11]
    assert (distinct.denominator, distinct.note) == (1, "1 of 2 attempts")
    assert any("were not counted in all attempts" in note for note in table.notes)


def test_every_dataset_has_rows_and_phantoms_are_named(timed: Miniature) -> None:
    table = build(timed)
    assert [row[0] for row in figures(table)] == ["derma", *["oct"] * 4]
    derma = figures(table)[0]
    assert derma[1:3] == ["phantom 28", "small-cnn #3"]
    assert derma[9:] == [1, 10, None, None, 0.1, 0.1, 100.0, None]
    assert table.rows[0].cells[11].note == "not counted"
    phantom, real = table.caption
    assert phantom.startswith("derma: source phantom") and "phantom data" in phantom
    assert real.startswith("oct: source medmnist") and "phantom" not in real
    assert [row[0] for row in figures(build(timed, model=3))] == ["derma"]


def test_without_data_it_says_which_command_would_fill_it(empty: Miniature) -> None:
    table = build(empty, dataset="oct")
    attack = "pixguard attack --dataset oct --attack differential-evolution --pixels 1"
    assert table.commands == (f"pixguard train --dataset oct; {attack}",)
    assert table.caption == ("no data yet",)
    oct_ = empty.dataset("oct", [(0, "Normal", None)])
    empty.model("classifier", "resnet50", oct_)
    assert build(empty).commands == (f"{attack} --model 1",)
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "cost"]
    assert listed.cells[2].not_run == f"{attack} --model 1"


def test_the_list_names_the_datasets(timed: Miniature) -> None:
    (listed,) = [r for r in list_tables(timed.engine).rows if r.cells[0].value == "cost"]
    assert listed.cells[2].value == "derma, oct"
