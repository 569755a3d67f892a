"""``db export truth``: by what is written, others score their own attacks, without pixguard."""

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.records import PixelMap
from support import run, run_json, write_slopes

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.fixture(scope="module", params=["gray", "rgb"])
def after_survey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a small network, eight surveyed images, and one searched in full (gray)."""
    folder = tmp_path_factory.mktemp("truth")
    write_slopes(folder / "images")
    data = f"--dataset slopes --source folder --data-dir {folder / 'images'} --size 8"
    channels = request.param
    words = [
        f"train {data} --channels {channels} --model small-cnn --epochs 1 --limit 100 "
        "--learning-rate 0.02",
        "certify pixels --dataset slopes --limit 8 --most-bounds 400",
    ]
    if channels == "gray":
        words.append("attack --dataset slopes --attack exhaustive --limit 6 --seed 1")
    for command in words:
        result = CliRunner().invoke(app, f"{command} --db {folder / 'pixguard.db'}".split())
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def surveyed(after_survey: Path, tmp_path: Path) -> Path:
    for name in ("pixguard.db", "pixguard-files"):
        source = after_survey / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return after_survey


def rows(name: str) -> list[dict[str, str]]:
    with Path(f"out/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_verdicts_are_those_of_the_survey_and_witnesses_fool_the_program(surveyed: Path) -> None:
    told = run_json("db export truth out --format csv --images npz")
    images, pixels = rows("images"), rows("pixels")
    assert told["images"] == len(images) >= 8
    surveys = [row for row in images if row["by"] == "survey"]
    assert len(surveys) == 8 and len(pixels) >= 8 * 64
    with sqlite3.connect("pixguard.db") as database:
        stored = database.execute(
            "SELECT i.dataset_index, c.votes FROM certificate c JOIN image i ON i.id = c.image_id "
            "WHERE c.method LIKE 'pixel-survey%'"
        ).fetchall()
    counts = ("proven", "fooled_at_extreme", "fooled_between", "open")
    for index, votes in stored:
        (row,) = (row for row in surveys if int(row["dataset_index"]) == index)
        assert [int(row[name]) for name in counts] == json.loads(votes)
        own = Counter(p["verdict"] for p in pixels if int(p["dataset_index"]) == index)
        assert own["proven"] == int(row["proven"]) and own["open"] == int(row["open"])
        fooled = int(row["fooled_at_extreme"]) + int(row["fooled_between"])
        wanted = "vulnerable" if fooled else "open" if int(row["open"]) else "robust"
        assert row["verdict"] == wanted
    assert "vulnerable" in told
    with np.load("out/images.npz") as arrays:
        (array,) = (arrays[name] for name in arrays.files)
    by_index = dict(zip(sorted(int(row["dataset_index"]) for row in images), array, strict=True))
    program = torch.export.load("out/classifiers/1.pt2").module()
    stream = np.random.default_rng(0)
    looked = set()
    for pixel in pixels[::3]:
        image = by_index[int(pixel["dataset_index"])].copy()
        place = int(pixel["row"]), int(pixel["col"])
        label_set = {r["dataset_index"]: r["predicted"] for r in images}[pixel["dataset_index"]]
        if pixel["verdict"] == "proven":
            image[place] = stream.integers(0, 256, image.shape[2])
            assert decided(program, image) == label_set
        elif pixel["colour"]:
            before = image[place].astype(int)
            image[place] = json.loads(pixel["colour"])
            assert np.abs(image[place] - before).max() == int(pixel["change"])
            assert decided(program, image) == pixel["predicted"] != label_set
        looked.add(pixel["verdict"])
    assert "fooled-at-extreme" in looked and looked & {"proven", "open"}
    for flip in rows("flips"):
        image = by_index[int(flip["dataset_index"])].copy()
        image[int(flip["row"]), int(flip["col"])] = json.loads(flip["colour"])
        assert decided(program, image) == flip["predicted"]


def decided(program: Any, image: np.ndarray) -> str:
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255
    return ",".join(map(str, program(pixels)[1][0].nonzero().flatten().tolist()))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_example_scores_an_attack_without_pixguard(surveyed: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="pixguard[parquet] is not installed")
    run(f"db export truth out --format {form} --images npz")
    (vulnerable,) = (c for c in [run_json("db export truth other --format csv")["vulnerable"]])
    program = Path("out/example.py")
    assert "pixguard" not in program.read_text().replace("report it", "")
    done = (
        subprocess.run(
            [sys.executable, "-I", "-W", "ignore", program],
            capture_output=True,
            text=True,
            check=False,
        )
        if form == "csv"
        else subprocess.run(
            [sys.executable, "-W", "ignore", program], capture_output=True, text=True, check=False
        )
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split(": ") for line in done.stdout.splitlines())
    hits, _, images, *_ = told["vulnerable"].split()
    assert int(images) == vulnerable and 0 < int(hits) <= vulnerable
    assert told.get("robust", "0 of").startswith("0 of")


def test_images_come_along_only_where_they_are_asked_for(surveyed: Path) -> None:
    run("db export truth out --format csv")
    assert not list(Path("out").glob("images*.npz")) and not Path("out/images").exists()
    card = Path("out/README.md").read_text()
    assert card.startswith("---\nlicense: other") and "default: true" in card
    assert "- licence: not recorded" in card and str(surveyed) not in card
    described = Path("out/classifiers/1-weights.safetensors.json").read_text()
    assert str(surveyed) not in described + Path("out/datasets.csv").read_text()
    run("db export truth pictures --format csv --images png")
    assert len(list(Path("pictures/images").glob("slopes-1/*.png"))) == len(rows("images"))


def test_words_that_are_none_and_a_database_without_truth_are_refused(surveyed: Path) -> None:
    assert "not 'lies'" in run("db export lies out --format csv", code=2).output
    assert "leave --hf out" in run("db export truth out --hf", code=2).output
    with sqlite3.connect("pixguard.db") as database:
        database.execute("DELETE FROM certificate")
        database.execute("DELETE FROM attempt")
    told = run("db export truth out --format csv", code=2).output
    assert "pixguard certify pixels" in told and not Path("out").exists()


def test_of_an_images_surveys_that_which_left_least_open_counts(surveyed: Path) -> None:
    run("db export truth before --format csv")
    with sqlite3.connect("pixguard.db") as database:
        image, predicted = database.execute(
            "SELECT image_id, predicted FROM certificate ORDER BY id LIMIT 1"
        ).fetchone()
        worse = PixelMap(0, "", (), open=tuple((r, c) for r in range(8) for c in range(8)))
        database.execute(
            "INSERT INTO certificate (model_id, image_id, run_id, method, predicted, votes, "
            "radius) VALUES (1, ?, 1, 'pixel-map 1', ?, ?, 0)",
            (image, predicted, json.dumps(worse.content())),
        )
    run("db export truth out --format csv")
    assert Path("out/images.csv").read_text() == Path("before/images.csv").read_text()


def test_a_certified_classifier_is_written_as_any_other() -> None:
    write_slopes(Path("images"))
    data = "--dataset slopes --data-dir images --size 8"
    run(f"certify train {data} --stride 2 --epochs 1 --limit 40")
    run("certify pixels --dataset slopes --model polyphase-vote --limit 1")
    told = run_json("db export truth out --format csv")
    assert told["images"] == 1 and told["programs"] == [1]
    assert Path("out/classifiers/1-weights.safetensors").is_file()
