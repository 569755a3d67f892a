"""Attacks on original images and on resized ones: figures by hand, and no table with both."""

import json

import pytest

from pixguard.reports.build import build_table
from pixguard.reports.querying import fetch, make_query
from pixguard.reports.specs import table_spec
from reports.reports_miniature import DE_PARAMETERS, Miniature

NATIVE = json.dumps({**json.loads(DE_PARAMETERS), "at": "native", "resize": "bicubic"})


@pytest.fixture
def both(empty: Miniature) -> Miniature:
    """Cells at 64, 4 images attacked and 3 fooled; at native size 3 images attacked and 1 fooled.

    Right about 4 of the 5 resized images, and about 3 of the 5 original ones.
    """
    db = empty
    classes = [(0, "cat", None), (1, "dog", None)]
    own, original = (db.dataset("cells", classes, source="folder", size=s) for s in (64, 0))
    classifier = db.model("classifier", "small-cnn", own)
    denoiser = db.model("denoiser", "dae", own)
    resized = [db.image(own, label) for label in "00111"]
    native = [db.image(original, label) for label in "00111"]
    for image, predicted in zip(resized, "00110", strict=True):
        db.prediction(classifier, image, predicted)
    for image, predicted in zip(native, "01110", strict=True):
        db.prediction(classifier, image, predicted)
    at_input, at_native = db.attack(1), db.attack(1, parameters=NATIVE)
    metrics = db.metrics()
    for image, success in zip(resized, (1, 1, 1, 0), strict=False):
        attempt = db.attempt(at_input, classifier, image, success, queries=10, elapsed_ms=1000)
        if success:
            restored = db.restoration(attempt, image, classifier, denoiser, 1)
            db.score(restored, metrics["psnr"], 40.0)
    for image, success in zip((native[0], native[2], native[3]), (0, 1, 0), strict=True):
        attempt = db.attempt(at_native, classifier, image, success, queries=500, elapsed_ms=2000)
        if success:
            restored = db.restoration(attempt, image, classifier, denoiser, 0)
            db.score(restored, metrics["psnr"], 50.0)
    return db


def table(db: Miniature, number: int | str, size: int | None):
    return build_table(db.engine, table_spec(number), dataset="cells", size=size)


def values(found):
    return [[cell.value for cell in row.cells] for row in found.rows]


@pytest.mark.parametrize("size", [None, 64])
def test_without_being_asked_for_native_images_are_in_no_table(both, size):
    assert values(table(both, 17, size)) == [
        ["cat", None, 2, 2, 100.0],
        ["dog", None, 2, 1, 50.0],
    ]
    (overview,) = [row for row in values(table(both, 32, size)) if row[0] == "cells"]
    assert overview[1:3] == ["folder 64", "small-cnn #1"]
    assert 75.0 in overview
    (dae,) = [row for row in table(both, 18, size).rows if row.cells[0].value == "dae"]
    assert [dae.cells[1].value, dae.cells[2].value, dae.cells[-1].value] == [3, 40.0, 100.0]


def test_native_images_alone_when_asked_for(both):
    found = table(both, 17, 0)
    assert values(found) == [["cat", None, 1, 0, 0.0], ["dog", None, 2, 1, 50.0]]
    (overview,) = [row for row in values(table(both, 32, 0)) if row[0] == "cells"]
    assert overview[1:3] == ["folder native", "small-cnn #1"]
    (dae,) = [row for row in table(both, 18, 0).rows if row.cells[0].value == "dae"]
    assert [dae.cells[1].value, dae.cells[2].value, dae.cells[-1].value] == [1, 50.0, 0.0]


@pytest.mark.parametrize(
    ("size", "said", "not_said"),
    [
        (64, ("64 x 64 pixels", "1 pixel changed at 64 x 64,"), "native"),
        (
            0,
            (
                "native sizes, resized to 64 x 64 pixels before the classifier",
                "1 pixel changed at native size,",
                "at=native, resize=bicubic",
            ),
            "changed at 64",
        ),
    ],
)
def test_captions_say_at_which_resolution_pixels_were_changed(both, size, said, not_said):
    for number in (17, 18, 32):
        (caption,) = table(both, number, size).caption
        assert all(words in caption for words in said)
        assert not_said not in caption


def test_accuracy_is_of_the_images_that_were_judged(both):
    for size, correct, share in ((64, 4, 80.0), (0, 3, 60.0)):
        (row,) = [row for row in values(table(both, 12, size)) if row[0] == "cells"]
        assert (row[-2], row[-1]) == (share, correct)


def test_costs_are_told_apart(both):
    for size, attempts, queries, seconds in ((None, 4, 40, 4.0), (0, 3, 1500, 6.0)):
        (row,) = values(table(both, "cost", size))
        assert (row[9], row[10], row[13]) == (attempts, queries, seconds)


def test_the_adaptive_table_takes_one_of_the_two(both):
    for size, images, succeeded in ((None, 4, 3), (0, 3, 1)):
        (row,) = [row for row in table(both, "adaptive", size).rows]
        bare = row.cells[9]
        assert bare.denominator == images
        assert bare.value == pytest.approx(100 * succeeded / images)


def test_what_is_missing_is_filled_at_native_size(both):
    commands = table(both, 18, 0).commands
    assert commands
    for command in commands:
        for part in command.split("; "):
            is_native = part.endswith(" --attack-at native")
            assert is_native == (not part.startswith("pixguard denoise train"))
    assert not any("--attack-at" in command for command in table(both, 18, None).commands)


def test_a_table_without_data_says_that_there_is_native_data(empty):
    db = empty
    classes = [(0, "cat", None)]
    own, original = (db.dataset("cells", classes, source="folder", size=s) for s in (64, 0))
    classifier = db.model("classifier", "small-cnn", own)
    image = db.image(original, "0")
    db.prediction(classifier, image, "0")
    db.attempt(db.attack(1, parameters=NATIVE), classifier, image, 1)
    note = "There is data for images attacked at native size: --size native."
    assert note in table(db, 17, None).notes
    assert note not in table(db, 17, 0).notes
    assert values(table(db, 17, 0)) == [["cat", None, 1, 1, 100.0]]


def test_training_times_of_all_sizes_of_one_and_of_native_ones(both):
    both.model("denoiser", "dae", 2, training_seconds=77.0)
    for size, expected in ((-1, [1.0, 77.0]), (0, [77.0]), (64, [1.0])):
        query = make_query(
            "training_times", kind="denoiser", dataset="", architecture="", size=size
        )
        rows = fetch(both.engine, query)
        assert sorted(row["training_seconds"] for row in rows) == expected
