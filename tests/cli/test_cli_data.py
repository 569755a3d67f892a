"""``pixguard data``, run as its own application: what it prints, and what it writes."""

import json
from importlib import resources

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from owner_trees import TREES, chest_xray14, write
from pixguard import reports
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


@pytest.mark.parametrize("dataset", TREES)
def test_info_has_the_columns_of_the_paper_s_tables(dataset, tmp_path):
    path = write(TREES[dataset](), tmp_path / "original.zip")
    about = json.loads(run("info", dataset, "--data-dir", str(path), "--json").stdout)
    tables = json.loads(resources.files(reports).joinpath("paper_tables.json").read_text())
    published = {table["number"]: table for table in tables["tables"]}
    assert [key.replace("_", " ") for key in about["overview"]] == published[6]["columns"]
    columns = [key.replace("_", " ") for key in about["classes"][0]]
    assert columns == ["class", "disease type", "count", "percentage"]
    number = {"derma": 7, "pathology": 8, "oct": 9, "chest": 10}.get(dataset)
    if number:
        rows = {row["class"]: row["disease_type"] for row in about["classes"]}
        assert rows == {row[0]: row[1] for row in published[number]["rows"]}
        overview = {row[0].lower(): row for row in published[6]["rows"]}[dataset]
        ours = list(about["overview"].values())
        assert [ours[2], *ours[4:]] == [overview[2], *overview[4:]]


def test_info_counts_chest_images_by_their_only_label(tmp_path):
    path = write(chest_xray14((64, 64)), tmp_path / "chest.zip")
    about = json.loads(run("info", "chest", "--data-dir", str(path), "--json").stdout)
    counts = {row["class"]: (row["count"], row["percentage"]) for row in about["classes"]}
    assert counts == {
        "Normal": (3, 14.29), "Atelectasis": (1, 4.76), "Effusion": (3, 14.29),
        "Infiltration": (1, 4.76), "Nodule": (1, 4.76),
    }  # fmt: skip


def test_info_prints_sizes_as_width_by_height(tmp_path):
    path = write(TREES["oct"](), tmp_path / "oct.zip")
    printed = run("info", "oct", "--data-dir", str(path)).stdout
    assert "(384~1536) x (277~496)" in printed
    assert "Table 9 of the paper" in printed


def test_info_tells_the_share_of_the_paper_s_images_and_whom_to_name(tmp_path):
    path = write(TREES["oct"](), tmp_path / "oct.zip")
    printed = run("info", "oct", "--data-dir", str(path)).stdout
    about = json.loads(run("info", "oct", "--data-dir", str(path), "--json").stdout)
    assert f"{about['images']} of 109,309" in printed
    assert "Kermany" in about["attribution"]
    assert "CC BY 4.0" in about["attribution"] and about["attribution"] in printed
    whole, *shares = about["share_of_paper"]
    share = {row["class"]: row for row in shares}
    assert whole["paper_count"] == 109309 and share["Drusen"]["paper_count"] == 8866
    drusen = next(row["count"] for row in about["classes"] if row["class"] == "Drusen")
    assert share["Drusen"]["share_percent"] == round(100 * drusen / 8866, 2)
    phantom = run("info", "oct", "--source", "phantom", "--images", "100", "--json").stdout
    assert json.loads(phantom)["share_of_paper"] == []
    assert json.loads(phantom)["attribution"] == "none known"


def test_info_of_a_part_of_an_owner_s_set_counts_what_is_there(tmp_path):
    files = {k: v for k, v in TREES["derma"]().items() if "part_2" not in k}
    result = run("info", "derma", "--data-dir", str(write(files, tmp_path / "a.zip")), "--json")
    about = json.loads(result.stdout)
    assert (about["images"], about["skipped"]) == (12, 0) and about["lesions"] <= 12
    assert "9 of the 21 images" in result.stderr


def test_info_says_that_phantoms_are_synthetic():
    result = run("info", "oct", "--source", "phantom", "--images", "100")
    assert ["synthetic", "True"] in [line.split() for line in result.stdout.splitlines()]


def test_preview_writes_a_sheet(tmp_path):
    path = tmp_path / "sheet.png"
    result = run("preview", "chest", "--source", "phantom", "--images", "200",
                 "--out", str(path), "--json")  # fmt: skip
    assert json.loads(result.stdout) == {"dataset": "chest", "file": str(path)}
    assert Image.open(path).size == (8 * 112, 15 * 126)


def test_list_tells_what_was_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path))
    (tmp_path / "medmnist").mkdir()
    np.savez(tmp_path / "medmnist" / "octmnist_64.npz")
    listed = json.loads(run("list", "--json").stdout)
    here = {entry["dataset"]: entry["sizes_here"] for entry in listed}
    assert (here["oct"], here["derma"]) == ([64], [])
    originals = {entry["dataset"]: entry["original"] for entry in listed}
    assert (originals["oct"], originals["medicalmnist"]) == ("OCT2017", "Medical MNIST")
    assert originals["bloodmnist"] is None
    assert {e["dataset"]: e["classes"] for e in listed}["chest"] == 14


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["info", "oct"], DataError),
        (["info", "octt"], UsageError),
        (["info", "oct", "--source", "moon"], UsageError),
        (["fetch", "oct", "--size", "65"], UsageError),
        (["fetch", "medicalmnist"], UsageError),
        (["check", "oct", "--data-dir", "missing"], DataError),
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
