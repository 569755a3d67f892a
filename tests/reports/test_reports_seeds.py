"""Table ``seeds``: repeats and seeds give a mean and a spread, never a larger sample."""

import pytest

from pixguard.reports import build
from pixguard.reports.page.overview import overview_tables
from pixguard.reports.specs import table_spec
from reports.reports_miniature import Miniature

RUNS = {(0, 0): [1, 1, 0, 0], (0, 1): [1, 1, 1, 0], (5, 0): [1, 0, 0, 0]}
"""(seed, repeat) -> success on each of four images: 50, 75 and 25 %."""


@pytest.fixture
def repeated(empty: Miniature) -> Miniature:
    oct_ = empty.dataset("oct", [(0, "Normal", "Normal"), (1, "Drusen", "Other")])
    classifier, attack = empty.model("classifier", "resnet50", oct_), empty.attack(1)
    images = [empty.image(oct_, "0") for _ in range(4)]
    for (seed, repeat), successes in RUNS.items():
        for image, success in zip(images, successes, strict=True):
            empty.attempt(attack, classifier, image, success, seed=seed, repeat=repeat)
    median = empty.model("denoiser", "median", oct_)
    empty.attempt(attack, classifier, images[0], 1, through_model_id=median)
    empty.attempt(attack, classifier, images[0], 1, target=1)
    return empty


def test_runs_give_mean_and_spread(repeated: Miniature) -> None:
    table = build.build_table(repeated.engine, table_spec("seeds"))
    rows = {row.cells[3].value: [cell.value for cell in row.cells[4:]] for row in table.rows}
    runs, images, mean, deviation, lowest, highest, _ = rows["none"]
    assert (runs, images) == (3, "4")
    assert (mean, deviation, lowest, highest) == (50, 25, 25, 75)
    assert rows["Drusen"][:3] == [1, "1", 100]
    assert all(cell.denominator is None for row in table.rows for cell in row.cells)


def test_without_attempts_it_names_the_command(empty: Miniature) -> None:
    (row,) = build.build_table(empty.engine, table_spec("seeds")).rows
    assert "pixguard attack --dataset" in str(row.cells[-1].not_run)


def test_no_rate_of_the_page_is_over_more_than_one_attempt_an_image(repeated: Miniature) -> None:
    """It was: targeted, defended and repeated attempts on four images made one interval of 14."""
    (attacks,) = (t for t in overview_tables(repeated.engine) if t.number == "attack_runs")
    rates = {
        tuple(cell.value for cell in row.cells[6:9]): (rate.value, rate.denominator)
        for row in attacks.rows
        for rate in row.cells[-1:]
    }
    assert rates == {
        ("none", "none", 0): (50, 4),
        ("none", "none", 5): (25, 4),
        ("none", "median", 0): (100, 1),
        ("Drusen", "none", 0): (100, 1),
    }
    (classifiers,) = (t for t in overview_tables(repeated.engine) if t.number == "classifiers")
    assert not any("fooled" in column.name for column in classifiers.columns)
