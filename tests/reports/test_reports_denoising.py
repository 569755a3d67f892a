"""Denoising tables: four fooled images, worked out by hand."""

import math

import pytest

from pixguard.reports.build import build_table
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.specs import table_spec
from reports.reports_miniature import Miniature

PSNR = {"dae": [30.0, 40.0, 35.0, "inf"], "identity": [50.0, 52.0, 54.0, 60.0]}


@pytest.fixture
def denoised(empty: Miniature) -> Miniature:
    db = empty
    oct_ = db.dataset("oct", [(0, "Normal", "Normal")], size=224)
    classifier = db.model("classifier", "resnet50", oct_)
    other = db.model("classifier", "resnet50", oct_, created_ms=0)
    dae, identity = db.model("denoiser", "dae", oct_), db.model("denoiser", "identity", oct_)
    median = db.model("denoiser", "median", oct_)
    attack, metrics = db.attack(1), db.metrics()
    images = [db.image(oct_, "0") for _ in range(5)]
    attempts = [db.attempt(attack, classifier, image, 1) for image in images[:4]]
    failed = db.attempt(attack, classifier, images[4], 0)
    for position, (attempt, image) in enumerate(zip(attempts, images, strict=False)):
        for name, model in (("dae", dae), ("identity", identity)):
            recovered = int(name == "dae" and position < 3)
            row = db.restoration(attempt, image, classifier, model, recovered)
            db.score(row, metrics["psnr"], PSNR[name][position])
            db.score(row, metrics["ssim"], 0.9 + 0.02 * position)
            db.score(row, metrics["mse"], 0.0001 * (position + 1))
            db.score(row, metrics["gmsd"], "nan" if position == 0 else 0.1)
    # Exact restorations alone, one attempt of four; no other metric was taken.
    exact = db.restoration(attempts[0], images[0], classifier, median, 0)
    db.score(exact, metrics["psnr"], "inf")
    # None of these may count: an unsuccessful attempt, a clean image, another classifier.
    for attempt, subject in ((failed, classifier), (None, classifier), (attempts[0], other)):
        row = db.restoration(attempt, images[4], subject, dae, 0)
        db.score(row, metrics["psnr"], 1.0)
    return db


def rows(table: ReportTable) -> dict[str, dict[str, Cell]]:
    names = [c.name for c in table.columns]
    return {str(r.cells[0].value): dict(zip(names, r.cells, strict=True)) for r in table.rows}


def test_means_medians_and_recovery(denoised: Miniature) -> None:
    table = build_table(denoised.engine, table_spec(25), paper=True)
    found = rows(table)
    assert list(found) == [
        "dae",
        "noise2noise",
        "median-cnn",
        "autoencoder",
        "identity",
        "median",
    ]
    assert [row.in_paper for row in table.rows] == [True] * 4 + [False] * 2
    dae = found["dae"]
    assert dae["images"].value == 4
    assert (dae["PSNR"].value, dae["PSNR"].denominator) == (35.0, 3)
    assert dae["PSNR"].note == "1 inf"
    assert dae["PSNR"].published == 37.62
    assert dae["median PSNR"].value == pytest.approx(37.5)  # of 30, 35, 40, inf
    assert dae["SSIM"].value == pytest.approx(0.93)
    assert dae["MSE"].value == pytest.approx(0.00025)
    assert (dae["GMSD"].value, dae["GMSD"].denominator) == (pytest.approx(0.1), 3)
    assert dae["FSIM"].not_run == "pixguard score --dataset oct --model 1"
    assert (dae["recovered %"].value, dae["recovered %"].denominator) == (75.0, 4)
    assert dae["recovered %"].interval == pytest.approx((30.0642, 95.4413), abs=1e-4)
    assert table.caption[0].endswith("successful attempts denoised: 4")


def test_no_command_fills_a_metric_that_images_are_too_small_for(empty: Miniature) -> None:
    tiny = empty.dataset("oct", [(0, "Normal", "Normal")], size=10)
    classifier, image = empty.model("classifier", "resnet50", tiny), empty.image(tiny, "0")
    attempt = empty.attempt(empty.attack(1), classifier, image, 1)
    empty.restoration(attempt, image, classifier, empty.model("denoiser", "dae", tiny), 1)
    for name in ("denoising", "defences"):
        table = build_table(empty.engine, table_spec(name))
        names = [column.name for column in table.columns]
        lines = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
        (dae,) = (line for line in lines if "dae" in [cell.value for cell in line.values()])
        assert (dae["SSIM"].note, dae["SSIM"].not_run) == ("needs 11 pixels", None)
        assert dae["FSIM"].not_run == "pixguard score --dataset oct --model 1"


def test_infinite_alone(denoised: Miniature) -> None:
    median = rows(build_table(denoised.engine, table_spec(25)))["median"]
    assert median["PSNR"].value == math.inf and median["PSNR"].denominator == 1
    assert median["median PSNR"].value == math.inf


def test_the_identity_beats_the_denoiser_and_is_seen_to(denoised: Miniature) -> None:
    identity = rows(build_table(denoised.engine, table_spec(25)))["identity"]
    assert identity["PSNR"].value == pytest.approx(54.0)
    assert identity["median PSNR"].value == pytest.approx(53.0)
    assert identity["recovered %"].value == 0.0


def test_the_identity_is_a_row_even_when_it_was_not_run(mini: Miniature) -> None:
    found = rows(build_table(mini.engine, table_spec(25)))
    identity = found["identity"]
    assert {c.value for name, c in identity.items() if name != "denoiser"} == {None}
    assert identity["PSNR"].not_run == (
        "pixguard denoise apply --dataset oct --model 2 --denoiser identity"
    )
    assert found["dae"]["PSNR"].not_run == (
        "pixguard denoise train --dataset oct --model dae; "
        "pixguard denoise apply --dataset oct --model 2 --denoiser dae"
    )


def test_without_a_success_there_is_nothing_to_denoise(empty: Miniature) -> None:
    oct_ = empty.dataset("oct", [(0, "Normal", "Normal")])
    classifier = empty.model("classifier", "resnet50", oct_)
    empty.attempt(empty.attack(1), classifier, empty.image(oct_, "0"), 0)
    table = build_table(empty.engine, table_spec(25))
    assert table.commands == ()
    assert {c.note for c in rows(table)["identity"].values()} == {"", "none"}
    assert any("no attempt succeeded" in note for note in table.notes)


def test_two_trainings_of_one_denoiser_are_two_rows(denoised: Miniature) -> None:
    again = denoised.model("denoiser", "dae", 1)
    denoised.restoration(1, 1, 1, again, 1)
    found = rows(build_table(denoised.engine, table_spec(25)))
    assert found["dae #3"]["images"].value == 4
    assert found[f"dae #{again}"]["recovered %"].value == 100.0
    assert found[f"dae #{again}"]["PSNR"].not_run is not None


def test_only_the_newest_version_of_a_metric_counts(denoised: Miniature) -> None:
    from pixguard.store import tables as t

    newer = denoised.add(t.Metric, name="psnr", version=2, parameters="{}")
    denoised.score(1, newer, 20.0)
    dae = rows(build_table(denoised.engine, table_spec(25)))["dae"]
    assert (dae["PSNR"].value, dae["PSNR"].denominator) == (20.0, 1)
