"""A dataset in several places, or in another place, is the dataset that it was."""

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from owner_trees import TREES, write
from pixguard.config import DatasetSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.opening import open_dataset
from pixguard.errors import DataError
from pixguard.progress import Silent
from support import run_json

Files = dict[str, bytes]


def opened(name: str, *roots: Path, **changes: object) -> ImageDataset:
    place = Path(os.pathsep.join(map(str, roots)))
    return open_dataset(DatasetSettings(name, data_dir=place, **changes), Silent())  # type: ignore[arg-type]


def having(files: Files, *words: str) -> Files:
    return {path: data for path, data in files.items() if any(word in path for word in words)}


def below(files: Files, folder: str) -> Files:
    return {p.removeprefix(folder): data for p, data in files.items() if p.startswith(folder)}


@pytest.fixture(params=TREES)
def halves(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ImageDataset, list[Path]]:
    """A name, the dataset in one place, and two places that hold a half of its files each."""
    name, files = request.param, TREES[request.param]()
    paths = sorted(files)
    odd, even = (dict.fromkeys(paths[start::2]) for start in (0, 1))
    one = write({p: files[p] for p in odd}, tmp_path / "a" / "one")
    other = write({p: files[p] for p in even}, tmp_path / "other.zip")
    return name, opened(name, write(files, tmp_path / "whole")), [one, other]


def test_any_two_halves_are_the_whole(halves: tuple[str, ImageDataset, list[Path]]) -> None:
    name, whole, roots = halves
    for order in (roots, roots[::-1]):
        joined = opened(name, *order)
        assert joined.info.version == whole.info.version
        assert joined.info.source == "originals"
        assert (joined.labels == whole.labels).all() and (joined.splits == whole.splits).all()
        assert (joined.images([0, 5, 9]) == whole.images([0, 5, 9])).all()
    assert joined.info.location == os.pathsep.join(str(root.resolve()) for root in order)


def test_the_parts_of_a_split_keep_their_names(tmp_path: Path) -> None:
    files = TREES["oct"]()
    (folder,) = {path.split("train/")[0] for path in files if "train/" in path}
    whole = opened("oct", write(files, tmp_path / "whole"), split="official")
    roots = [
        write(below(files, f"{folder}{part}/"), tmp_path / disk / part)
        for disk, part in (("a", "train"), ("b", "test"), ("b", "val"))
    ]
    joined = opened("oct", *roots, split="official")
    assert joined.info.version == whole.info.version
    assert (joined.splits == whole.splits).all() and len(set(joined.splits.tolist())) == 3


def test_archives_beside_their_table_are_the_whole(tmp_path: Path) -> None:
    files = TREES["derma"]()
    whole = opened("derma", write(files, tmp_path / "whole"))
    roots = [
        write(below(files, f"HAM10000_images_{part}/"), tmp_path / f"HAM10000_images_{part}.zip")
        for part in ("part_1", "part_2")
    ]
    table = write(having(files, "metadata"), tmp_path / "table")
    assert opened("derma", *roots, table).info.version == whole.info.version


def test_two_roots_with_other_files_of_one_path_are_refused(tmp_path: Path) -> None:
    files = TREES["oct"]()
    one = write(files, tmp_path / "one")
    same = write(files, tmp_path / "same.zip")
    assert opened("oct", one, same).info.version == opened("oct", one).info.version
    path = next(p for p in files if p.endswith(".jpeg"))
    other = write({path: b"something else"}, tmp_path / "other")
    with pytest.raises(DataError, match="different files"):
        opened("oct", one, other)


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    one = write(TREES["oct"](), tmp_path / "one")
    with pytest.raises(DataError, match=r"gone does not exist"):
        opened("oct", one, tmp_path / "gone")


def draw(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(60):
        path = folder / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)
    return folder


@pytest.mark.usefixtures("in_an_empty_folder")
def test_what_was_moved_or_parted_is_the_same_dataset_in_a_database() -> None:
    first = draw(Path("here"))
    train = "train --dataset mine --source folder --model small-cnn --epochs 1"
    model = run_json(f"{train} --data-dir {first}")["model"]
    shutil.move(first, "there")
    known = run_json(f"{train} --data-dir there --resume")
    assert (known["model"], known["already_trained"]) == (model, True)
    # Its classes on two disks.
    for disk, name in (("one", "a"), ("two", "b")):
        Path(disk).mkdir()
        shutil.move(f"there/{name}", f"{disk}/{name}")
    parted = os.pathsep.join(("one", "two"))
    assert run_json(f"{train} --data-dir {parted} --resume")["model"] == model
    # Where they are now is known from now on.
    told = run_json("attack --dataset mine --attack random --queries 5 --limit 2")
    assert told["classifier"] == model
    with sqlite3.connect("pixguard.db") as database:
        ((location,),) = database.execute("SELECT location FROM dataset").fetchall()
    assert location == os.pathsep.join(str(Path(disk).resolve()) for disk in ("one", "two"))
