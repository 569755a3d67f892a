"""Table ``defences``: six images, worked out by hand.

           clean     one pixel, bare      DAE gives    PSNR     through the DAE
                                          the label
A          right     fooled (DE)          yes          30       fooled (DE)
B          right     fooled (corner)      no           inf      - (corner)
C          right     -      (DE)                                fooled (DE)
D          right     -      (DE)                                - (DE)
E          right     fooled, two pixels   yes          40
F          wrong

The vote is right on all six, certain of A to E at one pixel, and fell once (A).
"""

from typing import Any

import pytest

from pixguard.reports.build import build_table
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.selection import selection
from pixguard.reports.specs import table_spec
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

CLASSIFIER, DAE, IDENTITY, VOTE = 1, 2, 3, 4
A, B, C, D, E, F = range(1, 7)


@pytest.fixture
def defended(empty: Miniature) -> Miniature:
    db = empty
    oct_ = db.dataset("oct", [(0, "Normal", "Normal"), (1, "DME", "DME")])
    db.model("classifier", "small-cnn", oct_)
    db.model("denoiser", "dae", oct_, trainable_parameters=700, frozen_parameters=70)
    db.model("denoiser", "identity", oct_)
    db.model("classifier", "polyphase-vote", oct_, parameters='{"voter": "small-cnn", "stride": 2}')
    for image in range(A, F + 1):
        db.prediction(CLASSIFIER, db.image(oct_, "0"), "1" if image == F else "0")
        db.add(
            t.Certificate, model_id=VOTE, image_id=image, run_id=1, method="polyphase-vote",
            predicted="0", votes="[4, 0]", radius=0 if image == F else 1,
        )  # fmt: skip
    de, corner = db.attack(1), db.attack(1, "corner", parameters="{}")
    two = db.attack(2)
    psnr = db.metrics()["psnr"]
    bare = [(de, A, 1), (corner, B, 1), (de, C, 0), (de, D, 0), (two, E, 1)]
    made = {image: db.attempt(attack, CLASSIFIER, image, s) for attack, image, s in bare}
    for image, right, value in ((A, 1, 30.0), (B, 0, "inf"), (E, 1, 40.0)):
        db.score(db.restoration(made[image], image, CLASSIFIER, DAE, right), psnr, value)
    db.restoration(made[A], A, CLASSIFIER, IDENTITY, 0)
    for attack, image, success in ((de, A, 1), (corner, B, 0), (de, C, 1), (de, D, 0)):
        db.attempt(attack, CLASSIFIER, image, success, through_model_id=DAE)
    for image, right in ((A, 1), (B, 0), (F, 0)):
        db.restoration(None, image, CLASSIFIER, DAE, right)
    for image in (A, B):
        db.attempt(de, VOTE, image, int(image == A))
    return db


def build(db: Miniature, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec("defences"), **options)


def lines(table: ReportTable) -> dict[tuple[object, object], dict[str, Cell]]:
    names = [column.name for column in table.columns]
    found = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
    return {(line["pixels"].value, line["defence"].value): line for line in found}


def share(cell: Cell) -> tuple[float | None, int | None]:
    return cell.value, cell.denominator


def test_every_defence_has_a_row_for_each_number_of_pixels(defended: Miniature) -> None:
    rows = lines(build(defended))
    vote = "certificate polyphase-vote"
    assert list(rows) == [(1, "identity"), (1, "dae"), (1, vote), (2, "dae"), (2, vote)]
    dae = rows[1, "dae"]
    assert share(dae["recovered %"]) == (50.0, 2)
    assert share(dae["clean broken %"]) == (50.0, 2), "what was wrong before cannot be broken"
    assert (dae["PSNR"].value, dae["PSNR"].note) == (30.0, "1 inf")
    assert share(dae["adaptive success %"]) == (50.0, 4), "A and C"
    assert share(dae["undefended success %"]) == (50.0, 4), "A, and B by the same corner search"
    assert dae["parameters"].value == 770
    two = rows[2, "dae"]
    assert (share(two["recovered %"]), two["PSNR"].value) == ((100.0, 1), 40.0)
    told = two["adaptive success %"].not_run
    assert told and "--pixels 2 --model 1 --through dae" in told


def test_a_detector_is_a_defence_and_what_it_breaks_is_what_it_flags(defended: Miniature) -> None:
    watch = defended.model("detector", "dae", 1, trainable_parameters=5, frozen_parameters=0)
    for image, flagged in ((A, 0), (B, 1), (C, 0), (F, 1)):
        defended.detection(watch, image, flagged - 0.5, flagged)
    for image, success in ((A, 1), (C, 0)):
        defended.attempt(1, CLASSIFIER, image, success, through_model_id=watch)
    rows = lines(build(defended))
    own, dae = rows[1, "detector dae"], rows[1, "dae"]
    assert share(own["adaptive success %"]) == (50.0, 2)
    assert share(own["undefended success %"]) == (50.0, 2)
    assert share(own["clean broken %"]) == (pytest.approx(100 / 3), 3), "F was wrong before"
    assert own["recovered %"].value is None and own["parameters"].value == 5
    assert share(dae["adaptive success %"]) == (50.0, 4), "as before"


def test_no_defence_and_certificates(defended: Miniature) -> None:
    rows = lines(build(defended))
    bare = rows[1, "identity"]
    assert share(bare["recovered %"]) == (0.0, 1)
    assert share(bare["accuracy %"]) == (pytest.approx(500 / 6), 6)
    assert bare["adaptive success %"] == Cell(None), "nothing changes there"
    vote = rows[1, "certificate polyphase-vote"]
    assert share(vote["accuracy %"]) == (100.0, 6)
    assert share(vote["certified %"]) == (pytest.approx(500 / 6), 6)
    assert share(vote["adaptive success %"]) == (50.0, 2)
    assert rows[2, "certificate polyphase-vote"]["certified %"].value == 0.0


def test_where_nothing_is_fooled_a_denoiser_shows_what_it_breaks(defended: Miniature) -> None:
    median = defended.model("denoiser", "median", 1)
    for image, kept in ((A, 1), (B, 0), (C, 1)):
        defended.restoration(None, image, CLASSIFIER, median, kept)
    rows = lines(build(defended))
    for pixels in (1, 2):
        own = rows[pixels, "median"]
        assert share(own["clean broken %"]) == (pytest.approx(100 / 3), 3)
        assert own["recovered %"].value is None and own["adaptive success %"].not_run


def test_attempts_are_selected_by_attack(defended: Miniature) -> None:
    rows = lines(build(defended, selection=selection("corner")))
    assert share(rows[1, "dae"]["recovered %"]) == (0.0, 1)
    assert share(rows[1, "dae"]["undefended success %"]) == (100.0, 1)
    assert (2, "dae") not in rows


def test_without_data_it_says_what_would_fill_it(empty: Miniature) -> None:
    commands = build(empty, dataset="oct").commands
    assert len(commands) == 1 and "denoise apply --dataset oct" in commands[0]
