"""No patient and no lesion in two parts of a split; leaks and twins are counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixguard.config import DatasetSettings
from pixguard.config.data import BY_IMAGE, parts_of_scheme, split_scheme
from pixguard.datasets.checking import check_dataset
from pixguard.datasets.opening import open_dataset
from pixguard.datasets.registered import settings_of
from pixguard.datasets.splits import grouped_splits, paper_splits, shared_groups
from pixguard.errors import DataError, UsageError
from pixguard.progress import SILENT, Silent
from pixguard.words import shell_word
from support import run

SIDE = 12


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """60 images of 12 patients, five each, of two classes; a table tells which."""
    lines = ["path,label,patient"]
    for number in range(60):
        picture(tmp_path / f"im/{number:02}.png", number)
        lines.append(f"im/{number:02}.png,{'flat' if number % 10 < 5 else 'round'},P{number // 5}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path


def settings(folder: Path, group: str | None = None, **other: object) -> DatasetSettings:
    return DatasetSettings("scans", data_dir=folder, size=SIDE, group=group, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_parted_and_the_shares_are_kept(seed: int) -> None:
    stream = np.random.default_rng(seed)
    groups = np.sort(stream.integers(0, 300, 1000))
    labels = stream.choice(5, 1000, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    splits = grouped_splits(labels, groups, seed)
    assert shared_groups(splits, groups) == (0, 0)
    assert np.bincount(splits) / 1000 == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    for ordinal in range(5):
        own = splits[labels == ordinal]
        assert np.bincount(own, minlength=3) / len(own) == pytest.approx([0.7, 0.1, 0.2], abs=0.12)
    assert (splits == grouped_splits(labels, groups, seed)).all()
    assert (splits != grouped_splits(labels, groups, seed + 1)).any()


def test_groups_of_one_keep_the_shares_to_the_image() -> None:
    labels = np.arange(400) % 4
    splits = grouped_splits(labels, np.arange(400), 0)
    assert [np.bincount(splits[labels == k]).tolist() for k in range(4)] == [[70, 10, 20]] * 4


def test_label_sets_that_occur_once_are_spread() -> None:
    labels = (np.arange(128)[:, None] >> np.arange(7) & 1).astype(np.uint8)
    splits = grouped_splits(labels, np.arange(128), 0)
    assert np.bincount(splits) == pytest.approx([90, 13, 25], abs=2)


def test_a_split_by_image_leaks_and_it_is_counted(scans: Path) -> None:
    told = Said()
    parted = open_dataset(settings(scans, "patient"), told)
    assert parted.info.split_scheme == "paper by patient"
    assert parted.groups is not None and parted.groups.max() == 11
    assert shared_groups(parted.splits, parted.groups) == (0, 0)
    assert any(line.startswith("no patient stands in two parts") for line in told.lines)
    alone = open_dataset(settings(scans), told)
    assert alone.info.split_scheme == "paper"
    assert shared_groups(paper_splits(alone.labels, 0), parted.groups)[1] > 0


@pytest.mark.parametrize(
    ("column", "told_of"),
    [("patient_id", True), ("Patient ID", True), ("lesion_id", True), ("colour", False)],
)
def test_a_leak_by_a_column_that_was_not_named_is_said(
    scans: Path, column: str, told_of: bool
) -> None:
    table = (scans / "labels.csv").read_text()
    (scans / "labels.csv").write_text(table.replace("patient", column, 1))
    told = Said()
    assert open_dataset(settings(scans), told).info.split_scheme == "paper"
    leaks = [line for line in told.lines if line.startswith("LEAK: ")]
    assert bool(leaks) == told_of
    assert not told_of or f"`group={shell_word(column)}` keeps each in one part" in leaks[0]


def test_a_column_that_does_not_tell_of_all_images_tells_nothing(scans: Path) -> None:
    table = (scans / "labels.csv").read_text()
    (scans / "labels.csv").write_text(table.replace("P0", "", 1))
    assert open_dataset(settings(scans), SILENT).groups is None


def test_what_the_database_holds_opens_the_same_split(scans: Path) -> None:
    parted = open_dataset(settings(scans, "patient"), SILENT)
    again = open_dataset(settings_of(parted.info), SILENT)
    assert again.info == parted.info and (again.splits == parted.splits).all()
    for split, group in (("paper", "a by b"), ("official", "")):
        scheme = split_scheme(split, group)  # type: ignore[arg-type]
        assert parts_of_scheme(scheme) == (split, group or BY_IMAGE)


@pytest.mark.parametrize(
    ("table", "group", "words"),
    [
        ("path,label,patient\nim/00.png,a,\nim/01.png,b,P1", "patient", "line 2: patient is blank"),
        ("path,label,patient\nim/00.png,a,nan\nim/01.png,b,P", "patient", "line 2: patient is"),
        ("path,label,patient\nim/00.png,a,1\nim/01.png,b,2", "pateint", "no column 'pateint'"),
    ],
)
def test_a_table_that_does_not_tell_groups(scans: Path, table: str, group: str, words: str) -> None:
    (scans / "labels.csv").write_text(table)
    with pytest.raises((DataError, UsageError), match=words) as caught:
        open_dataset(settings(scans, group), SILENT)
    if "pateint" in words:
        assert "did you mean patient?" in caught.value.hint


def test_where_nothing_tells_groups_they_are_refused(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / f"{'ab'[number % 2]}/{number}.png", number)
    with pytest.raises(UsageError, match="no table of labels"):
        open_dataset(settings(tmp_path, "patient"), SILENT)
    with pytest.raises(UsageError, match="which images are of one patient"):
        phantoms = DatasetSettings("oct", "phantom", group="patient", phantom_images=60)
        open_dataset(phantoms, SILENT)


def test_an_own_split_is_not_grouped(scans: Path) -> None:
    with pytest.raises(UsageError, match="taken as it is"):
        open_dataset(settings(scans, "patient", split="official"), SILENT)


def ham(folder: Path) -> Path:
    """HAM10000 in small: 70 images, two of each lesion."""
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    kinds = "akiec bcc bkl df mel nv vasc".split()
    for number in range(70):
        name = f"ISIC_{number:07}"
        picture(folder / f"HAM10000_images_part_1/{name}.jpg", number)
        lines.append(f"HAM_{number // 2},{name},{kinds[number // 10]},histo,50,male,back")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(lines))
    return folder


def test_an_owners_lesions_stay_together_unless_it_is_said(tmp_path: Path) -> None:
    folder, told = ham(tmp_path), Said()
    asked = DatasetSettings("derma", data_dir=folder)
    known = open_dataset(asked, told)
    assert (known.info.split_scheme, known.grouped_by) == ("paper by lesion", "lesion")
    assert known.groups is not None and shared_groups(known.splits, known.groups) == (0, 0)
    by_image = open_dataset(DatasetSettings("derma", data_dir=folder, group=BY_IMAGE), told)
    assert by_image.info.split_scheme == "paper"
    assert (by_image.splits == paper_splits(by_image.labels, 0)).all()
    assert "LEAK: " in told.lines[-1] and "test images show a lesion" in told.lines[-1]


def test_a_database_of_before_keeps_its_split_by_image(tmp_path: Path) -> None:
    by_image = open_dataset(
        DatasetSettings("derma", data_dir=ham(tmp_path), group=BY_IMAGE), SILENT
    )
    assert open_dataset(settings_of(by_image.info), SILENT).info.split_scheme == "paper"


def test_twins_are_found_where_they_leak_and_contradict(scans: Path) -> None:
    told = check_dataset(settings(scans), SILENT)
    assert told.twins == ()
    table = (scans / "labels.csv").read_text().splitlines()
    for copy, of in (("60", "00"), ("61", "07")):
        (scans / f"im/{copy}.png").write_bytes((scans / f"im/{of}.png").read_bytes())
    (scans / "labels.csv").write_text(
        "\n".join([*table, "im/60.png,flat,P0", "im/61.png,flat,P99"])
    )
    checked = check_dataset(settings(scans, "patient"), SILENT)
    assert checked.sound == 62
    same, other = sorted(checked.twins, key=lambda twins: twins.files)
    assert same.files == ("im/00.png", "im/60.png") and not (same.contradict or same.leak)
    assert other.files == ("im/07.png", "im/61.png") and other.contradict


def test_data_tells_groups_and_twins(scans: Path) -> None:
    info = json.loads(
        run(f"data info scans --data-dir {scans} --size 12 --group patient --json").stdout
    )
    assert (info["patients"], info["split"]) == (12, "paper by patient")
    (scans / "im/60.png").write_bytes((scans / "im/07.png").read_bytes())
    with (scans / "labels.csv").open("a") as table:
        table.write("\nim/60.png,flat,P99")
    found = run(f"data check scans --data-dir {scans} --size 12 --json", code=1)
    told = json.loads(found.stdout)
    assert told["twins_of_two_labels"] == 1
    assert told["twins"][0]["files"] == ["im/07.png", "im/60.png"]
