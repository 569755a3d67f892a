"""Images of many sizes from training to report: pixels changed before the resize."""

import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from pixguard.classifiers.evaluation import judge
from pixguard.cli.app import app
from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.records import decode_label_set
from pixguard.runner.subject import open_subject
from pixguard.store import outcomes
from pixguard.store.engine import open_engine
from support import by_name, pixguard_command, run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SIZES = [(24, 40), (37, 31), (20, 20), (28, 28), (45, 33)]
"""(height, width); one of them the classifier's own."""
PLAN = "--population 20 --generations 12 --per-class 6"
NATIVE = f"attack --dataset mine --attack-at native {PLAN}"
INPUT = f"attack --dataset mine {PLAN}"


def draw(folder: Path) -> None:
    """Write two classes of noise, the second with a bright spot in the middle."""
    rng = np.random.default_rng(0)
    for number in range(200):
        height, width = SIZES[number % 5]
        image = rng.integers(0, 128, (height, width), dtype=np.uint8)
        if number >= 100:
            image[height // 2 - 1 : height // 2 + 2, width // 2 - 1 : width // 2 + 2] += 90
        path = folder / ("plain" if number < 100 else "spot") / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def select(query: str, folder: Path = Path()) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "pixguard.db") as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def after_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    draw(folder / "mine")
    train = (
        f"train --dataset mine --source folder --data-dir {folder / 'mine'} --size 28 --model "
        f"small-cnn --epochs 12 --learning-rate 0.05 --batch-size 16 --db {folder / 'pixguard.db'}"
    )
    result = CliRunner().invoke(app, train.split())
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def trained(after_training: Path, tmp_path: Path) -> Path:
    shutil.copytree(after_training, tmp_path, dirs_exist_ok=True)
    return tmp_path


def attempts(folder: Path = Path(), at: str = "native") -> dict[str, list[tuple[Any, ...]]]:
    """The attempts at a size by key: the columns that a run must not change, and the pixels."""
    wanted = "" if at == "native" else "NOT"
    rows = select(
        "SELECT t.attempt_key, t.success, t.predicted_after, t.queries, t.distinct_queries, "
        "t.generations, ROUND(t.confidence_after, 6), p.ordinal, p.row, p.col, p.after "
        "FROM attempt t JOIN pixel p ON p.attempt_id = t.id JOIN attack a ON a.id = t.attack_id "
        f'WHERE a.parameters {wanted} LIKE \'%"at":"native"%\' ORDER BY 1, p.ordinal',
        folder,
    )
    found: dict[str, list[tuple[Any, ...]]] = {}
    for key, *columns in rows:
        found.setdefault(key, []).append(tuple(columns))
    return found


def test_pixels_are_changed_in_the_original_and_judged_through_the_resize(trained: Path) -> None:
    result = run_json(NATIVE)
    assert (result["at"], result["resize"]) == ("native", "bicubic")
    assert (result["planned"], result["made"]) == (12, 12)
    assert 0 < result["succeeded"]
    sizes = select(
        "SELECT i.height, i.width, p.row, p.col FROM attempt t JOIN image i ON i.id = t.image_id "
        "JOIN dataset d ON d.id = i.dataset_id JOIN pixel p ON p.attempt_id = t.id "
        "WHERE d.size = 0"
    )
    assert len(sizes) == 12
    assert len({row[:2] for row in sizes}) > 2
    assert all(row < height and col < width for height, width, row, col in sizes)
    with open_session("pixguard.db", "cpu") as session:
        subject = open_subject(session, DatasetRequest("mine"), "latest", "native")
        engine = open_engine("pixguard.db")
        stored = outcomes.successes(engine, 1, dataset_id=subject.dataset_id)
        engine.dispose()
    assert len(stored) == result["succeeded"]
    for attempt in stored:
        (image,) = subject.dataset.each([attempt.image_index])
        changed = image.copy()
        for pixel in attempt.pixels:
            assert tuple(image[pixel.row, pixel.col]) == pixel.before
            changed[pixel.row, pixel.col] = pixel.after
        before, after = judge(subject.classifier, [image, changed], device=torch.device("cpu"))
        assert before.label_set == decode_label_set(attempt.label_code) == attempt.predicted_before
        assert after.label_set == attempt.predicted_after != before.label_set
        assert after.confidence == attempt.confidence_after
    assert run("db check").stdout.strip() == "pixguard.db is sound"


def test_only_images_that_are_right_through_the_resize_are_attacked(trained: Path) -> None:
    run(NATIVE)
    judged = select(
        "SELECT d.size, COUNT(*) FROM prediction p JOIN image i ON i.id = p.image_id "
        "JOIN dataset d ON d.id = i.dataset_id GROUP BY d.size"
    )
    assert judged == [(0, 40), (28, 40)]
    assert not select(
        "SELECT 1 FROM attempt t JOIN image i ON i.id = t.image_id LEFT JOIN prediction p "
        "ON p.image_id = i.id AND p.model_id = t.model_id "
        "WHERE p.predicted IS NOT i.label_set OR t.confidence_before <> p.confidence"
    )


def test_the_two_threats_are_kept_apart(trained: Path) -> None:
    """Also for an image of the classifier's own size, whose bytes are the same in both."""
    assert run_json(INPUT)["made"] == 12
    before = attempts(at="input")
    assert run_json(f"{NATIVE} --resume")["found"] == 0
    again = run_json(f"{INPUT} --resume")
    assert (again["found"], again["made"]) == (12, 0)
    assert attempts(at="input") == before
    assert len(attempts()) == len(before) == 12
    assert not attempts().keys() & before.keys()
    refused = run(NATIVE, code=2)
    assert "all 12 attempts of this plan are in pixguard.db already" in refused.stderr


def test_rows_do_not_depend_on_batch_mates_or_interruptions(trained: Path) -> None:
    """Killed in the middle; and the same plan at one go."""
    shutil.copytree(trained, "whole")
    slow = NATIVE.replace("--generations 12", "--generations 150")
    process = subprocess.Popen(
        [*pixguard_command(), *slow.split()], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while not attempts() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the kill must fall into the work"
    assert 1 <= run_json(f"{slow} --resume")["found"] < 12
    run(f"{slow} --db whole/pixguard.db")
    assert len(attempts()) == 12
    assert attempts() == attempts(Path("whole"))


def test_a_dry_run_counts_and_writes_nothing(trained: Path) -> None:
    rows = select("SELECT COUNT(*) FROM dataset"), select("SELECT COUNT(*) FROM image")
    result = run_json(f"{NATIVE} --dry-run")
    assert result["left"] == 12
    assert result["queries_at_most"] == 12 * 20 * 13
    assert rows == (
        select("SELECT COUNT(*) FROM dataset"),
        select("SELECT COUNT(*) FROM image"),
    )


@pytest.mark.parametrize(
    "options",
    [
        "--attack exhaustive --space corners --limit 2",
        "--attack corner --queries 60 --limit 3",
        "--attack sparse-rs --queries 40 --pixels 2 --limit 3",
        "--attack sigma-zero --queries 20 --limit 3",
        "--attack random --queries 40 --limit 3",
        "--population 10 --generations 2 --through median --limit 3",
        "--population 10 --generations 2 --evaluator dense --limit 3",
    ],
)
def test_every_attack_works_at_native_size(
    trained: Path, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixguard.attacks.exhaustive.REFINED", 1)
    result = run_json(f"attack --dataset mine --attack-at native {options}")
    assert result["made"] == result["planned"] > 1
    assert run_json(f"attack --dataset mine --attack-at native {options} --resume")["made"] == 0


def test_restoring_scoring_and_reporting(trained: Path) -> None:
    """What was attacked at one size is never restored, scored or shown with the other."""
    assert "has not been attacked at native size yet" in run(
        "denoise apply --dataset mine --attack-at native", code=2
    ).stderr  # fmt: skip
    run(INPUT)
    small = "--model autoencoder --epochs 1 --limit 40 --batch-size 8"
    run(f"denoise train --dataset mine {small}")
    run("denoise apply --dataset mine")
    result = run_json(NATIVE)
    applied = run_json("denoise apply --dataset mine --attack-at native")
    assert applied["attacked"] == result["succeeded"]
    lent = by_name(applied["denoisers"])["autoencoder"]
    assert (lent["found"], lent["restored"]) == (0, result["succeeded"])
    own = run_json(f"denoise train --dataset mine --size native {small}")
    assert own["size"] == "native"
    again = run_json("denoise apply --dataset mine --attack-at native --denoiser autoencoder")
    (again_own,) = again["denoisers"]
    assert again_own["restored"] == result["succeeded"], "its own is new"
    run_json("denoise apply --dataset mine --attack-at native --denoiser median --patch-select")
    scored = run_json("score --dataset mine --attack-at native")["denoisers"]
    assert {one["scored"] for one in scored} == {result["succeeded"] + applied["clean"]}
    untrained = ["adaptive-median", "identity", "median", "median+patch-select", "repair"]
    lent_and_own = ["autoencoder", "autoencoder"]
    assert sorted(one["name"] for one in scored) == sorted(lent_and_own + untrained)
    assert select(
        "SELECT COUNT(*) FROM score s JOIN restoration r ON r.id = s.restoration_id "
        "JOIN image i ON i.id = r.image_id WHERE i.height <> 28 AND s.value IS NOT NULL"
    ) != [(0,)]
    unscored = select(
        "SELECT DISTINCT d.size FROM restoration r JOIN image i ON i.id = r.image_id "
        "JOIN dataset d ON d.id = i.dataset_id LEFT JOIN score s ON s.restoration_id = r.id "
        "WHERE s.id IS NULL"
    )
    assert unscored == [(28,)]
    native = run("report --table 17,18,cost,12 --dataset mine --size native").stdout
    words = " ".join(native.split())
    assert "native sizes, resized to 28 x 28 pixels before the classifier" in words
    assert "1 pixel changed at native size" in words
    assert "changed at 28 x 28" not in words
    default = " ".join(run("report --table 17,18,cost,12 --dataset mine").stdout.split())
    assert "1 pixel changed at 28 x 28" in default
    assert "native" not in default


def test_a_table_says_where_the_data_is(trained: Path) -> None:
    run(NATIVE)
    words = " ".join(run("report --table 17 --dataset mine").stdout.split())
    assert "There is data for images attacked at native size: --size native." in words
    native = " ".join(run("report --table 18 --dataset mine --size native").stdout.split())
    assert "denoise apply --dataset mine --model 1 --denoiser identity --attack-at native" in native


def test_looking_at_images_of_many_sizes(trained: Path) -> None:
    options = "mine --data-dir mine --size native"
    assert run_json(f"data info {options}")["overview"]["original_size"] == "(20~40) x (20~45)"
    checked = run_json(f"data check {options}")
    assert (checked["sound"], checked["bad"], checked["twins"]) == (200, [], [])
    run(f"data preview {options}")
    assert Image.open("mine-preview.png").size[1] == 2 * (3 * 45 + 14)


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        ("train --dataset mine --size native", "have many", "--attack-at native"),
        ("denoise depth --dataset mine --size native", "have many", "--size 64"),
        ("attack --dataset mine --size native", "no classifier", "--attack-at native"),
        ("data info mine --data-dir mine --size 5", "neither a side from 8 to 2048", ""),
        ("data info mine --data-dir mine --size natve", "nor 'native'", ""),
    ],
)
def test_what_makes_no_sense_is_told(trained: Path, command: str, message: str, hint: str) -> None:
    run("denoise train --dataset mine --size native --model autoencoder --epochs 1 --limit 8")
    error = " ".join(run(command, code=2).stderr.replace("│", " ").split())
    assert message in error
    assert hint in error


def test_a_source_of_one_size_has_nothing_else_to_attack() -> None:
    run(
        "train --dataset oct --source phantom --size 28 --images 60 --model small-cnn --epochs 1 "
        "--batch-size 16"
    )
    for command in ("attack", "denoise apply", "score"):
        error = run(f"{command} --dataset oct --attack-at native", code=2).stderr
        assert "oct (phantom, 28x28, synthetic) has no other size to attack at" in error
        assert "--attack-at input" in error


class AnySize(nn.Module):
    """A user's network that resizes by itself."""

    def __init__(self, least: int = 0) -> None:
        super().__init__()
        self.least = least
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] < self.least:
            raise ValueError("too narrow")
        logits: torch.Tensor = self.body(images)
        return logits


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_an_added_model_of_any_size_is_attacked_at_native_size(trained: Path) -> None:
    torch.manual_seed(0)
    torch.jit.script(AnySize().eval()).save("any.pt")
    added = run_json(
        "models add --trust any.pt --dataset mine --data-dir mine --size native --outputs logits"
    )
    assert added["size"] == "native"
    result = run_json(f"attack --dataset mine --size native --model any --limit 4 {PLAN}")
    assert result["made"] == 4
    assert "at" not in result, "there is no resize before this one: it has one threat"
    assert run("db check").stdout.strip() == "pixguard.db is sound"
    torch.jit.script(AnySize(22).eval()).save("narrow.pt")
    error = run(
        "models add --trust narrow.pt --dataset mine --data-dir mine --size native", code=2
    ).stderr
    assert "the model does not run on images of 1 x 20 x 20" in error
