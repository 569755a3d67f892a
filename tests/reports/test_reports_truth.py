"""Table ``truth``: six images, worked out by hand.

                   A      B      C      D       E       F
exhaustive         1000   3000   8000   -       -             (all values; - failed)
differential ev.   300    -      500    -               100   (seed 0)
                                                -             (seed 7)
corner             10     30            -
exhaustive corners 60                   -
random                                                  -
"""

import json
from typing import Any

import pytest
from sqlalchemy import text

from pixguard.records import Flip, FooledPixel, PixelMap, PixelSample
from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.selection import Selection, selection
from pixguard.reports.specs import table_spec
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

CLASSIFIER = 1
COMPLETE = json.dumps({"goal": "non-targeted", "space": "all-values"})
CORNERS = json.dumps({"goal": "non-targeted", "space": "corners"})
FULL = 200_704
A, B, C, D, E, F = range(1, 7)


def start(db: Miniature, source: str = "medmnist") -> None:
    oct_ = db.dataset("oct", [(0, "Normal", "Normal")], source=source)
    db.model("classifier", "resnet50", oct_)
    for _ in range(6):
        db.image(oct_, "0")


def run(db: Miniature, attack: int, outcomes: dict[int, tuple[int, int]], **values: object) -> None:
    """Add an attempt an image: image -> (success, queries)."""
    for image, (success, queries) in outcomes.items():
        db.attempt(attack, CLASSIFIER, image, success, queries=queries, **values)


@pytest.fixture
def searched(empty: Miniature) -> Miniature:
    start(empty)
    complete = empty.attack(1, "exhaustive", parameters=COMPLETE)
    found = {A: (1, 1000), B: (1, 3000), C: (1, 8000), D: (0, FULL), E: (0, FULL)}
    run(empty, complete, found, elapsed_ms=2000.0)
    evolution = empty.attack(1)
    for image, success, queries, distinct, elapsed in (
        (A, 1, 300, 200, 1000.0),
        (B, 0, 10_100, 3000, 4000.0),
        (C, 1, 500, None, 1000.0),
        (D, 0, 10_100, 4000, 2000.0),
        (F, 1, 100, 100, 9000.0),
    ):
        tried = {"queries": queries, "distinct_queries": distinct, "elapsed_ms": elapsed}
        empty.attempt(evolution, CLASSIFIER, image, success, **tried)
    run(empty, evolution, {E: (0, 10_100)}, seed=7)
    corner = empty.attack(1, "corner", parameters='{"order": "gradient"}')
    run(empty, corner, {A: (1, 10), B: (1, 30), D: (0, 6272)})
    corners = empty.attack(1, "exhaustive", parameters=CORNERS)
    run(empty, corners, {A: (1, 60), D: (0, 6272)})
    run(empty, empty.attack(1, "random", parameters='{"queries": 10100}'), {F: (0, 10_100)})
    return empty


def add_what_must_not_count(db: Miniature) -> None:
    """Add successes on the robust image D that say nothing about one pixel."""
    oct_ = 1
    other = db.model("classifier", "resnet50", oct_, created_ms=0)
    db.attempt(2, CLASSIFIER, D, 1, target=2)
    db.attempt(2, CLASSIFIER, D, 1, through_model_id=other)
    db.attempt(2, CLASSIFIER, D, 1, repeat=1)
    db.attempt(2, other, D, 1)
    db.attempt(db.attack(2), CLASSIFIER, D, 1)


def build(db: Miniature, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec("truth"), **options)


def figures(table: ReportTable) -> list[list[object]]:
    """Return the rows without settings, truth, and the four shares by budget."""
    return [
        [c.value for c in (row.cells[0], row.cells[2], *row.cells[4:9], *row.cells[13:])]
        for row in table.rows
    ]


def column(table: ReportTable, name: str) -> list[Cell]:
    position = [c.name for c in table.columns].index(name)
    return [row.cells[position] for row in table.rows]


def said(table: ReportTable, words: str) -> str:
    (note,) = [note for note in table.notes if words in note]
    return note


def certify(db: Miniature, image: int, method: str, content: object, radius: int = 0) -> None:
    db.add(
        t.Certificate,
        model_id=CLASSIFIER,
        image_id=image,
        run_id=1,
        method=method,
        predicted="0",
        votes=json.dumps(content),
        radius=radius,
    )


def survey(db: Miniature, image: int, votes: list[int], budget: int = 9) -> None:
    """Add a survey: pixels proven, fooled at an extreme, fooled only between, open."""
    certify(db, image, f"pixel-survey {budget}", votes, int(votes[0] == sum(votes)))


EXPECTED = [
    # attack, seed, images, vulnerable, found, missed, found %, median queries of the successes
    # and of all, mean distinct, mean seconds
    ["exhaustive", 0, 5, 3, 3, 0, 100.0, 3000.0, 8000.0, None, 2.0],
    ["corner", 0, 3, 2, 2, 0, 100.0, 20.0, 30.0, None, 0.001],
    ["differential-evolution", 0, 4, 3, 2, 1, pytest.approx(200 / 3), 400.0, 5300.0, 2400.0, 2.0],
    ["differential-evolution", 7, 1, 0, 0, 0, None, None, 10_100.0, None, 0.001],
    ["exhaustive", 0, 2, 1, 1, 0, 100.0, 60.0, 3166.0, None, 0.001],
    # F was never searched: that differential evolution fooled it is a lower bound.
    ["random", 0, 1, 1, 0, 1, 0.0, None, 10_100.0, None, 0.001],
]


def test_every_figure(searched: Miniature) -> None:
    table = build(searched)
    assert figures(table) == EXPECTED
    assert [c.value for c in column(table, "settings")] == [
        "space=all-values",
        "order=gradient",
        "population=100, generations=100",
        "population=100, generations=100",
        "space=corners",
        "queries=10100",
    ]
    share = column(table, "found %")[2]
    assert share.denominator == 3
    assert share.interval == pytest.approx((20.766, 93.851), abs=1e-3)  # Wilson, 2 of 3
    distinct = column(table, "mean distinct queries")
    assert [c.denominator for c in distinct] == [0, 0, 3, 0, 0, 0]
    assert [c.value for c in column(table, "truth")] == [*["known"] * 5, "lower bound"]
    assert distinct[0].note == "not counted"
    assert column(table, "median queries, found")[2].denominator == 2
    assert not table.commands
    assert not any("CONTRADICTION" in note or "float32" in note for note in table.notes)


def test_shares_by_budget_are_of_all_that_is_vulnerable(searched: Miniature) -> None:
    shares = {
        most: [c.value for c in column(build(searched), f"found % within {most}")][:3]
        for most in (10, 100, 1000, 10_000)
    }
    half, third = 50.0, pytest.approx(100 / 3)
    assert shares[10] == [0.0, half, 0.0]  # corner found A with its 10th query, and B with its 30th
    assert shares[100] == [0.0, 100.0, 0.0]
    assert shares[1000] == [third, 100.0, pytest.approx(200 / 3)]
    assert shares[10_000] == [100.0, 100.0, pytest.approx(200 / 3)]


def test_surveys_of_pixels_are_told_and_the_fullest_of_an_image_counts(searched: Miniature) -> None:
    assert not any("surveyed" in note for note in build(searched).notes)
    for image, budget, votes in (
        (A, 10, [0, 50, 0, 50]),
        (A, 99, [40, 50, 10, 0]),
        (B, 10, [98, 0, 1, 1]),
        (D, 10, [100, 0, 0, 0]),
    ):
        survey(searched, image, votes, budget)
    note = said(build(searched), "surveyed")
    assert "3 images" in note and "79.3 % proven, 16.7 % fooled at an extreme" in note
    assert "3.67 % fooled only between extremes, 0.333 % open" in note
    assert "(ANVP): at least 20.33. 1 of these images are proven robust, 1 are vulnerable" in note


def draw_pixels(db: Miniature, image: int, drawn: int, extremes: int, *counts: int) -> None:
    """Add what pixels drawn tell: how many are proven, fooled between extremes, and open."""
    places = tuple(divmod(place, 28) for place in range(extremes))
    sample = PixelSample(0, f"pixel-sample 9 of {drawn}", (0,), places, *counts)
    certify(db, image, sample.method, sample.content())


def test_pixels_drawn_tell_shares_of_all(empty: Miniature) -> None:
    start(empty)
    # Of B's 784 pixels 196 fall at an extreme; half of those drawn are proven, an eighth fall.
    draw_pixels(empty, A, 8, 0, 8, 0, 0)
    draw_pixels(empty, B, 8, 196, 4, 1, 3)
    draw_pixels(empty, A, 2, 0, 0, 2, 0)  # less is known from that
    note = said(build(empty), "drawn at random")
    assert note.startswith("Of 2 images") and "and 8 pixels of each" in note
    assert "1 images are vulnerable at an extreme; of 16 pixels drawn 12 are proven, 1" in note
    assert "only between extremes (on 1 images, of which no extreme fools 0), 3 open" in note
    # Proven: 100 % and 1/2 of 3/4; by hand 68.75 +- 1.96 * 31.25.
    assert "68.8 % (7.5–100.0) proven, 12.5 % (0.0–37.0) fooled at an extreme, 4.69 %" in note
    assert not any("Truth is known" in each for each in build(empty).notes)
    other = empty.model("classifier", "resnet50", 1)  # what was done with it hides nothing
    empty.attempt(empty.attack(1, "corner"), other, A, 0)
    assert said(build(empty, model=CLASSIFIER), "drawn at random") == note


def test_a_survey_is_the_truth_of_its_image(searched: Miniature) -> None:
    survey(searched, E, [100, 0, 0, 0])  # as its search said
    survey(searched, F, [90, 0, 0, 10])  # open: no verdict
    assert figures(build(searched)) == EXPECTED
    survey(searched, F, [89, 0, 1, 10], budget=10)  # fooled, whatever is open
    *others, random = figures(build(searched))
    assert random[2:6] == [1, 1, 0, 1]
    assert column(build(searched), "truth")[-1].value == "known"
    # Differential evolution has fooled F with 100 queries; the rest never saw it.
    assert others[2][2:6] == [5, 4, 3, 1]
    assert [row for place, row in enumerate(others) if place != 2] == [
        row for place, row in enumerate(EXPECTED[:-1]) if place != 2
    ]
    assert "Truth is known for 6 of 6 images; 4 are vulnerable" in said(build(searched), "Truth is")


@pytest.mark.parametrize("votes", [[100, 0, 0, 0], [0, 0, 0, 100]])
def test_a_survey_that_proves_what_an_attack_refutes_is_a_contradiction(
    searched: Miniature, votes: list[int]
) -> None:
    survey(searched, F, votes)
    told = [note for note in build(searched).notes if "CONTRADICTION" in note]
    assert len(told) == (votes[0] == 100)


def test_surveys_tell_nothing_of_another_definition_or_number_of_pixels(empty: Miniature) -> None:
    start(empty)
    survey(empty, A, [100, 0, 0, 0])
    for pixels, success in ((1, "argmax"), (2, "label-set"), (1, "label-set")):
        parameters = json.dumps({"success": success, "queries": 9})
        run(empty, empty.attack(pixels, "random", parameters=parameters), {A: (0, 9)})
        table = build(empty, selection=Selection(pixels=pixels))
        is_known = any("Truth is known" in note for note in table.notes)
        assert is_known == ((pixels, success) == (1, "label-set")), (pixels, success)
        with empty.engine.begin() as connection:
            connection.execute(text("DELETE FROM attempt"))


def test_an_image_that_a_proof_left_open_is_no_robust_one(searched: Miniature) -> None:
    attack = searched.attack(1, "exhaustive", parameters=COMPLETE.replace("{", '{"by": "bounds", '))
    plan = searched.add(
        t.Plan,
        model_id=CLASSIFIER,
        attack_id=attack,
        dataset_id=1,
        run_id=1,
        seed=0,
        settings="{}",
        command="",
        remarks="[]",
        created_ms=0,
    )
    for place, key in enumerate(("open", "tried again and decided")):
        searched.add(
            t.PlannedAttempt,
            plan_id=plan,
            repeat=0,
            place=place,
            dataset_index=place,
            attempt_key=key,
        )
        searched.add(
            t.Failure, run_id=1, attempt_key=key, error_type="Undecided", message="", at_ms=0
        )
    searched.attempt(attack, CLASSIFIER, D, 0, attempt_key="tried again and decided")
    # Of 5 searched images 2 are robust.
    note = said(build(searched), "Open: on 1 images")
    assert "between 33.33 and 50.00 %" in note


def test_only_first_non_targeted_one_pixel_attempts_on_the_bare_classifier_count(
    searched: Miniature,
) -> None:
    add_what_must_not_count(searched)
    table = build(searched)
    assert figures(table) == EXPECTED
    assert not any("CONTRADICTION" in note for note in table.notes)


def test_the_footer_states_the_true_robustness(searched: Miniature) -> None:
    table = build(searched)
    note = said(table, "True one-pixel robustness")
    assert "known for 5 of 6 images; 3 are vulnerable" in note
    assert "40.00 % (11.8–76.9)" in note  # Wilson, 2 of 5
    # F was fooled and never searched: a row of truth with it would flatter what found it.
    unsearched = said(table, "Without a complete search")
    assert "1 of 6 images. At least 1 of them are vulnerable, 100.00 %" in unsearched
    assert "no image that the attack was run on" in said(table, "lower bound: ")


def test_a_success_on_an_image_called_robust_is_a_contradiction(searched: Miniature) -> None:
    corner = 3
    run(searched, corner, {E: (1, 50)})
    table = build(searched)
    assert "calls 1 of these images robust" in said(table, "CONTRADICTION")
    rows = figures(table)
    assert rows[0][2:6] == [5, 4, 3, 1]  # the search itself missed E
    assert rows[1][2:6] == [4, 3, 3, 0]
    assert rows[3][2:6] == [1, 1, 0, 1]  # E is vulnerable for every attack
    notes = [c.note for c in column(table, "found")]
    assert notes == ["", "1 against the search", "", "", "", ""]
    assert "20.00 %" in said(table, "True one-pixel robustness")


def test_a_search_in_another_precision_is_told(searched: Miniature) -> None:
    oct_ = 1
    image = searched.image(oct_, "0")
    searched.attempt(1, CLASSIFIER, image, 0, precision="bfloat16")
    assert said(build(searched), "than float32").startswith("1 images")


def test_compact_json_is_recognised_too(searched: Miniature) -> None:
    # The writer stores JSON without spaces; the fixture has them.
    image = searched.image(1, "0")
    compact = searched.attack(1, "exhaustive", parameters='{"goal":"x","space":"all-values"}')
    searched.attempt(compact, CLASSIFIER, image, 0)
    complete = [row for row in figures(build(searched)) if row[0] == "exhaustive"]
    assert [row[2] for row in complete] == [5, 1, 2]


def test_another_definition_of_success_is_another_truth(empty: Miniature) -> None:
    start(empty)
    parameters = '{"space":"all-values","success":"label-set"}'
    search = empty.attack(1, "exhaustive", parameters=parameters)
    run(empty, search, {A: (1, 100), B: (0, FULL)})
    same = empty.attack(1, "corner", parameters='{"order":"grid","success":"label-set"}')
    other = empty.attack(1, "corner", parameters='{"order":"grid","success":"argmax"}')
    run(empty, same, {A: (1, 10)})
    run(empty, other, {B: (1, 10)})
    table = build(empty)
    assert [r[:6] for r in figures(table) if r[1] is not None] == [
        ["exhaustive", 0, 2, 1, 1, 0],
        ["corner", 0, 1, 1, 1, 0],
    ]
    assert not any("CONTRADICTION" in note for note in table.notes)


def test_corners_are_never_the_truth(empty: Miniature) -> None:
    start(empty)
    corners = empty.attack(1, "exhaustive", parameters=CORNERS)
    run(empty, corners, {A: (1, 60), B: (0, 6272)})
    table = build(empty)
    # B may be vulnerable as well, though the corners do not fool it: the union is a lower bound.
    assert figures(table)[-1][:7] == ["exhaustive", 0, 2, 1, 1, 0, 100.0]
    assert [c.note for c in table.rows[-1].cells[5:9]] == ["at least", "", "at least", "at most"]
    assert "at least" in said(table, "lower bound: ")
    assert not any("robustness" in note for note in table.notes)
    assert "space=corners) proves no image robust" in said(table, "lower bound: ")
    assert not any("--attack exhaustive" in c and "--space" not in c for c in table.commands)


def test_without_data_it_says_which_commands_would_fill_it(empty: Miniature) -> None:
    train = "pixguard train --dataset oct"
    table = build(empty, dataset="oct")
    assert table.commands == tuple(
        f"{train}; pixguard attack --dataset oct --attack {name} --pixels 1"
        for name in ("exhaustive", "differential-evolution", "corner", "random")
    )
    assert table.caption == ("no data yet",)
    start(empty)
    assert (
        "pixguard attack --dataset oct --attack exhaustive --pixels 1 --model 1"
        in build(empty).commands
    )
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "truth"]
    assert listed.cells[2].not_run == build(empty).commands[0]


def test_attacks_that_were_not_run_have_rows(empty: Miniature) -> None:
    start(empty)
    run(empty, empty.attack(1, "exhaustive", parameters=COMPLETE), {A: (1, 5)})
    table = build(empty)
    assert [row.cells[0].value for row in table.rows] == [
        "exhaustive",
        "differential-evolution",
        "corner",
        "random",
    ]
    assert table.rows[2].cells[5].not_run == (
        "pixguard attack --dataset oct --attack corner --pixels 1 --model 1"
    )
    (listed,) = [r for r in list_tables(empty.engine).rows if r.cells[0].value == "truth"]
    assert listed.cells[2].value == "oct"


def test_the_list_does_not_need_a_command(searched: Miniature) -> None:
    # In colour truth stays unknown: the union of the attacks is all that there is.
    with searched.engine.begin() as connection:
        connection.execute(text("DELETE FROM attempt WHERE attack_id = 1"))
    (listed,) = [r for r in list_tables(searched.engine).rows if r.cells[0].value == "truth"]
    assert (listed.cells[2].value, listed.cells[2].not_run) == ("oct", None)


def test_the_union_of_attacks_is_a_lower_bound_in_colour(empty: Miniature) -> None:
    start(empty)
    run(empty, empty.attack(1), {A: (1, 1), B: (1, 1), C: (0, 9), D: (0, 9)})
    run(empty, empty.attack(1, "corner"), {B: (1, 1), C: (1, 1), D: (0, 9), E: (1, 1)})
    run(empty, empty.attack(2, "corner"), {D: (1, 1)})  # two pixels say nothing of one
    table = build(empty)
    rows = {row[0]: row[2:7] for row in figures(table) if row[2] is not None}
    # images, vulnerable by either, found, missed, share of the union: of each attack's own images
    assert rows == {
        "differential-evolution": [4, 3, 2, 1, pytest.approx(200 / 3)],
        "corner": [4, 3, 3, 0, 100.0],
    }
    assert {c.value for c in column(table, "truth")} == {None, "lower bound"}
    assert "At least 4 of them are vulnerable, 80.00 %" in said(table, "Without a complete search")


def test_attacks_other_than_the_papers_are_enough(empty: Miniature) -> None:
    start(empty)
    run(empty, empty.attack(1, "corner"), {A: (1, 1), B: (0, 9)})
    table = build(empty)
    assert [r[:6] for r in figures(table) if r[2] is not None] == [["corner", 0, 2, 1, 1, 0]]


def test_selected_rows_keep_the_truth_of_all_attempts(searched: Miniature) -> None:
    table = build(searched, selection=selection("corner"))
    assert figures(table) == EXPECTED[1:2]
    assert "told by all attempts" in said(table, "The rows are selected")
    assert build(searched, selection=selection(seed=7)).rows[-1].cells[2].value == 7


def test_phantoms_are_named_and_real_images_come_first(searched: Miniature) -> None:
    phantom = searched.dataset("derma", [(0, "Nevus", None)], source="phantom")
    model = searched.model("classifier", "small-cnn", phantom)
    searched.attempt(1, model, searched.image(phantom, "0"), 1)
    real = build(searched)
    assert "phantom" not in real.title and not any("phantom" in line for line in real.caption)
    assert "derma, small-cnn #2 (--model 2)" in said(real, "There is data for")
    table = build(searched, dataset="derma")
    assert table.title.endswith("derma, phantom data, small-cnn")
    (caption,) = table.caption
    for words in ("derma: source phantom, 28 x 28 pixels", "classifier small-cnn #2"):
        assert words in caption
    assert caption.endswith("phantom data: synthetic, not the paper's")
    assert figures(table)[0][2:6] == [1, 1, 1, 0]


def test_universal_pixels_are_those_chosen_for_most_images(searched: Miniature) -> None:
    certify(searched, A, "pixel-survey 9", [100, 0, 0, 0])
    for image, fooled in ((A, [0, 0]), (B, [1, 1]), (C, [0, 1])):
        content = {"fooled": fooled, "pixels": [[3, 4, [255]], [5, 6, [0]]]}
        certify(searched, image, "pixel-universal 2 of 3", content)
    certify(searched, A, "pixel-universal 1 of 1", {"fooled": [1], "pixels": [[9, 9, [9]]]})
    note = said(build(searched), "Universal")
    assert "(3, 4) set to 255: 1 of 3; with (5, 6) set to 0: 2 of 3" in note
    assert "(9, 9)" not in note and "of all values" in note


def test_pairs_at_extreme_values_are_told_with_two_pixels_alone(searched: Miniature) -> None:
    """A falls to a pair, B to other values alone, D to nothing; E was never searched."""
    corners = searched.attack(2, "exhaustive", parameters=CORNERS.replace("{", '{"by": "bounds", '))
    run(searched, corners, {A: (1, 5), B: (0, 100), D: (0, 100)})
    run(searched, searched.attack(2, "corner", parameters="{}"), {B: (1, 9), E: (1, 9)})
    note = said(build(searched, selection=selection(pixels=2)), "Every pair")
    assert "of 3 images" in note and "1 are fooled, 33.33 % (6.1–79.2)" in note
    assert "and 1 of them fell there" in note
    assert not any("Every pair" in note for note in build(searched).notes)


def flip(change: int, confidence: float) -> Flip:
    return Flip(1, 2, (change,), change, (1,), confidence)


def test_least_flips_by_hand(searched: Miniature) -> None:
    """A flips by 20 levels, B by 40, D is robust; of C a budget left more open than another."""
    spec = table_spec("least-flips")
    empty = build_table(searched.engine, spec)
    assert "certify pixels" in str(empty.commands)
    pair = (flip(20, 0.6), flip(90, 0.9))
    certify(searched, A, "pixel-survey 9", [100, 0, 0, 0])
    maps = {
        A: PixelMap(0, "", (0,), (FooledPixel(pair[0], False),), (), pair, 19),
        B: PixelMap(0, "", (0,), (FooledPixel(flip(40, 0.7), True),), (), (flip(40, 0.7),), 25),
        D: PixelMap(0, "", (0,)),
        C: PixelMap(0, "", (0,), open=((0, 0),), harmless=50),
    }
    for image, known in maps.items():
        certify(searched, image, "pixel-map 9", known.content(), known.radius)
    worse = PixelMap(0, "", (0,), open=((0, 0), (0, 1)), harmless=0)
    certify(searched, C, "pixel-map 1", worse.content())
    table = build_table(searched.engine, spec)
    by_class, total = ([c.value for c in row.cells] for row in table.rows)
    assert by_class[0] == "Normal" and by_class[1:] == total[1:]
    # B's least change lies between 26 and 40 levels, C's above 50.
    assert total[1:] == [4, 2, 25.0, 50.0, 50.0, 30.0, 22.0, 65.0, 80.0]
    notes = [c.note for c in table.rows[-1].cells[3:6]]
    assert notes == ["at most 50.00", "at most 75.00", "at most 75.00"]
