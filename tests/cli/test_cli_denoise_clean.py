"""What denoisers break by themselves, and what trainings record of a dataset, on phantoms."""

import csv
import io
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app
from support import by_name, run, run_json


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
def test_the_clean_image_of_every_attempt_is_restored_once_and_counted_in_the_report() -> None:
    applied = run_json("denoise apply --dataset oct")
    assert applied["clean"] == 12
    assert all(d["clean_restored"] == 12 for d in applied["denoisers"])
    assert by_name(applied["denoisers"])["identity"]["clean_broken"] == 0
    again = run_json("denoise apply --dataset oct")["denoisers"]
    assert all(d["clean_restored"] == 0 for d in again)
    assert applied["attacked"] > 0  # a table of recovery needs a success
    rows = {row["denoiser"].partition(" ")[0]: row for row in table("recovery")}
    broken = by_name(applied["denoisers"])["median"]["clean_broken"]
    assert int(rows["median"]["clean broken % n"]) == 12
    assert float(rows["median"]["clean broken %"]) == pytest.approx(100 * broken / 12)
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
