"""Every figure here was worked out by hand from the rows in reports_miniature.py."""

from typing import Any

import pytest
from sqlalchemy import text

from pixguard.errors import UsageError
from pixguard.reports.build import build_table, list_tables
from pixguard.reports.listing import lists_for
from pixguard.reports.report_table import ReportTable
from pixguard.reports.specs import table_spec, table_specs
from reports.reports_miniature import Miniature


def build(db: Miniature, number: int, **options: Any) -> ReportTable:
    return build_table(db.engine, table_spec(number), **options)


def values(table: ReportTable) -> list[list[Any]]:
    return [[c.value if c.not_run is None else "not run" for c in row.cells] for row in table.rows]


def test_every_table_renders_from_an_empty_database(empty: Miniature) -> None:
    for spec in table_specs().values():
        table = build_table(empty.engine, spec, paper=True)
        if spec.family == "hardware":  # of the one run that there is
            assert table.has_data
            continue
        if spec.family == "layers":  # counted on the model
            assert table.has_data
            continue
        assert not table.has_data and table.commands
        cells = [c for row in table.rows for c in row.cells[1:]]
        if isinstance(spec.number, int):
            figures = [c for c in cells if c.published is not None]
            assert figures and all(c.not_run or c.note == "quoted" for c in figures), spec
        else:
            assert table.commands and all(c.published is None for c in cells), spec
        assert table.caption == ("no data yet",)
        assert table.title == spec.title
    listed = {row.cells[0].value: row.cells[2] for row in list_tables(empty.engine).rows}
    assert [n for n, cell in listed.items() if not cell.not_run] == [1, 2, 11]


def test_table_12_accuracy_by_dataset(mini: Miniature) -> None:
    table = build(mini, 12)
    missing = ["not run"] * 3
    assert values(table) == [
        ["Derma", None, None, *missing],
        ["Pathology", None, None, *missing],
        ["OCT", "medmnist 28", "resnet50 #2", pytest.approx(96.51), 70.0, 7],
        ["Chest", "medmnist 64", "resnet50 #4", pytest.approx(96.51), pytest.approx(600 / 9), 6],
        ["derma", "phantom 28", "resnet50 #6", pytest.approx(96.51), 100.0, 1],
        ["pneumoniamnist", "medmnist 28", "small-cnn #5", pytest.approx(96.51), 100.0, 2],
    ]
    assert [row.in_paper for row in table.rows] == [True] * 4 + [False] * 2
    oct_row = table.rows[2].cells
    assert [c.denominator for c in oct_row[3:]] == [None, 10, 10]
    assert oct_row[4].interval == pytest.approx((39.677, 89.221), abs=1e-3)  # Wilson, 7 of 10
    assert oct_row[3].note == "n unknown"
    assert "phantom data: synthetic, not the paper's" in table.caption[2]
    # A phantom of that name is registered, so the paper's row needs a source.
    assert table.rows[0].cells[3].not_run == (
        "pixguard train --dataset derma --source medmnist --model resnet50"
    )


def test_training_accuracy_is_over_the_images_that_were_trained_on(empty: Miniature) -> None:
    dataset = empty.dataset("oct", [(0, "Normal", None)])
    trained = '{"training_images": 3}'
    model = empty.model("classifier", "resnet50", dataset, hyperparameters=trained)
    empty.prediction(model, empty.image(dataset, "0"), "0")
    assert build(empty, 12).rows[2].cells[3].denominator == 3


def test_table_15_precision_and_recall(mini: Miniature) -> None:
    # Predictions: 0,0,3 | 1,0 | 0 | 3,3,3,3 for true 0 | 1 | 2 | 3.
    table = build(mini, 15)
    by_class = {row[0]: row[1:] for row in values(table)}
    assert next(iter(by_class)) == "Normal"  # the paper's order, not the dataset's
    assert by_class["Choroidal neovascularization"] == [
        3,
        50.0,
        pytest.approx(200 / 3),
        pytest.approx(400 / 7),
    ]
    assert by_class["Diabetic macular edema"] == [2, 100.0, 50.0, pytest.approx(200 / 3)]
    assert by_class["Drusen"] == [1, None, 0.0, 0.0]
    assert by_class["Normal"] == [4, 80.0, 100.0, pytest.approx(800 / 9)]
    precision, recall, f1 = table.rows[1].cells[2:]  # CNV: 2 of 4 and 2 of 3
    assert precision.interval == pytest.approx((15.0036, 84.9964), abs=1e-3)
    assert recall.interval == pytest.approx((20.766, 93.851), abs=1e-3)
    assert (f1.interval, f1.denominator) == (None, 5)
    drusen = next(row for row in table.rows if row.cells[0].value == "Drusen")
    assert (drusen.cells[2].note, drusen.cells[2].denominator) == ("not defined", 0)


def test_table_16_counts_a_multi_label_image_in_every_class_it_carries(mini: Miniature) -> None:
    table = build(mini, 16)
    assert values(table) == [
        ["Atelectasis", 3, 75.0, 100.0, pytest.approx(600 / 7)],
        ["Effusion", 2, 100.0, 100.0, 100.0],
        ["Infiltration", 0, None, None, None],
        ["Nodule", 2, None, 0.0, 0.0],
        # Class 10 must not be taken for class 1 or 0, nor the empty set for any.
        ["Normal", 3, pytest.approx(200 / 3), pytest.approx(200 / 3), pytest.approx(200 / 3)],
        ["Emphysema", 1, 100.0, 100.0, 100.0],
    ]
    assert [row.in_paper for row in table.rows] == [True] * 4 + [False] * 2


def test_a_class_without_a_test_image_is_told_from_one_that_is_never_right(
    mini: Miniature,
) -> None:
    with mini.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE image SET split = 'train' WHERE dataset_id = "
                "(SELECT id FROM dataset WHERE name = 'oct') AND label_set = '2'"
            )
        )
    row = build(mini, 24).rows[3]
    assert row.cells[0].value == "Drusen"
    assert {cell.note for cell in row.cells[2:]} == {"no test image"}


def test_table_24_attacks_by_class(mini: Miniature) -> None:
    table = build(mini, 24)
    assert values(table) == [
        ["Normal", "Normal", 4, 3, 75.0],
        ["Choroidal neovascularization", "Disease", 2, 1, 50.0],
        ["Diabetic macular edema", "Disease", 1, 0, 0.0],
        ["Drusen", "Disease", None, None, None],
    ]
    normal = table.rows[0].cells[4]
    assert normal.denominator == 4
    assert normal.interval == pytest.approx((30.0642, 95.4413), abs=1e-4)
    assert {c.note for c in table.rows[3].cells[2:]} == {"none correct"}
    (caption,) = table.caption
    for said in (
        "oct: source medmnist, 28 x 28 pixels",
        "classifier resnet50 #2",
        "differential-evolution v1, 1 pixel changed at 28 x 28, population=100, ",
        "seed 0, images attacked: 7",
    ):
        assert said in caption


def test_table_28_attacks_on_label_sets(mini: Miniature) -> None:
    table = build(mini, 28)
    assert values(table) == [
        ["Normal", "Normal", 2, 1, 50.0],
        ["Atelectasis", "Disease", 1, 1, 100.0],
        ["Effusion", "Disease", 1, 1, 100.0],
        ["Infiltration", "Disease", None, None, None],
        ["Nodule", "Disease", None, None, None],
        ["several labels", None, 1, 1, 100.0],
    ]


def test_table_32_and_33_overviews(mini: Miniature) -> None:
    table = build(mini, 32)
    assert [row[0:1] + row[2:] for row in values(table)] == [
        ["Derma", None, "not run", "not run", "not run"],
        ["Pathology", None, "not run", "not run", "not run"],
        ["OCT", "resnet50 #2", 7, 4, pytest.approx(400 / 7)],
        ["Chest", "resnet50 #4", 5, 4, 80.0],
        ["derma", "resnet50 #6", 1, 1, 100.0],
        ["pneumoniamnist", "small-cnn #5", 2, 1, 50.0],
    ]
    two = values(build(mini, 33))
    assert two[2][2:] == ["resnet50 #2", 7, 7, 100.0]
    assert two[3][2:] == [None, "not run", "not run", "not run"]
    assert "pixguard attack --dataset chest --pixels 2 --model 4" in build(mini, 33).commands


def test_the_overview_is_the_sum_of_the_classes(mini: Miniature) -> None:
    overview = {row[0]: row[3:5] for row in values(build(mini, 32))}
    for number, name in ((24, "OCT"), (28, "Chest")):
        rows = values(build(mini, number))
        sums = [sum(row[column] or 0 for row in rows) for column in (2, 3)]
        assert sums == overview[name]


def test_table_43_compares_two_classifiers(mini: Miniature) -> None:
    rows = values(build(mini, 43))
    assert rows[2] == ["OCT", "medmnist 28", 7, 100.0, 7, pytest.approx(300 / 7), 7]
    assert rows[3] == ["Chest", None, *["not run"] * 4, None]


def test_table_43_says_when_the_data_differ(empty: Miniature) -> None:
    attack = empty.attack(2)
    for architecture, size in (("resnet50", 28), ("densenet121", 64)):
        dataset = empty.dataset("oct", [(0, "Normal", None)], size=size)
        model = empty.model("classifier", architecture, dataset)
        empty.attempt(attack, model, empty.image(dataset, "0"), 1)
    table = build(empty, 43)
    assert values(table)[2] == ["OCT", "medmnist 28 / medmnist 64", 1, 100.0, 1, 100.0, 0]
    assert any("do not compare them" in note for note in table.notes)


def test_the_paper_stands_beside_with_the_difference(mini: Miniature) -> None:
    table = build(mini, 32, paper=True)
    oct_rate = table.rows[2].cells[5]
    assert oct_rate.published == 29.55
    assert oct_rate.difference == pytest.approx(400 / 7 - 29.55)
    assert table.rows[0].cells[4].published == 178
    assert all(c.published is None for row in table.rows[4:] for c in row.cells)
    assert any("387 of 500" in note for note in build(mini, 33, paper=True).notes)


def test_another_dataset_takes_the_place_of_the_papers_and_says_so(mini: Miniature) -> None:
    table = build(mini, 17, dataset="pneumoniamnist", paper=True)
    assert (
        table.title == "Results of One-Pixel Attacks: pneumoniamnist, small-cnn (form of Table 17)"
    )
    assert values(table)[1] == ["pneumonia", None, 2, 1, 50.0]
    assert not any(row.in_paper for row in table.rows)
    assert all(c.published is None for row in table.rows for c in row.cells)
    assert any("values are not shown" in note for note in table.notes)
    one = build(mini, 32, dataset="pneumoniamnist")
    assert [row[0] for row in values(one)] == ["pneumoniamnist"]


def test_no_title_names_a_network_that_the_rows_are_not_of(mini: Miniature) -> None:
    titles = {
        (12, "pneumoniamnist"): "Classification Results: pneumoniamnist, small-cnn (form of Table "
        "12)",
        (34, "chest"): "Classification Results: chest, resnet50 (form of Table 34)",
        (32, "pneumoniamnist"): "Successes of One-Pixel Attacks: pneumoniamnist, small-cnn (form "
        "of Table 32)",
        (46, "derma"): "One-Pixel Attack Required Time: derma, phantom data, resnet50 (form of "
        "Table 46)",
        # Rows of the paper's network, and of another one below them.
        (12, None): "Classification Results of ResNet50; not in the paper: small-cnn",
        (34, None): "Classification Results of DenseNet121; not in the paper: resnet50, small-cnn",
        (12, "oct"): "Classification Results of ResNet50",
    }
    for (number, dataset), title in titles.items():
        assert build(mini, number, dataset=dataset).title == title
    dense = "Successes of Two-Pixel Attacks: oct, densenet121 (form of Table 33)"
    assert build(mini, 33, model=3).title == dense


def test_tables_for_own_data_are_of_any_dataset_classifier_and_number_of_pixels(
    mini: Miniature,
) -> None:
    success = [tuple(row[i] for i in (0, 2, 3, 4, 5)) for row in values(build(mini, "success"))]
    assert success == [
        ("chest", "resnet50 #4", 1, 5, 4),
        ("oct", "resnet50 #1", 1, 7, 7),
        ("oct", "resnet50 #2", 1, 7, 4),
        ("oct", "resnet50 #2", 2, 7, 7),
        ("oct", "densenet121 #3", 2, 7, 3),
        ("pneumoniamnist", "small-cnn #5", 1, 2, 1),
        ("derma", "resnet50 #6", 1, 1, 1),
    ]
    judged = [(row[0], row[2]) for row in values(build(mini, "accuracy", dataset="oct"))]
    assert judged == [("oct", "resnet50 #1"), ("oct", "resnet50 #2")]
    by_class = build(mini, "by-class", model=2)
    assert by_class.title == "Success of the Attacks by Class: oct, resnet50"
    for pixels, number in ((1, 24), (2, 26)):
        own = [row[1:] for row in values(by_class) if row[0] == pixels]
        assert sorted(own, key=str) == sorted(values(build(mini, number)), key=str)
    nothing = build(mini, "denoising", dataset="pneumoniamnist", model=5)
    assert nothing.commands and not nothing.has_data and nothing.title.endswith("small-cnn")


def test_one_datasets_list_tells_what_it_fills(mini: Miniature) -> None:
    tables, figures = lists_for(mini.engine, "pneumoniamnist")
    data = {row.cells[0].value: row.cells[2] for row in tables.rows}
    filled = {number for number, cell in data.items() if cell.value == "yes"}
    assert {"accuracy", "success", "by-class", 12, 17, 32} <= filled
    assert filled.isdisjoint({"denoising", 18, 19})
    assert 24 not in data, "Table 17 has that form"
    assert "--dataset pneumoniamnist" in (data["denoising"].not_run or "")
    assert {24, 26, 39} <= {r.cells[0].value for r in lists_for(mini.engine, "oct")[0].rows}
    drawn = {row.cells[0].value: row.cells[2].value for row in figures.rows}
    assert drawn["success"] and drawn["roc"] is None


def test_phantoms_are_never_shown_as_the_papers_dataset(mini: Miniature) -> None:
    table = build(mini, 17, paper=True)
    assert "phantom data" in table.title and "form of Table 17" in table.title
    assert all(c.published is None for row in table.rows for c in row.cells)


def test_the_classifier_can_be_chosen(mini: Miniature) -> None:
    assert values(build(mini, 32, model=1)) == [["OCT", "medmnist 28", "resnet50 #1", 7, 7, 100.0]]
    assert values(build(mini, 33, model=3))[0][2:5] == ["densenet121 #3", 7, 3]
    (oct_row, *_) = [r for r in values(build(mini, 33, model="densenet121")) if r[2]]
    assert oct_row[2] == "densenet121 #3"
    assert [r[3] for r in values(build(mini, 32, size=64))] == [*["not run"] * 3, 5]


def test_unknown_datasets_and_classifiers_are_refused(mini: Miniature) -> None:
    for options, message in (
        ({"dataset": "brain"}, "there is no dataset 'brain'"),
        ({"model": 99}, "no classifier with the id 99"),
        ({"model": "vgg"}, "no 'vgg' classifier"),
        ({"model": 5, "dataset": "oct"}, "belongs to pneumoniamnist, not oct"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            build(mini, 32, **options)
        assert caught.value.hint


def test_the_list_tells_what_there_is(mini: Miniature) -> None:
    data = {row.cells[0].value: row.cells[2] for row in list_tables(mini.engine).rows}
    assert data[24].value == "as in the paper"
    assert data[17].value == "other data"
    assert data[32].value == "2 of 4 datasets; derma, pneumoniamnist"
    assert data[25].value is None and data[25].not_run is not None
