"""Table ``adaptive``: five images, worked out by hand.

           clean    bare          denoised by   through       clean image denoised
           right    (queries)     the DAE       the DAE       by the DAE
A          yes      fooled, 100   right         fooled, 200   right
B          yes      fooled, 300   wrong         fooled, 400   wrong
C          yes      -, 10100                    fooled, 600   right
D          yes      -, 10100
E          no                                   -, 10100      wrong
"""

import pytest

from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.specs import table_spec
from reports.reports_miniature import DE_PARAMETERS, Miniature

CLASSIFIER, DAE, MEDIAN, IDENTITY = 1, 2, 3, 4
DE, CORNER = 1, 2
A, B, C, D, E = range(1, 6)


def start(db: Miniature, source: str = "medmnist") -> None:
    oct_ = db.dataset("oct", [(0, "Normal", "Normal")], source=source)
    db.model("classifier", "resnet50", oct_)
    for name in ("dae", "median", "identity"):
        db.model("denoiser", name, oct_)
    for image in range(A, E + 1):
        db.prediction(CLASSIFIER, db.image(oct_, "0"), "1" if image == E else "0")
    db.attack(1)
    db.attack(2, "corner", parameters='{"order": "grid"}')


@pytest.fixture
def defended(empty: Miniature) -> Miniature:
    db = empty
    start(db)
    bare = {A: (1, 100), B: (1, 300), C: (0, 10_100), D: (0, 10_100)}
    made = {i: db.attempt(DE, CLASSIFIER, i, s, queries=q) for i, (s, q) in bare.items()}
    db.restoration(made[A], A, CLASSIFIER, DAE, 1)
    db.restoration(made[B], B, CLASSIFIER, DAE, 0)
    for image, (success, queries) in {
        A: (1, 200),
        B: (1, 400),
        C: (1, 600),
        E: (0, 10_100),
    }.items():
        db.attempt(DE, CLASSIFIER, image, success, queries=queries, through_model_id=DAE)
    for image, right in {A: 1, B: 0, C: 1, E: 0}.items():
        db.restoration(None, image, CLASSIFIER, DAE, right)
    db.attempt(CORNER, CLASSIFIER, A, 0, queries=50, through_model_id=MEDIAN)
    return db


def build(db: Miniature, **options: str) -> ReportTable:
    return build_table(db.engine, table_spec("adaptive"), **options)


def lines(table: ReportTable) -> dict[tuple[object, ...], dict[str, Cell]]:
    """Return rows by denoiser, attack, pixels and seed."""
    names = [c.name for c in table.columns]
    found = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
    return {tuple(r[k].value for k in ("denoiser", "attack", "pixels", "seed")): r for r in found}


def rate(cell: Cell) -> tuple[object, int | None]:
    return cell.value, cell.denominator


EVOLUTION = ("differential-evolution", 1, 0)


def test_every_figure_of_a_denoiser(defended: Miniature) -> None:
    row = lines(build(defended))[("dae", *EVOLUTION)]
    assert row["settings"].value == "population=100, generations=100"
    # E was wrong before it was denoised: nothing broke there.
    assert rate(row["clean broken %"]) == (pytest.approx(100 / 3), 3)
    assert rate(row["transfer recovered %"]) == (50.0, 2)
    assert rate(row["adaptive success %"]) == (75.0, 4)
    assert row["adaptive success %"].interval == pytest.approx((30.0642, 95.4413), abs=1e-4)
    assert row["adaptive median queries"].value == 500.0  # of 200, 400, 600, 10100
    assert rate(row["bare success %"]) == (50.0, 4)
    assert row["bare median queries"].value == 5200.0  # of 100, 300, 10100, 10100
    assert row["images shared"].value == 3


def test_what_is_missing_says_how_to_get_it(defended: Miniature) -> None:
    found = lines(build(defended))
    assert list(found) == [
        ("dae", *EVOLUTION),
        ("identity", *EVOLUTION),
        ("median", "corner", 2, 0),
        ("median", *EVOLUTION),
    ]
    corner = found["median", "corner", 2, 0]
    assert rate(corner["adaptive success %"]) == (0.0, 1)
    attack = "pixguard attack --dataset oct --attack corner --pixels 2 --model 1"
    denoise = "pixguard denoise apply --dataset oct --model 1 --denoiser median"
    assert corner["bare success %"].not_run == attack
    assert corner["transfer recovered %"].not_run == f"{attack}; {denoise}"
    assert corner["images shared"].value is None
    identity = found["identity", *EVOLUTION]
    assert identity["adaptive success %"].not_run == (
        "pixguard attack --dataset oct --attack differential-evolution --pixels 1 --model 1 "
        "--through identity"
    )
    assert identity["transfer recovered %"].not_run == denoise.replace("median", "identity")
    assert rate(identity["bare success %"]) == (50.0, 4)
    assert (identity["clean broken %"].value, identity["clean broken %"].note) == (None, "not run")


def test_what_must_not_count_does_not(defended: Miniature) -> None:
    before = build(defended).rows
    other = defended.model("classifier", "resnet50", 1, created_ms=0)
    for values in ({"target": 1}, {"repeat": 1}):
        for through in (None, DAE):
            defended.attempt(DE, CLASSIFIER, A, 1, through_model_id=through, **values)
    attempt = defended.attempt(DE, other, A, 1)
    defended.restoration(attempt, A, other, DAE, 1)
    defended.restoration(None, D, other, DAE, 0)
    behind = defended.attempt(DE, CLASSIFIER, D, 1, through_model_id=DAE, repeat=2)
    defended.restoration(behind, D, CLASSIFIER, DAE, 1)
    assert build(defended).rows == before


def test_seeds_are_never_mixed(defended: Miniature) -> None:
    defended.attempt(DE, CLASSIFIER, A, 0, seed=7, through_model_id=DAE)
    found = lines(build(defended))
    assert rate(found["dae", "differential-evolution", 1, 7]["adaptive success %"]) == (0.0, 1)
    assert rate(found["dae", *EVOLUTION]["adaptive success %"]) == (75.0, 4)


def test_two_trainings_of_one_denoiser_are_two_rows(defended: Miniature) -> None:
    again = defended.model("denoiser", "dae", 1)
    found = lines(build(defended))
    assert rate(found["dae #2", *EVOLUTION]["adaptive success %"]) == (75.0, 4)
    command = found[f"dae #{again}", *EVOLUTION]["adaptive success %"].not_run
    assert command is not None and command.endswith(f"--through {again}")


def test_nothing_to_restore_is_not_a_gap(empty: Miniature) -> None:
    start(empty)
    empty.attempt(DE, CLASSIFIER, A, 0)
    table = build(empty)
    assert {r["transfer recovered %"].note for r in lines(table).values()} == {"none"}
    assert any("no attempt on the bare classifier succeeded" in note for note in table.notes)
    assert not any("denoise apply" in command for command in table.commands)


def test_without_data_it_says_which_commands_would_fill_it(empty: Miniature) -> None:
    attack = "pixguard attack --dataset oct --attack differential-evolution --pixels 1"
    assert build(empty, dataset="oct").commands == (
        f"pixguard train --dataset oct; {attack} --through median",
    )
    oct_ = empty.dataset("oct", [(0, "Normal", None)])
    empty.model("classifier", "resnet50", oct_)
    assert build(empty).commands == (f"{attack} --model 1 --through median",)
    empty.model("denoiser", "dae", oct_)
    assert f"{attack} --model 1 --through dae" in build(empty).commands
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "adaptive"]
    assert listed.cells[2].not_run is not None


def test_phantoms_are_named(empty: Miniature) -> None:
    start(empty, source="phantom")
    empty.attempt(DE, CLASSIFIER, A, 1, through_model_id=DAE)
    table = build(empty)
    assert table.title.endswith("oct, phantom data, resnet50")
    (caption,) = table.caption
    assert "source phantom, 28 x 28" in caption and "classifier resnet50 #1" in caption
    assert caption.endswith("phantom data: synthetic, not the paper's")
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "adaptive"]
    assert listed.cells[2].value == "oct"


def test_other_settings_are_another_row(defended: Miniature) -> None:
    assert DE_PARAMETERS != '{"population": 10}'
    small = defended.attack(1, parameters='{"population": 10}')
    defended.attempt(small, CLASSIFIER, A, 0, through_model_id=DAE)
    rows = [r for r in build(defended).rows if r.cells[0].value == "dae"]
    assert [(r.cells[2].value, r.cells[7].value) for r in rows] == [
        ("population=100, generations=100", 75.0),
        ("population=10", 0.0),
    ]
