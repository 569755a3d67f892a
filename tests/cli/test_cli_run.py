"""``pixguard run``: experiments become command lines, and are carried out as far as not done."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixguard.classifiers.builders import build_classifier
from pixguard.cli.experiments import processes
from pixguard.cli.experiments.file import shipped
from pixguard.records import ClassInfo, DatasetInfo
from support import pixguard_command, run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

STUDY = """
[[study]]
dataset = "oct"
source = "phantom"
size = 28
images = 200
"""
PLAN = f"""
title = "Two classifiers"
{STUDY}
[[study.train]]
name = "plain"
model = "small-cnn"
epochs = 3
learning-rate = 0.02
batch-size = 32

[[study.train]]
name = "augmented"
model = "small-cnn"
epochs = 1
augment = true

[[study.attack]]
of = "plain"
pixels = [1, 2]
per-class = 2

[[study.attack]]
of = "augmented"
pixels = 1
limit = 2

[[study.denoise.train]]
model = ["dae", "autoencoder"]
epochs = 1
limit = 20

[study.denoise.apply]

[study.score]

[[report]]
name = "success"
table = ["success", 26]
"""
TRAIN, ATTACK = "pixguard train --dataset oct", "pixguard attack --dataset oct"
DATA = "--source phantom --size 28"


def write(text: str, name: str = "plan.toml") -> str:
    Path(name).write_text(text)
    return name


def script(plan: str, options: str = "") -> list[str]:
    lines = run(f"run {plan} --commands {options}").stdout.splitlines()
    return [line for line in lines if line.startswith("pixguard ")]


def test_a_file_becomes_command_lines_in_the_order_of_work() -> None:
    made, rest = script(write(PLAN)), "--db pixguard.db --resume"
    assert made[0] == (
        f"{TRAIN} {DATA} --images 200 --name oct-28-plain --model small-cnn --epochs 3 "
        f"--learning-rate 0.02 --batch-size 32 {rest}"
    )
    assert made[2] == f"{ATTACK} {DATA} --model oct-28-plain --pixels 1 --per-class 2 {rest}"
    assert made[3] == made[2].replace("--pixels 1", "--pixels 2")
    assert made[4] == f"{ATTACK} {DATA} --model oct-28-augmented --pixels 1 --limit 2 {rest}"
    assert [" ".join(line.split()[1:3]) for line in made[5:]] == [
        *["denoise train"] * 2,
        *["denoise apply"] * 2,
        *["score --dataset"] * 2,
        "report --table",
    ]
    assert made[-1] == (
        "pixguard report --table success,26 --format md --out plan-report/success.md "
        "--db pixguard.db"
    )


def test_what_an_attack_passes_through_is_trained_before() -> None:
    behind = 'pixels = 1\nthrough = ["dae", "median"]\nlimit = 2'
    made = script(write(PLAN.replace("pixels = 1\nlimit = 2", behind)))
    first, second = (n for n, line in enumerate(made) if "--through" in line)
    assert second == first + 1 and "--through dae" in made[first]
    assert "denoise train" in made[first - 1] and "denoise apply" in made[second + 1]


def test_where_results_go_is_said_by_who_runs_it() -> None:
    made = script(write(PLAN), "--db my.db --out there --device cpu")
    assert all("--db my.db" in line and "--device cpu" in line for line in made)
    assert "--out there/success.md" in made[-1]


def test_attacks_alone_are_shared_among_devices() -> None:
    made = script(write(PLAN), "--device cuda:0,1")
    for line in made:
        shared = line.startswith("pixguard attack ")
        assert ("--device cuda:0,1" in line) == shared
        assert ("--device cuda:0 " in f"{line} ") == (not shared)


def test_what_a_step_needs_is_told() -> None:
    steps = run_json(f"run {write(PLAN)} --dry-run")["steps"]
    needs = {step["what"]: step["needs"] for step in steps}
    assert needs["train oct-28-plain"] == needs["denoise train oct-28 model dae"] == []
    assert needs["attack oct-28-augmented pixels 1"] == [[2]]
    # Of the attacks on the classifier one, and the classifier; no denoiser: the median is there.
    assert needs["denoise apply oct-28-plain"] == [[3, 4], [1]]
    assert needs["score oct-28-augmented"] == [[9], [2]]
    assert needs["report success"] == [list(range(1, 12))]
    assert not any(step["done"] for step in steps)
    assert not Path("pixguard.db").exists()


class Scripted:
    """Stands in for the processes: notes the command lines, and ends those as it is told."""

    def __init__(self, codes: Callable[[str], int]) -> None:
        self.lines: list[str] = []
        self._codes = codes

    def __call__(self, _: object, words: list[str]) -> int:
        self.lines.append(" ".join(["pixguard", *words]))
        return self._codes(self.lines[-1])


def scripted(monkeypatch: pytest.MonkeyPatch, codes: Callable[[str], int]) -> Scripted:
    made = Scripted(codes)
    monkeypatch.setattr(processes.Steps, "run", lambda self, words: made(self, words))
    return made


def test_what_is_run_is_what_the_script_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scripted(monkeypatch, lambda _: 0)
    assert "12 steps: 12 done" in run(f"run {write(PLAN)}").stdout
    assert made.lines == script("plan.toml")


def test_a_failed_step_stops_only_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scripted(
        monkeypatch, lambda line: int("oct-28-plain --model" in line or "--model dae" in line)
    )
    monkeypatch.setattr("sys.argv", ["pixguard", "run", "plan.toml"])
    result = run(f"run {write(PLAN)}", code=1)
    assert "12 steps: 6 done, 2 failed, 4 skipped" in result.stdout
    # The report is of whatever there is, and so is the restoration without one denoiser.
    assert made.lines == [
        line for line in script("plan.toml") if "--model oct-28-plain" not in line
    ]
    failed = [line for line in made.lines if "--name oct-28-plain" in line or "--model dae" in line]
    for line in failed:
        assert f"again:\n  {line}\n" in result.stdout
    assert "step 3 skipped: it needs step 1 (failed)" in result.stdout
    assert "all that is missing: pixguard run plan.toml" in result.stdout
    told = json.loads(run("run plan.toml --json", code=1).stdout)["steps"]
    assert [step["state"] for step in told[:4]] == ["failed", "done", "skipped", "skipped"]


def test_failed_attempts_are_told_and_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scripted(monkeypatch, lambda line: 3 * line.startswith("pixguard attack"))
    assert "3 some failed" in run(f"run {write(PLAN)}", code=3).stdout
    assert len(made.lines) == 12


def test_without_its_files_a_study_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scripted(monkeypatch, lambda _: 0)
    other = '[[study]]\ndataset = "derma"\ndata-dir = "derma.zip"\n[study.train]\nepochs = 1\n'
    plan = write(other + PLAN.replace('title = "Two classifiers"', ""))
    result = run(f"run {plan} --data-dir here", code=1)
    assert "step 1 skipped: here/derma.zip is not there: --data-dir" in result.stdout
    assert len(made.lines) == 12


def test_what_is_done_is_what_the_plan_says_now() -> None:
    """Another number of phantoms, other images of an attack, another table: each is to do."""
    data = STUDY
    train = '[[study.train]]\nmodel = "small-cnn"\nepochs = 1\nname = "a"\n'
    attack = "[[study.attack]]\npixels = 1\nlimit = 2\ngenerations = 1\n"
    report = '[[report]]\ntable = "8"\n'
    text = data + train + attack + report
    run(f"run {write(text)}")

    def open_steps(changed: str) -> list[str]:
        listed = run_json(f"run {write(changed)} --dry-run")["steps"]
        return [step["what"].split()[0] for step in listed if not step["done"]]

    os.utime(write(text), (0, 0))
    listed = run_json("run plan.toml --dry-run")["steps"]
    assert all(step["done"] for step in listed)
    assert open_steps(text) == ["report"]  # the file is newer than what was written
    assert open_steps(text.replace("images = 200", "images = 240"))[0] == "train"
    with sqlite3.connect("pixguard.db") as database:
        database.execute("UPDATE plan SET settings = json_set(settings, '$.which', 'any')")
    assert open_steps(text)[0] == "attack"


def start(plan: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*pixguard_command(), "run", plan],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_an_attack(process: subprocess.Popen[str]) -> int:
    """Wait until an attempt can be under way, and return the process id of the step."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(("dense evaluation", "delta evaluation")):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


REAL = f"""
{STUDY}
[study.train]
name = "plain"
model = "small-cnn"
epochs = 3
learning-rate = 0.02
batch-size = 32

[study.attack]
per-class = 2
population = 400

[study.denoise.apply]

[study.score]

[[report]]
name = "success"
table = "success"
"""


@pytest.mark.timeout(900)  # a minute alone
def test_a_plan_goes_on_after_a_stop_and_after_a_kill() -> None:
    plan = write(REAL)
    stopped = start(plan)
    step = wait_for_an_attack(stopped)
    stopped.send_signal(signal.SIGTERM)
    told, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "1 done, 1 stopped, 3 not begun" in told
    assert not runs(step)

    killed = start(plan)
    step = wait_for_an_attack(killed)
    killed.kill()
    killed.communicate(timeout=60)
    until = time.monotonic() + 10
    while runs(step) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(step)

    result = run_json(f"run {plan}")["steps"]
    assert [step["state"] for step in result] == ["found", *["done"] * 4]
    assert "small-cnn" in Path("plan-report/success.md").read_text()
    with sqlite3.connect("pixguard.db") as database:
        commands = {c for (c,) in database.execute("SELECT command FROM run")}
        names = database.execute("SELECT name FROM model WHERE kind = 'classifier'").fetchall()
    assert commands == set(script(plan)[:4])
    assert names == [("oct-28-plain",)]
    check_what_is_left(plan)


def check_what_is_left(plan: str) -> None:
    """What is missing from a finished plan is to do, with the time that such work took."""

    def left(*statements: str) -> dict[str, dict[str, Any]]:
        with sqlite3.connect("pixguard.db") as database:
            for statement in statements:
                database.execute(statement)
        listed = run_json(f"run {plan} --dry-run")["steps"]
        return {row["what"].partition(" oct")[0]: row for row in listed if not row["done"]}

    assert left() == {}
    scores = left("DELETE FROM score WHERE id = 1")
    assert scores["score"]["left"] == 1 and len(scores) == 1
    restored = left(
        "DELETE FROM score WHERE restoration_id = 1", "DELETE FROM restoration WHERE id = 1"
    )
    assert (
        restored["denoise apply"]["left"] == 1 and restored["denoise apply"]["seconds"] is not None
    )
    # Results that are newer than the report make it old.
    assert "report success" in left("UPDATE run SET finished_ms = finished_ms + 3600000")
    attacked = left(
        "DELETE FROM score",
        "DELETE FROM restoration",
        "DELETE FROM pixel WHERE attempt_id = 1",
        "DELETE FROM attempt WHERE id = 1",
    )
    assert attacked["attack"]["left"] == 1 and attacked["attack"]["seconds"] > 0
    assert (
        f"1 of {attacked['attack']['total']} attempts to do" in run(f"run {plan} --dry-run").stdout
    )
    assert left("UPDATE model SET name = 'x' WHERE kind = 'classifier'")["train"]["seconds"] > 0
    os.remove(next(Path("pixguard-files/weights").glob("*")))
    assert "train" in left("UPDATE model SET name = 'oct-28-plain' WHERE kind = 'classifier'")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("study = 3", "study is 3, where a table must stand"),
        ("title = 3" + STUDY, "title is 3"),
        ("[[study]]\ndataset = {a = 1}", "[[study]] 1 has no dataset"),
        (STUDY + "[study.train]\nseed = []", "seed is an empty list"),
        (STUDY + "[study.train]\nlearning-rate = inf", "learning-rate is inf"),
        (STUDY + '[study.train]\nname = "\\u001b"', "name has characters that cannot be printed"),
        (STUDY + f"[study.train]\nseed = {list(range(1001))}", "stands for 1,001 steps"),
        (STUDY + '[study.train]\n[[report]]\npage = "yes"', "page is 'yes'"),
        (STUDY + '[study.train]\n[[report]]\ntable = "8"\ncosts = "/etc/passwd"', "not inside of"),
        ("[[study", "is not valid TOML"),
        ("", "has no study"),
        ("[[studies]]", "has 'studies', which means nothing there\n  next: did you mean study?"),
        ("[[study]]\nsize = 28", "[[study]] 1 has no dataset"),
        ('[[study]]\ndataset = "octt"\n[study.train]', "there is no dataset 'octt'"),
        (STUDY + "sizes = 28", "has 'sizes', which means nothing there\n  next: did you mean"),
        (STUDY + "[study.atack]", "has 'atack'"),
        (STUDY + "[study.denoise.aply]", "denoise has 'aply'"),
        (STUDY + "[study.train]\nepoch = 3", "[[study.train]] 1 has epoch"),
        (STUDY + "[study.train]\nepoch = 3", "did you mean epochs?"),
        (STUDY + "[study.train]\nepochs = 0", "[[study.train]] 1: --epochs is an integer of at"),
        (STUDY + "[study.train]\nepochs = true", "epochs is True, and must be a number or text"),
        (STUDY + "[study.train]\naugment = 1", "augment is 1, and must be true or false"),
        (STUDY + "[study.train]\nepochs = 1979-05-27", "and must be a number or text"),
        (STUDY + '[study.train]\nbalance = "even"', "--balance cannot be 'even'"),
        (STUDY + '[study.train]\nmodel = "resnet5"', "resnet5"),
        (STUDY + '[study.train]\n[study.attack]\nattack = "corners"', "no attack 'corners'"),
        (STUDY + "[study.train]\n[study.attack]\nqueries = 9", "--queries is no option of"),
        (STUDY + "[study.train]\n[study.attack]\nfresh-seed = true", "no experiment may set"),
        (STUDY + "[study.attack]", "has no classifier in its study"),
        (STUDY + '[study.train]\n[study.attack]\nof = "other"', "no classifier of this study"),
        (STUDY + '[study.train]\n[study.score]\nmetric = "psnrr"', "no metric 'psnrr'"),
        (STUDY + "[[study.train]]\n[[study.train]]", "two classifiers would be called oct-28-"),
        (STUDY + '[study.denoise.train]\nmodel = "da"', "no denoiser 'da'"),
        (STUDY + "[[report]]\ntable = 99", "[[report]] 1"),
        (STUDY + '[[report]]\nout = "/tmp/x"', "has out, which no experiment may set"),
        (STUDY + '[[report]]\nhtml = "x"', "has html, which no experiment may set"),
        (STUDY + '[[report]]\nname = "../x"\ntable = 26', "becomes the name of a file"),
        (STUDY + '[[report]]\nname = "x"\ntable = 26\n[[report]]\nname = "x"\ntable = 25',
         "two reports would be"),
        (STUDY + '[study.train]\ndb = "x.db"', "has db, which no experiment may set"),
        (STUDY + '[study.train]\nlog-file = "x"', "has log-file, which no experiment may set"),
        (STUDY + 'data-dir = "/etc"\n[study.train]', "not inside of the folder of data"),
        (STUDY + 'data-dir = "a/../../b"\n[study.train]', "not inside of the folder of data"),
        (STUDY + STUDY + 'group = "none"\n[study.train]', "another study has oct of this size"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_before_anything_runs(
    text: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scripted(monkeypatch, lambda _: 0)
    result = run(f"run {write(text)}", code=2)
    assert told in " ".join(result.stderr.split(" ")), result.stderr
    assert result.stderr.startswith("pixguard: plan.toml")
    assert made.lines == []


def test_a_name_that_is_none_is_answered_with_one_that_is() -> None:
    assert "did you mean smoke?" in run("run smok", code=2).stderr
    assert "cannot read" in run("run .", code=2).stderr
    Path("latin.toml").write_bytes(b'title = "\xe9"')
    assert "is not text in UTF-8" in run("run latin.toml", code=2).stderr


def test_a_value_is_never_taken_for_an_option() -> None:
    plan = write(STUDY + '[study.train]\n[study.attack]\ntarget = "--db=x.db"')
    assert "'--target=--db=x.db'" in script(plan)[-1] or "--target=--db=x.db" in script(plan)[-1]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_experiment_is_sound(name: str) -> None:
    listed = run_json(f"run {name} --dry-run --data-dir data")
    assert listed["title"]
    assert [row["command"] for row in listed["steps"]] == script(name, "--data-dir data")
    assert len(listed["steps"]) > 10
    assert all(
        number < row["step"] for row in listed["steps"] for n in row["needs"] for number in n
    )


def test_the_networks_of_shipped_experiments_take_images_of_their_sizes() -> None:
    trainings = {
        (words[words.index("--model") + 1], int(words[words.index("--size") + 1]))
        for name in shipped()
        for words in map(shlex.split, script(name, "--data-dir data"))
        if words[1] == "train" and "--model" in words
    }
    assert ("densenet121", 64) in trainings
    classes = (ClassInfo(0, "a", None), ClassInfo(1, "b", None))
    for architecture, size in trainings:
        info = DatasetInfo("x", "folder", size, "1", "paper", 0, "0", "multi-class", 1, classes)
        build_classifier(architecture, info)


def test_the_shipped_experiments_find_their_files(real_data: Path) -> None:
    assert shipped() == ["desk", "paper", "smoke"]
    listed = run_json(f"run desk --dry-run --data-dir {real_data}")
    assert not [row["missing"] for row in listed["steps"] if row["missing"]]
    listed = run_json("run paper --dry-run --data-dir data")
    assert {row["missing"] for row in listed["steps"]} == {None, "data/medical-mnist.zip"}
