"""Table ``certified``: six images and two classifiers, worked out by hand.

       votes for      radius   plain   attacked with (pixels: succeeded?)
       truth (0)               right   the vote              the plain one
A      9 of 9           4      yes     1: no, 2: no          1: yes
B      7 of 9           2      yes     1: no                 1: no, 2: yes
C      6 of 9           1      no      1: no, 2: yes         2: no
D      5 of 9           0      yes     1: yes, 2: no
E      wrong            1      yes
F      wrong            3      (not judged)
"""

from typing import Any

import pytest
from pytest import approx

from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import ReportTable
from pixguard.reports.specs import table_spec
from pixguard.statistics import wilson_interval
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

PLAIN, VOTE = 1, 2
A, B, C, D, E, F = range(1, 7)
RADII = {A: (True, 4), B: (True, 2), C: (True, 1), D: (True, 0), E: (False, 1), F: (False, 3)}


def certificate(db: Miniature, model: int, image: int, right: bool, radius: int) -> None:
    db.add(
        t.Certificate,
        model_id=model,
        image_id=image,
        run_id=1,
        method="polyphase-vote",
        predicted="0" if right else "1",
        votes="[]",
        radius=radius,
    )


@pytest.fixture
def trained(empty: Miniature) -> Miniature:
    """Two classifiers of oct, and what must not count: an older one, a denoiser before the vote."""
    db = empty
    oct_ = db.dataset("oct", [(0, "Normal", "Normal"), (1, "CNV", "Disease")])
    db.model("classifier", "small-cnn", oct_, created_ms=50)
    db.model("classifier", "polyphase-vote", oct_, parameters='{"voter": "small-cnn", "stride": 3}')
    old = db.model("classifier", "resnet50", oct_)
    for image in RADII:
        assert db.image(oct_, "0") == image
        db.prediction(old, image, "1")
        if image != F:
            db.prediction(PLAIN, image, "1" if image == C else "0")
    return db


@pytest.fixture
def certified(trained: Miniature) -> Miniature:
    db = trained
    for image, (right, radius) in RADII.items():
        certificate(db, VOTE, image, right, radius)
    one, two, corner = db.attack(1), db.attack(2), db.attack(1, "corner")
    dae = db.model("denoiser", "dae", 1)
    for image in (A, B, C):
        db.attempt(one, VOTE, image, 0)
    db.attempt(corner, VOTE, D, 1, target=1, repeat=1, seed=9)
    for image, success in {A: 0, C: 1, D: 0}.items():
        db.attempt(two, VOTE, image, success)
    db.attempt(one, PLAIN, A, 1)
    db.attempt(one, PLAIN, B, 0)
    db.attempt(two, PLAIN, B, 1)
    db.attempt(two, PLAIN, C, 0)
    db.attempt(one, VOTE, B, 1, through_model_id=dae)
    return db


def build(db: Miniature, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec("certified"), **options)


def values(table: ReportTable) -> list[list[Any]]:
    return [[cell.value for cell in row.cells] for row in table.rows]


def test_every_figure(certified: Miniature) -> None:
    table = build(certified, dataset="oct")
    head, third, two_thirds = ["oct", "medmnist 28"], approx(100 / 3), approx(200 / 3)
    assert values(table) == [
        # Clean: A to D of six. At 1 pixel: A, B, C. At 2: A, B. Radii 0 1 1 2 3 4.
        # Withstood 1 pixel: A, B, C of A to D. 2 pixels: A of A, C, D, as one pixel moved D.
        [*head, "polyphase-vote #2", 9, 6, two_thirds, 50.0, third, 1.5, 75.0, third, 0],
        # A to F without F, who was not judged: A, B, D, E right. 1 pixel: B of A, B.
        # 2 pixels: C of B, C.
        [*head, "small-cnn #1", None, 5, 80.0, None, None, None, 50.0, 50.0, None],
    ]
    vote, plain = table.rows
    denominators = [cell.denominator for cell in vote.cells]
    assert denominators[5:] == [6, 6, 6, 6, 4, 3, 6]
    assert [plain.cells[i].denominator for i in (5, 9, 10)] == [5, 2, 2]
    low, high = wilson_interval(3, 6) or (0, 0)
    assert vote.cells[6].interval == (100 * low, 100 * high)
    assert table.commands == ()
    assert [line.split("; ")[1].split(" (")[0] for line in table.caption] == [
        "classifier polyphase-vote #2",
        "classifier small-cnn #1",
    ]


def test_a_certificate_that_an_attack_refutes_is_counted(certified: Miniature) -> None:
    certified.attempt(2, VOTE, B, 1)  # two pixels, of which none may matter
    certified.attempt(2, VOTE, D, 1)  # nothing was promised
    assert values(build(certified))[0][-1] == 1


def test_what_was_not_run_names_its_command(trained: Miniature) -> None:
    table = build(trained)
    assert table.commands == ("pixguard certify apply --dataset oct --model 2",)
    certificate(trained, VOTE, A, True, 4)
    assert build(trained).commands == (
        "pixguard attack --dataset oct --pixels 1 --model 2",
        "pixguard attack --dataset oct --pixels 2 --model 2",
        "pixguard attack --dataset oct --pixels 1 --model 1",
        "pixguard attack --dataset oct --pixels 2 --model 1",
    )


def test_an_empty_database_names_its_commands(empty: Miniature) -> None:
    (row,) = build(empty, dataset="oct").rows
    command = "pixguard certify train --dataset oct; pixguard certify apply --dataset oct"
    assert {cell.not_run for cell in row.cells[4:]} == {command}
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "certified"]
    assert listed.cells[2].not_run is not None


def test_a_vote_without_a_plain_classifier_beside_it(empty: Miniature) -> None:
    oct_ = empty.dataset("oct", [(0, "Normal", None)])
    vote = empty.model("classifier", "polyphase-vote", oct_, parameters='{"stride": 2}')
    certificate(empty, vote, empty.image(oct_, "0"), True, 2)
    first, second = build(empty).rows
    assert [cell.value for cell in first.cells[3:9]] == [4, 1, 100.0, 100.0, 100.0, 2.0]
    assert second.cells[5].not_run == "pixguard train --dataset oct"


def test_the_list_and_the_choice_of_one_classifier(certified: Miniature) -> None:
    (listed,) = [r for r in list_tables(certified.engine).rows if r.cells[0].value == "certified"]
    assert listed.cells[2].value == "oct"
    assert len(build(certified, model=VOTE).rows) == 2
    assert len(build(certified, model="polyphase-vote").rows) == 2
