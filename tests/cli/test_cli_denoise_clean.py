"""What denoisers cost, as a user asks for it: ``denoise apply --clean``, on phantoms."""

import csv
import io
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app
from support import run, run_json


@pytest.fixture(scope="module")
def after_an_attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    for command in (
        "train --dataset oct --source phantom --size 28 --images 200 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32",
        "attack --dataset oct --pixels 2 --population 40 --generations 5 --limit 12",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", str(folder / "pixguard.db")])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def attacked(after_an_attack: Path, tmp_path: Path, in_an_empty_folder: None) -> None:
    shutil.copytree(after_an_attack, tmp_path, dirs_exist_ok=True)


def table(name: str) -> list[dict[str, str]]:
    text = run(f"report --table {name} --dataset oct --format csv").stdout
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.usefixtures("attacked")
def test_clean_images_are_restored_once_and_counted_in_the_report() -> None:
    applied = run_json("denoise apply --dataset oct --clean 10")["denoisers"]
    assert {name: own["clean_restored"] for name, own in applied.items()} == {
        "identity": 10,
        "median": 10,
    }
    assert applied["identity"]["clean_broken"] == 0
    # A greater count adds to a smaller one; without, nothing is said of clean images.
    more = run_json("denoise apply --dataset oct --clean 15 --denoiser median")["denoisers"]
    assert (more["median"]["clean_found"], more["median"]["clean_restored"]) == (10, 5)
    plain = run_json("denoise apply --dataset oct --denoiser median")["denoisers"]["median"]
    assert not any(name.startswith("clean") for name in plain)
    broken = applied["median"]["clean_broken"] + more["median"]["clean_broken"]
    if applied["identity"]["restored"]:  # a table of recovery needs a success
        rows = {row["denoiser"].partition(" ")[0]: row for row in table("recovery")}
        assert int(rows["median"]["clean broken % n"]) == 15
        assert float(rows["median"]["clean broken %"]) == pytest.approx(100 * broken / 15)
        assert float(rows["identity"]["clean broken %"]) == 0.0
    run("score --dataset oct --metric psnr")


@pytest.mark.usefixtures("attacked")
def test_training_records_what_the_dataset_holds() -> None:
    told = run_json("data info oct --source phantom --size 28 --images 200")
    (overview,) = table("6")
    assert int(overview["images"]) == told["overview"]["images"] == 200
    assert overview["modality"] == told["overview"]["modality"]
    assert overview["original size"] == told["overview"]["original_size"]
    classes = {row["class"]: row for row in table("9")}
    assert {c["class"]: c["count"] for c in told["classes"]} == {
        name: int(row["count"]) for name, row in classes.items()
    }
    for one in told["classes"]:
        assert float(classes[one["class"]]["percentage"]) == pytest.approx(one["percentage"])
