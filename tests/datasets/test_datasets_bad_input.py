"""Bad input at the command line: the error, its exit code, and that nothing is lost."""

import json
import zipfile
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

from bad_files import BAD_FILES, GOOD, encode, picture
from owner_trees import TREES, write
from pixguard.cli.app import app


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path / "fetched"))


def run(*arguments):
    return CliRunner().invoke(app, ["data", *map(str, arguments), "--json"])


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pets(folder):
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            (folder / name / f"{i}.png").write_bytes(encode(picture()))
    return folder


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_fails_info_is_found_by_check_and_skipped_on_demand(tmp_path, name):
    folder = pets(tmp_path / "pets")
    data, reason = BAD_FILES[name]
    (folder / "dog" / name).write_bytes(data)
    before = contents(tmp_path)
    where = ("pets", "--data-dir", folder)

    refused = run("info", *where)
    error = json.loads(refused.stdout)["error"]
    assert (refused.exit_code, error["kind"]) == (1, "data")
    assert f"dog/{name}" in error["message"]
    assert "--skip-bad" in error["hint"]

    checked = run("check", *where)
    (bad,) = json.loads(checked.stdout)["bad"]
    assert checked.exit_code == 1
    assert bad["file"] == f"dog/{name}"
    assert reason in bad["problem"]

    skipped = run("info", *where, "--skip-bad")
    assert skipped.exit_code == 0
    assert f"skipped dog/{name}: " in skipped.stderr
    about = json.loads(skipped.stdout)
    assert (about["images"], about["skipped"]) == (6, 1)
    assert contents(tmp_path) == before


def zipped(*members):
    def make(folder):
        path = folder / "pets.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for kind in ("cat", "dog"):
                archive.writestr(f"{kind}/1.png", GOOD)
            for name, data in members:
                archive.writestr(name, data)
        return path

    return make


def table(text):
    def make(folder):
        pets(folder / "pets")
        (folder / "pets" / "labels.csv").write_text(text)
        return folder / "pets"

    return make


def empty_class(folder):
    (pets(folder / "pets") / "eel").mkdir()
    return folder / "pets"


def npz(**changes):
    def make(folder):
        parts = {
            f"{split}_{what}": np.zeros((4, 28, 28) if what == "images" else (4, 1), np.uint8)
            for split in ("train", "val", "test")
            for what in ("images", "labels")
        }
        np.savez(folder / "octmnist.npz", **parts | changes)
        return folder / "octmnist.npz"

    return make


class Trap:
    """Leaves a mark when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (zipped(("../evil.png", GOOD)), "climbs out"),
        (zipped(("cat/1.png", GOOD)), "two files named 'cat/1.png'"),
        (zipped(("dog/bomb.png", bytes(4 << 20))), "dog/bomb.png: expands from"),
        (table("path,label\ncat/0.png,wart\ncat/1.png,normal\n"), "does not have: wart"),
        (empty_class, "without a usable image: eel"),
        (npz(val_images=np.full((4, 28, 28), np.nan, np.float32)), "float32, not uint8"),
        (npz(val_labels=np.full((4, 1), np.nan)), "float64, not whole numbers"),
        (npz(train_labels=np.array([Trap()] * 4, dtype=object)), "pickled"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_bad_data_is_an_error_that_harms_nothing(tmp_path, make, message, skip_bad):
    path = make(tmp_path)
    name = "oct" if path.suffix == ".npz" or "wart" in message else "pets"
    before = contents(tmp_path)
    result = run("info", name, "--data-dir", path, *["--skip-bad"] * skip_bad)
    if skip_bad and "bomb" in message:  # one file, that can be left out
        assert "skipped dog/bomb.png: expands from" in result.stderr
        assert result.exit_code == 0
    else:
        error = json.loads(result.stdout)["error"]
        assert (result.exit_code, error["kind"]) == (1, "data")
        assert message in error["message"]
        assert error["hint"]
    assert not Trap.sprung
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", TREES)
def test_a_bad_image_of_an_original_is_found(tmp_path, name):
    files = TREES[name]()
    bad = max(path for path in files if path.endswith((".jpg", ".jpeg", ".png", ".tif")))
    path = write(files | {bad: files[bad][: len(files[bad]) // 2]}, tmp_path / "original.zip")
    refused = run("info", name, "--data-dir", path)
    assert refused.exit_code == 1
    assert f"{bad}: is " in json.loads(refused.stdout)["error"]["message"]
    checked = json.loads(run("check", name, "--data-dir", path).stdout)
    assert [entry["file"] for entry in checked["bad"]] == [bad]


def test_check_decodes_what_opening_takes_on_trust(tmp_path):
    folder = pets(tmp_path / "pets")
    start = GOOD.index(b"IDAT")
    garbage = b"IDAT" + bytes(int.from_bytes(GOOD[start - 4 : start], "big"))
    checksum = zlib.crc32(garbage).to_bytes(4, "big")
    rest = GOOD[start + len(garbage) + 4 :]
    (folder / "dog" / "x.png").write_bytes(GOOD[:start] + garbage + checksum + rest)
    where = ("pets", "--data-dir", folder)
    assert run("info", *where).exit_code == 0
    checked = run("check", *where)
    assert checked.exit_code == 1
    report = json.loads(checked.stdout)
    assert ([entry["file"] for entry in report["bad"]], report["sound"]) == (["dog/x.png"], 6)


def test_check_lists_the_bad_files_of_a_class_that_has_no_others(tmp_path):
    folder = pets(tmp_path / "pets")
    (folder / "eel").mkdir()
    (folder / "eel" / "x.png").write_bytes(b"no image")
    checked = run("check", "pets", "--data-dir", folder)
    assert checked.exit_code == 1
    report = json.loads(checked.stdout)
    assert ([entry["file"] for entry in report["bad"]], report["sound"]) == (["eel/x.png"], None)


def test_check_of_sound_images_succeeds(tmp_path):
    checked = run("check", "pets", "--data-dir", pets(tmp_path / "pets"))
    assert checked.exit_code == 0
    told = json.loads(checked.stdout)
    assert (told["dataset"], told["sound"], told["bad"], told["twins"]) == ("pets", 6, [], [])
