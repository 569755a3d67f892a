"""``pixguard data``, run as its own application: what it prints, and what it writes."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixguard.cli.data import app
from pixguard.errors import DataError, UsageError


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_info_tells_what_a_dataset_holds(real_data):
    result = run("info", "blood-cells", "--data-dir", str(real_data / "blood-cells.zip"), "--json")
    assert result.exit_code == 0
    about = json.loads(result.stdout)
    assert (about["images"], about["channels"], about["size"]) == (928, 3, 28)
    assert about["test"].keys() == {"Platelets", "RBC", "WBC"}
    assert sum(about["test"].values()) == 186


def test_info_says_that_phantoms_are_synthetic():
    result = run("info", "oct", "--source", "phantom", "--images", "100")
    assert "phantom (synthetic)" in result.stdout


def test_preview_writes_a_sheet(tmp_path):
    path = tmp_path / "sheet.png"
    result = run("preview", "chest", "--source", "phantom", "--images", "200",
                 "--output", str(path), "--json")  # fmt: skip
    assert json.loads(result.stdout) == {"dataset": "chest", "file": str(path)}
    assert Image.open(path).size == (8 * 112, 15 * 126)


def test_list_tells_what_was_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path))
    (tmp_path / "medmnist").mkdir()
    np.savez(tmp_path / "medmnist" / "octmnist_64.npz")
    listed = json.loads(run("list", "--json").stdout)
    here = {entry["dataset"]: entry["sizes_here"] for entry in listed}
    assert (here["oct"], here["derma"]) == ([64], [])
    assert {e["dataset"]: e["classes"] for e in listed}["chest"] == 14


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["info", "oct"], DataError),
        (["info", "octt"], UsageError),
        (["info", "oct", "--source", "moon"], UsageError),
        (["fetch", "oct", "--size", "65"], UsageError),
        (["preview", "oct", "--data-dir", "missing"], DataError),
    ],
)
def test_errors_name_the_next_command_and_write_nothing(arguments, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    error = run(*arguments).exception
    assert type(error) is kind
    assert error.hint
    assert list(tmp_path.iterdir()) == []
