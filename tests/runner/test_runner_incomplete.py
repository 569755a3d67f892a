"""An interrupted plan: its rate is that of its finished beginning, everywhere, and it says so."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pixguard.attacks.registry import DifferentialEvolutionOptions
from pixguard.config import AttackSettings, DatasetRequest
from pixguard.errors import InterruptedRunError
from pixguard.progress import SILENT, Silent
from pixguard.reports import table
from pixguard.runner import attacking, restoring
from pixguard.runner.session import Session
from pixguard.runner.subject import open_subject
from pixguard.statistics import wilson_interval
from support import StopAfter

SETTINGS = AttackSettings(
    batch=10,  # few slots: most of the plan waits while the first images are attacked
    pixels=1,
    evaluator="delta",
    per_class=20,
    options=DifferentialEvolutionOptions(population=20, generations=15),
)
COMMAND = "pixguard attack --dataset oct --pixels 1 --per-class 20 --population 20 --generations 15"


class Said(Silent):
    """Remembers what the user is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def session(folder: Path, looks: int | None, display: Silent = SILENT) -> Session:
    stop = SILENT if looks is None else StopAfter(looks)
    return Session.of(
        str(folder / "pixguard.db"), "cpu", display=display, stop=stop, command=COMMAND
    )


def attack(
    folder: Path,
    looks: int | None = None,
    settings: AttackSettings = SETTINGS,
    display: Silent = SILENT,
) -> Any:
    own = session(folder, looks, display)
    subject = open_subject(session(folder, None), DatasetRequest("oct"), "latest")
    return attacking.attack(own, subject, settings, resume=True, fresh_seed=False)


def one(folder: Path, query: str) -> Any:
    with sqlite3.connect(folder / "pixguard.db") as database:
        return database.execute(query).fetchone()


def every(folder: Path, query: str) -> Any:
    with sqlite3.connect(folder / "pixguard.db") as database:
        return sorted(database.execute(query).fetchall())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def overview(folder: Path) -> Any:
    return table(str(folder / "pixguard.db"), 32, dataset="oct")


@pytest.fixture(scope="module")
def whole(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished attack."""
    folder = tmp_path_factory.mktemp("incomplete") / "whole"
    shutil.copytree(trained, folder)
    attack(folder)
    return folder


@pytest.fixture
def cut(trained: Path, tmp_path: Path) -> Path:
    """A folder with an attack that was interrupted about half way."""
    folder = tmp_path / "cut"
    shutil.copytree(trained, folder)
    with pytest.raises(InterruptedRunError):
        attack(folder, 47)
    return folder


def test_the_interval_of_an_interrupted_attack_covers_the_finished_rate(
    trained: Path, whole: Path, tmp_path: Path
) -> None:
    """The field case: what is committed early is nearly all successes, 42 of 42 for 44 of 70."""
    attempts, successes = one(whole, "SELECT COUNT(*), SUM(success) FROM attempt")
    true_rate = successes / attempts
    assert 0.2 < true_rate < 0.8, "the case needs successes and failures"
    misled = covered = told = 0
    for looks in range(7, 80, 8):
        folder = tmp_path / str(looks)
        shutil.copytree(trained, folder)
        with pytest.raises(InterruptedRunError) as caught:
            attack(folder, looks)
        made, succeeded = one(folder, "SELECT COUNT(*), SUM(success) FROM attempt")
        counted, fooled = one(folder, "SELECT COUNT(*), SUM(success) FROM attempts_that_count")
        if made == attempts:  # networks differ between machines, and so do the looks they take
            break
        assert counted <= made
        said = f"the first {counted} of the plan {fooled or 0} succeeded"
        assert said in caught.value.message
        committed = wilson_interval(succeeded, made)
        assert committed is not None
        misled += not committed[0] <= true_rate <= committed[1]
        if not counted:  # the first of the plan is still at work
            assert not any(row.cells[3].value for row in overview(folder).rows)
            continue
        shown = overview(folder)
        (note,) = (note for note in shown.notes if note.startswith("Incomplete"))
        assert f"{made} of {attempts} planned" in note
        assert note.endswith(f"{COMMAND} --resume")
        rate = shown.rows[-1].cells[-1]
        assert (rate.denominator, rate.value) == (counted, 100 * fooled / counted)
        assert rate.interval is not None
        low, high = rate.interval
        covered += low <= 100 * true_rate <= high
        told += 1
    assert told >= 7
    assert covered >= told - 1  # intervals of 95 %, and weights differ between machines
    assert misled, "what was committed must have misled, else this shows nothing"


def test_a_resumed_plan_counts_in_full(whole: Path, cut: Path) -> None:
    attack(cut)
    assert overview(cut).rows == overview(whole).rows
    assert not any("Incomplete" in note for note in overview(cut).notes)
    (finished,) = one(cut, "SELECT finished_ms IS NOT NULL FROM plan")
    assert finished
    order = "SELECT GROUP_CONCAT(attempt_key) FROM planned_attempt ORDER BY place"
    assert one(cut, order) == one(whole, order)


def test_more_images_extend_a_plan_and_fewer_leave_it(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    shutil.copytree(whole, folder)
    plan = "SELECT COUNT(*), SUM(planned), COUNT(finished_ms) FROM plan"
    (total,) = one(whole, "SELECT COUNT(*) FROM attempt")
    attack(folder, settings=replace(SETTINGS, per_class=2))
    assert one(folder, plan) == (1, total, 1)
    with pytest.raises(InterruptedRunError):
        attack(folder, 8, replace(SETTINGS, per_class=40))
    plans, planned, finished = one(folder, plan)
    assert (plans, finished) == (1, 0)
    assert planned > total
    assert one(folder, "SELECT COUNT(*) FROM attempts_that_count")[0] >= total


def test_only_the_finished_beginning_is_restored(cut: Path) -> None:
    """What became of early successes would be a biased sample once the rest is there."""
    subject = open_subject(session(cut, None), DatasetRequest("oct"), "latest")
    made = restoring.apply(session(cut, None), subject, ["median"], None)
    fooled, clean = one(cut, "SELECT SUM(success), COUNT(*) FROM attempts_that_count")
    assert (made["attacked"], made["clean"]) == (fooled, clean)
    attack(cut)
    (note,) = (n for n in table(str(cut / "pixguard.db"), "recovery").notes if "Incomplete" in n)
    total = one(cut, "SELECT SUM(success) FROM attempts_that_count")[0]
    assert f"median restored {fooled} of {total} images" in note
    assert "pixguard denoise apply --dataset oct --model 1 --denoiser" in note


def test_an_attack_that_was_interrupted_before_plans_were_stored_counts_once_resumed(
    whole: Path, cut: Path
) -> None:
    database = cut / "pixguard.db"
    with sqlite3.connect(database) as old:  # what the migration inserts for such a run
        old.execute("DELETE FROM planned_attempt")
        old.execute("UPDATE plan SET planned = NULL")
    shown = overview(cut)
    assert not any(row.cells[3].value for row in shown.rows)
    assert any("was interrupted before plans were recorded" in note for note in shown.notes)
    attack(cut)
    assert overview(cut).rows == overview(whole).rows


ROWS = """SELECT attempt_key, success, queries, distinct_queries, generations, predicted_after
FROM attempt"""


def test_what_was_in_flight_at_a_stop_is_gone_on_with(cut: Path, whole: Path) -> None:
    """Searches whose attempts end together would lose all of their work at every stop."""
    (saved,) = (cut / "pixguard-files/in-flight").iterdir()
    assert saved.stat().st_size < 1_000_000
    display = Said()
    attack(cut, display=display)
    assert any(line.startswith("going on with ") for line in display.lines)
    assert every(cut, ROWS) == every(whole, ROWS)
    assert not saved.exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (flip, "cannot be read"),
    ],
)
def test_a_damaged_state_costs_the_work_in_flight_and_no_more(
    cut: Path, whole: Path, damage: Callable[[Path], None], words: str
) -> None:
    (saved,) = (cut / "pixguard-files/in-flight").iterdir()
    damage(saved)
    display = Said()
    attack(cut, display=display)
    assert any("begun again" in line and words in line for line in display.lines)
    assert every(cut, ROWS) == every(whole, ROWS)


def test_what_was_evaluated_otherwise_is_begun_again(cut: Path) -> None:
    """Half an attempt with one kernel, half with another, would be the attempt of neither."""
    display = Said()
    attack(cut, settings=replace(SETTINGS, batch=20), display=display)
    assert any("begun again: batch 10, now 20" in line for line in display.lines)


def test_an_accuracy_over_some_of_the_test_images_says_so(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "judging"
    shutil.copytree(trained, folder)

    def notes() -> list[str]:
        found = table(str(folder / "pixguard.db"), 12, dataset="oct").notes
        return [note for note in found if "test images judged" in note]

    assert notes() == []
    total = one(folder, "SELECT COUNT(*) FROM prediction")[0]
    with sqlite3.connect(folder / "pixguard.db") as database:
        database.execute("DELETE FROM prediction WHERE id > 10")
    (note,) = notes()
    assert note.startswith(f"Incomplete: 10 of {total} test images judged")
    attack(folder)
    assert notes() == []


def test_images_are_judged_in_an_order_drawn_at_random(trained: Path) -> None:
    with sqlite3.connect(trained / "pixguard.db") as database:
        order = database.execute(
            "SELECT i.dataset_index FROM prediction p JOIN image i ON i.id = p.image_id "
            "ORDER BY p.id"
        ).fetchall()
    assert order != sorted(order)
