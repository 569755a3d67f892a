"""The plots that compare attacks, denoisers, detectors and certificates, worked out by hand."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from matplotlib.axes import Axes
from sqlalchemy import update

from pixguard.records import PixelSample
from pixguard.reports.build import build_table
from pixguard.reports.figures import roc
from pixguard.reports.figures.build import draw_figure
from pixguard.reports.figures.drawing import Drawing, NotRunError
from pixguard.reports.figures.roc import curve_of
from pixguard.reports.figures.specs import figure_spec
from pixguard.reports.specs import table_spec
from pixguard.store import tables as t
from reports.reports_miniature import Miniature


def draw(mini: Miniature, name: str, **options: int | str) -> Drawing:
    return draw_figure(mini.engine, figure_spec(name), **options)  # type: ignore[arg-type]


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text().replace("\n", " ") for text in found.get_texts()]


def points(line: Any) -> list[tuple[float, float]]:
    return [(round(x, 2), round(y, 2)) for x, y in line.get_xydata().tolist()]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def set_queries(mini: Miniature, queries: Sequence[int]) -> None:
    """Give the attempts of attack 1, seed 0, on images 21, 22, 24, 27 to 30, their queries."""
    attempts = t.Attempt
    images = (21, 22, 24, 27, 28, 29, 30)
    with mini.engine.begin() as connection:
        for image, number in zip(images, queries, strict=True):
            wanted = (attempts.image_id == image, attempts.attack_id == 1, attempts.model_id == 2)
            connection.execute(update(attempts).where(*wanted).values(queries=number))


def test_success_against_queries_counts_every_attempt_below(mini: Miniature) -> None:
    # Of these, images 21, 27, 28 and 29 are fooled; the failures spend the budget of 400.
    set_queries(mini, (10, 400, 400, 1, 200, 10, 400))
    drawing = draw(mini, "success-queries", model=2)
    one, two = drawing.figure.axes
    assert legend(one) == [
        "differential-evolution (population=100, generations=100): 4 of 7",
        "differential-evolution (population=10): 1 of 1",
        "random: 7 of 7",
    ]
    sevenths = [round(100 * n / 7, 2) for n in (0, 1, 3, 4, 4)]
    assert points(one.lines[0]) == list(zip((1, 1, 10, 200, 400), sevenths, strict=True))
    assert one.lines[0].get_drawstyle() == "steps-post"
    assert legend(two)[0].endswith("generations=100): 7 of 7")
    # Targeted attempts, those through a denoiser and later repeats are in no curve.
    assert len(drawing.caption) == 4 and "images attacked: 7" in drawing.caption[0]


def test_of_several_seeds_the_largest_is_shown_and_they_are_not_pooled(mini: Miniature) -> None:
    image = mini.image(1, "3")
    for _ in range(2):
        mini.attempt(4, 2, image, 0, seed=7)
    drawing = draw(mini, "success-queries", model=2)
    assert "random: 7 of 7" in legend(drawing.figure.axes[0])
    assert any("random v1" in line and "seed 0" in line for line in drawing.caption)


def test_an_interrupted_attack_shows_its_finished_beginning(mini: Miniature) -> None:
    with mini.engine.connect() as connection:
        wanted = t.Attempt.__table__.select().where(t.Attempt.attack_id == 4)
        keys = [row.attempt_key for row in connection.execute(wanted)]
    nothing = {"through_model_id": None, "target": None, "finished_ms": None, "created_ms": 0}
    told = {"settings": "{}", "command": "pixguard attack --resume", "remarks": "[]"}
    ids = {"model_id": 2, "attack_id": 4, "dataset_id": 1, "run_id": 1, "seed": 0}
    plan = mini.add(t.Plan, planned=8, **ids, **nothing, **told)
    order = [*keys[:3], "not made yet", *keys[3:]]
    for place, key in enumerate(order):
        at = {"repeat": 0, "place": place, "dataset_index": place}
        mini.add(t.PlannedAttempt, plan_id=plan, attempt_key=key, **at)
    drawing = draw(mini, "success-queries", model=2)
    assert "random: 3 of 3" in legend(drawing.figure.axes[0])
    (note,) = (note for note in drawing.notes if note.startswith("Incomplete: "))
    assert "7 of 8 planned" in note and "Go on: pixguard attack --resume" in note
    # Three images are fewer than half of the seven of the other attack.
    with pytest.raises(NotRunError, match="two attacks"):
        draw(mini, "attack-overlap", model=2)


def test_success_against_pixels_joins_equal_settings_alone(mini: Miniature) -> None:
    drawing = draw(mini, "success-pixels", model=2)
    (axes,) = drawing.figure.axes
    names = legend(axes)
    assert names == [
        "differential-evolution (population=100, generations=100) (n = 7)",
        "differential-evolution (population=10) (n = 1)",
        "random (n = 7)",
    ]
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [[round(y, 1) for _, y in points(line)] for line in lines] == [
        [57.1, 100.0],
        [100.0],
        [100.0],
    ]
    assert [round(x) for x in lines[0].get_xdata()] == [1, 2]


def test_one_number_of_pixels_is_no_plot(mini: Miniature) -> None:
    with pytest.raises(NotRunError, match="all attempts change 2 pixels") as caught:
        draw(mini, "success-pixels", model=3)
    assert caught.value.hint == (
        "pixguard attack --dataset oct --attack differential-evolution --pixels 1 --model 3"
    )


def test_the_matrix_keeps_what_failed_on_its_diagonal(mini: Miniature) -> None:
    with mini.engine.begin() as connection:
        for image in (27, 28, 29, 30):
            own = (t.Attempt.image_id == image, t.Attempt.attack_id == 1, t.Attempt.model_id == 2)
            connection.execute(
                update(t.Attempt).where(*own).values(predicted_before="3", predicted_after="0")
            )
    drawing = draw(mini, "class-changes", model=2)
    one = drawing.figure.axes[0]
    classes = ["Choroidal neovascularization", "Diabetic macular edema", "Normal"]
    rows = [label.get_text().replace("\n", " ") for label in one.get_yticklabels()]
    assert rows == [f"{classes[0]} (3)", f"{classes[1]} (0)", f"{classes[2]} (4)"]
    cells = {(text.get_position()): text.get_text() for text in one.texts}
    # (column, row): class 0 kept 2 of 3 and lost one to class 1; Normal kept 1 of 4.
    assert cells == {(0, 0): "2", (1, 0): "1", (0, 2): "3", (2, 2): "1"}
    title = one.get_title(loc="left").replace("\n", " ")
    assert title == "1 pixel changed, differential-evolution: 4 of 7 decisions changed"


def test_rare_label_sets_are_gathered(empty: Miniature) -> None:
    chest = empty.dataset(
        "chest", [(n, f"finding {n}", None) for n in range(5)], task="multi-label"
    )
    model, attack = empty.model("classifier", "resnet50", chest), empty.attack(1)
    sets = [f"{a},{b}" for a in range(5) for b in range(a + 1, 5)] + [str(n) for n in range(5)]
    for code in ["", *sets]:
        empty.attempt(attack, model, empty.image(chest, code), 1, predicted_before=code)
    (axes,) = draw(empty, "class-changes").figure.axes
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert len(columns) == 15 and columns[-1] == "other label sets"
    assert sum(int(text) for text in texts(axes)) == 16


def test_overlap_counts_images_that_every_attack_was_run_on(mini: Miniature) -> None:
    # An image that random alone was run on must not count; nor an attack on one image.
    mini.attempt(4, 2, mini.image(1, "3"), 1)
    drawing = draw(mini, "attack-overlap", model=2)
    bars, _, matrix, totals = drawing.figure.subfigs[0].axes
    title = bars.get_title(loc="left")
    assert title == "1 pixel changed: 7 images that 2 attacks were run on"
    assert texts(bars) == ["4", "3"]
    rows = [label.get_text() for label in matrix.get_yticklabels()]
    assert rows == ["differential-evolution", "random"]
    joined = [line.get_ydata().tolist() for line in matrix.lines]  # type: ignore[union-attr]
    # For each column the attacks that failed, then those that fooled.
    assert joined == [[], [0, 1], [0], [1]]
    assert texts(totals) == ["4", "7"]
    with pytest.raises(NotRunError, match="two attacks") as caught:
        draw(mini, "attack-overlap", model=3)
    assert "--attack corner --pixels 2 --model 3" in caught.value.hint


def test_roc_has_the_table_s_areas(full: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roc, "FEWEST_IMAGES", 4)
    drawing = draw(full, "roc", dataset="oct")
    others, attacked = drawing.figure.axes
    # Of 6 x 4 pairs, normal 0 to 3 against 2.5, 3, 4, 5, 6, 7: 3 + 3.5 + 4 x 4 = 22.5 are won.
    (name,) = legend(others)
    assert name == "one-class-svm #8, normal: Normal: AUC 0.938 (6 / 4)"
    curve = others.lines[1]
    assert points(curve)[:5] == [(0, 0), (0, 16.67), (0, 33.33), (0, 50), (0, 66.67)]
    assert points(curve)[5:8] == [(25, 83.33), (25, 100), (50, 100)]
    assert points(others.lines[2]) == [(25, 83.33)]  # flagged above 2.75
    # Attacked 3.5, 1, 2, 3 against 2.5, 0, 1, 2: 4 + 1.5 + 2.5 + 4 = 12 of 16.
    (name,) = legend(attacked)
    assert "AUC 0.750 (4 / 4)" in name and "differential-evolution, 1 pixel, seed 0" in name
    table = build_table(full.engine, table_spec("detection"), dataset="oct")
    areas = [row.cells[6].value for row in table.rows]
    assert areas[-2:] == [0.9375, 0.75]
    monkeypatch.setattr(roc, "FEWEST_IMAGES", 5)
    assert len(draw(full, "roc", dataset="oct").figure.axes) == 1


def test_a_curve_needs_images_of_both_kinds() -> None:
    row = {"score": 1.0, "flagged": 0, "to_find": 3, "compared": 0}
    assert curve_of("d", [row]) is None
    both = curve_of("d", [row, {**row, "to_find": 0, "compared": 2}])
    assert both is not None and both.area == 1.0 and both.own == (0, 0)


def test_a_detector_without_scores_is_told_how_to_get_them(mini: Miniature) -> None:
    detector = mini.model("detector", "one-class-svm", 1, hyperparameters='{"normal": "Normal"}')
    with pytest.raises(NotRunError, match="no detector has scored") as caught:
        draw(mini, "roc", dataset="oct")
    assert caught.value.hint == f"pixguard detect apply --dataset oct --detector {detector}"


def test_certified_accuracy_falls_with_the_radius(full: Miniature) -> None:
    drawing = draw(full, "certified-accuracy", model=2)
    (axes,) = drawing.figure.axes
    assert legend(axes) == ["resnet50 #2, polyphase-vote: 7 images"]
    # 6 of 7 right; up to 1 pixel 5, up to 2 one, beyond none, though a wrong one is sure of 5.
    shares = [round(100 * n / 7, 2) for n in (6, 5, 1, 0, 0, 0, 0)]
    assert points(axes.lines[0]) == list(enumerate(shares))
    with pytest.raises(NotRunError, match="no certificates") as caught:
        draw(full, "certified-accuracy", dataset="chest")
    assert caught.value.hint.startswith("pixguard certify train --dataset chest")


def test_boxes_are_of_every_score_and_infinite_ones_are_told(full: Miniature) -> None:
    drawing = draw(full, "denoiser-scores", model=2)
    psnr, ssim = drawing.figure.axes[:2]
    assert psnr.get_title(loc="left") == "PSNR, dB (higher is better)"
    medians = [line for line in psnr.lines if line.get_linewidth() == 1.8]
    assert [line.get_xdata().tolist() for line in medians] == [[31, 31]]  # type: ignore[union-attr]
    medians = [line for line in ssim.lines if line.get_linewidth() == 1.8]
    (middle,) = medians
    assert middle.get_xdata().tolist() == pytest.approx([0.15, 0.15])  # type: ignore[union-attr]
    assert any("dae, 1 pixel changed: 1 of 4" in note for note in drawing.notes)
    with pytest.raises(NotRunError, match="denoised and scored") as caught:
        draw(full, "denoiser-scores", model=3)
    assert caught.value.hint == (
        "pixguard denoise apply --dataset oct --model 3; pixguard score --dataset oct --model 3"
    )


def test_each_pixel_has_its_images_and_each_image_its_pixels(full: Miniature) -> None:
    drawing = draw(full, "truth", model=2)
    left, right = drawing.figure.axes[:2]
    cells = left.images[0].get_array()
    assert cells is not None and cells.sum() == 3
    assert (cells[3, 4], cells[5, 6]) == (2, 1)
    assert points(right.lines[0]) == [(1, 2), (2, 1), (3, 0)]
    assert right.get_title(loc="left") == "2 of 3 images are vulnerable"
    assert any("every pixel was surveyed" in note for note in drawing.notes)
    with pytest.raises(NotRunError) as caught:
        draw(full, "truth", dataset="chest")
    assert caught.value.hint == "pixguard certify pixels --dataset chest --limit 25"
    # Extremes of more images say more than surveys of few.
    for image in (24, 25, 26, 27):
        sample = PixelSample(0, "pixel-sample 9 of 2", (0,), ((0, image),), 2, 0, 0)
        full.add(
            t.Certificate,
            model_id=2,
            image_id=image,
            run_id=1,
            method=sample.method,
            predicted="0",
            votes=json.dumps(sample.content()),
            radius=0,
        )
    drawing = draw(full, "truth", model=2)
    assert drawing.figure.axes[1].get_title(loc="left") == "4 of 4 images are vulnerable"
    assert any("all extremes of all pixels were tried" in note for note in drawing.notes)
