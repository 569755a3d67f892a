"""What a person sees while a command works: bars that fit, times that hold, no more than asked."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from pixguard.attacks.registry import ATTACKS
from pixguard.cli import display
from pixguard.cli.common import print_result
from pixguard.cli.display import Bar, Pace, TerminalDisplay
from pixguard.cli.speech import Speech
from pixguard.config import AttackSettings, DatasetRequest
from pixguard.progress import Silent
from pixguard.runner import attacking
from pixguard.runner.outcomes import Budget
from pixguard.runner.session import Session
from pixguard.runner.subject import open_subject
from support import run

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TRAIN = "train --dataset oct --source phantom --images 100 --model small-cnn"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, that a display reads."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def drawn(pace: Pace, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(Bar(pace))
    return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


NOTE = "39.3 % of the first 128 succeeded, 12,345 candidates/s"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_nothing_that_matters_is_cut_at_any_usual_width(clock: list[float], width: int) -> None:
    pace = Pace("attacking, 2 pixels", 4000, "attempts")
    pace.update(0, "", None)
    clock[0] = 3725
    pace.update(1721, NOTE, 4000)
    lines = drawn(pace, width)
    assert max(map(len, lines)) <= width and len(lines) == {60: 3, 80: 2, 120: 2, 200: 1}[width]
    text = " ".join(lines)
    for part in ("1,721/4,000 attempts", "1 h 2 min", "at most 1 h 6 min left", NOTE):
        assert part in text
    assert "━" in text and "╌" in text


def test_a_terminal_of_forty_columns_shows_the_numbers(clock: list[float]) -> None:
    pace = Pace("trying every pixel of image 13", 12_845_056, "candidates")
    pace.update(333_824, "0 pixels flip the decision", 90)
    lines = drawn(pace, 40)
    assert max(map(len, lines)) <= 40
    assert "at most 1 min 30 s left" in " ".join(lines)


def test_the_time_left_by_a_bound_does_not_grow_while_nothing_ends(clock: list[float]) -> None:
    pace, seen = Pace("attacking", 100, "attempts"), []
    for second in range(1, 60):
        clock[0] = second
        pace.update(30 if second > 5 else 0, "", 60 - second)  # 30 end early, the others do not
        seen.append(int(re.sub(r"\D", "", pace.left)))
    assert seen == sorted(seen, reverse=True)
    assert pace.left == "at most 1 s left"


def test_without_a_bound_the_time_left_is_that_of_the_rate_so_far(clock: list[float]) -> None:
    pace = Pace("scoring", 100, "images")
    pace.update(10, "", None)  # done before
    assert pace.left == ""
    clock[0] = 20
    pace.update(20, "", None)
    assert pace.left == "about 2 min 40 s left"
    clock[0] = 60
    assert pace.left == "about 2 min 0 s left"
    pace.update(100, "", None)
    assert pace.left == ""


class Recorder(Silent):
    """Writes down what a bar is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, float | None]] = []

    @contextmanager
    def track(self, title: str, total: int, unit: str) -> Iterator[Any]:  # type: ignore[override]
        self.told.clear()
        yield self

    def update(self, done: int, note: str = "", most_s: float | None = None) -> None:
        self.told.append((done, note, most_s))


@pytest.mark.parametrize("attack", ["differential-evolution", "sparse-rs"])
def test_an_attack_knows_how_long_it_takes_at_most(
    attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(f"{TRAIN} --epochs 1")
    recorder, left = Recorder(), list[int]()
    most_left = Budget.left
    monkeypatch.setattr(Budget, "left", lambda *given: left.append(most_left(*given)) or left[-1])
    session = Session.of("pixguard.db", "cpu", recorder)
    subject = open_subject(session, DatasetRequest("oct"), "latest")
    small = {"sparse-rs": {"queries": 200}, "differential-evolution": {"generations": 9}}[attack]
    options = ATTACKS[attack].options
    assert options is not None
    settings = AttackSettings(attack=attack, pixels=2, per_class=3, options=options(**small))
    planned = attacking.dry_run(session, subject, settings, fresh_seed=False)
    attacking.attack(session, subject, settings, resume=False, fresh_seed=False)
    notes = [(note, most_s) for _, note, most_s in recorder.told[1:]]
    assert all(re.search(r"[\d,]+ candidates/s", note) for note, _ in notes)
    assert [most_s == 0 for _, most_s in notes] == [most == 0 for most in left]
    assert left[0] <= planned["queries_at_most"]
    assert left[-1] == 0  # nothing is left, although some attempts needed less than their budget
    assert all(b <= a for a, b in pairwise(left))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_while_pytorch_is_loaded_a_terminal_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    shown = TerminalDisplay(Speech())
    with shown.waiting("loading PyTorch"):
        assert "loading PyTorch" in stream.getvalue()
        shown.say("here it is")
        with shown.track("working", 3, "things") as progress:
            progress.update(3)
    assert stream.getvalue().count("here it is") == 1
    assert "3/3 things" in stream.getvalue()


def test_a_bar_that_ends_before_its_total_leaves_no_time_behind(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with TerminalDisplay(Speech()).track("training", 100, "batches") as progress:
        progress.update(0)
        clock[0] = 10
        progress.update(50)
    assert stream.getvalue().rpartition("50/100 batches")[2].strip().startswith("10 s")
    assert "left" not in stream.getvalue().rpartition("50/100 batches")[2]


def test_the_name_of_a_class_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    shown = TerminalDisplay(Speech())
    with shown.waiting("loading PyTorch"):
        shown.say("normal: [/]")
        with shown.track("normal: [/]", 3, "images") as progress:
            progress.update(3, "3 [/] flagged")
    assert "3 [/] flagged" in stream.getvalue() and stream.getvalue().count("normal: [/]") >= 2


def test_the_map_of_every_pixel_shows_how_far_it_is() -> None:
    for number in range(40):
        path = Path("images", ("dark", "light")[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 + number + 150 * (number % 2)).save(path)
    run("train --dataset mine --data-dir images --size 8 --model small-cnn --epochs 3")
    told = run("report --figure vulnerability --out map.svg").stderr
    assert re.search(r"trying every pixel of image \d+: 16,384/16,384 candidates", told)


def test_early_stopping_says_so() -> None:
    stopped = run(f"{TRAIN} --epochs 9 --stop-train-accuracy 0.01 --stop-val-accuracy 0.01").stderr
    assert "stopped early, after epoch 1 of 9: training accuracy" in stopped
    patient = run(
        "denoise train --dataset oct --model autoencoder --epochs 9 --patience 1 --limit 16 "
        "--learning-rate 10"
    ).stderr
    assert re.search(r"stopped early, after epoch \d of 9: the validation loss no longer", patient)
    whole = run(f"{TRAIN} --epochs 1 --stop-train-accuracy 0.01 --stop-val-accuracy 0.01").stderr
    assert "stopped early" not in whole


def test_quiet_says_results_and_errors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = run(f"{TRAIN} --epochs 1 --quiet")
    assert trained.stderr == "" and "test accuracy" in trained.stdout
    assert "this training is finished" in run(f"{TRAIN} --epochs 1 -q", code=2).stderr
    assert run("report --audit --out audit.csv -q").output == ""
    assert "one of the two" in run("data list --quiet --verbose", code=2).stderr


def test_verbose_says_when_each_message_came() -> None:
    assert re.search(r"^\d\d:\d\d:\d\d  dataset oct", run(f"{TRAIN} --epochs 1 -v").stderr, re.M)
    assert "Traceback" in run("attack --dataset octt -v", code=2).stderr
    assert "Traceback" not in run("attack --dataset octt", code=2).stderr


def test_a_log_file_keeps_messages_progress_and_errors() -> None:
    run(f"{TRAIN} --epochs 1 --log-file all.log --quiet")
    run(f"{TRAIN} --epochs 1 --log-file all.log", code=2)
    lines = Path("all.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    text = "\n".join(line[21:] for line in lines)
    assert text.count("$ ") == 2
    assert "training small-cnn: " in text and "dataset oct" in text
    assert text.endswith("this training is finished: it made classifier 1")
    told = run("data list --log-file /dev/null/all.log", code=1).stderr
    assert "/dev/null/all.log" in told


def test_what_there_is_not_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    rate = {"attempts": 0, "rate": None, "interval": None}
    rows = [{"a": 1, "b": None}]
    result = {"run": 3, "name": None, "success": rate, "rows": rows}
    print_result(result, as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told == ["run      3", "success  attempts: 0", "rows     a 1"]
    print_result({"name": None}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"name": None}
