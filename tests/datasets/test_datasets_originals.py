"""The originals, in trees that are laid out as their owners lay them out."""

import functools
import io

import numpy as np
import pytest
from PIL import Image

import owner_trees
from owner_trees import CHEST, CHEST_ROWS, TREES, level, moved, write
from pixguard.config import DatasetSettings
from pixguard.datasets.opening import open_dataset
from pixguard.datasets.owners import ORIGINALS
from pixguard.errors import DataError, UsageError
from pixguard.progress import Silent


@functools.cache
def tree(name):
    return TREES[name]()


def opened(name, path, source="originals", **changes):
    settings = DatasetSettings(name, source=source, data_dir=path, **changes)
    return open_dataset(settings, Silent())


def flat(path):
    return path.rpartition("/")[2]


def one_part(path):
    return path.replace("_part_1", "").replace("_part_2", "")


def one_folder(path):
    return f"images/{flat(path)}" if path.endswith(".png") else path


def same(path):
    return path


def wrapped(path):
    return f"download/{path}"


def unwrapped(path):
    return path.removeprefix("OCT2017 /").removeprefix("NCT-CRC-HE-100K/")


@pytest.mark.parametrize("kind", ["folder", "data.zip"])
@pytest.mark.parametrize("source", ["originals", "auto"])
@pytest.mark.parametrize("name", TREES)
def test_every_image_bears_the_label_that_its_owner_gave_it(tmp_path, name, source, kind):
    dataset = opened(name, write(tree(name), tmp_path / kind), source)
    entry = ORIGINALS[name].entry
    assert (dataset.info.source, dataset.info.name) == ("originals", name)
    assert dataset.info.classes == entry.classes
    images = dataset.images(range(len(dataset)))
    assert images.shape[1:] == (28, 28, entry.channels)
    # The gray level, off the dot in the corner, is what the tree wrote for the class.
    grays = images[:, 20, 20].astype(int).max(axis=-1)
    firsts = [dataset.label_set(i) for i in range(len(dataset))]
    if name == "chest":
        expected = [level(CHEST.index(row[0]) if row else None) for row in CHEST_ROWS]
        labels = [{CHEST.index(label) for label in row} for row in CHEST_ROWS]
        assert [set(label_set) for label_set in firsts] == labels
    else:
        expected = [level(label) for (label,) in firsts]
        assert set(dataset.labels.tolist()) == set(range(entry.class_count))
    assert np.abs(grays - expected).max() <= 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("derma", one_part),
        ("derma", flat),
        ("derma", wrapped),
        ("chest", one_folder),
        ("chest", wrapped),
        ("pathology", unwrapped),
        ("pathology", wrapped),
        ("oct", unwrapped),
        ("oct", wrapped),
        ("medicalmnist", wrapped),
    ],
)
def test_the_ways_in_which_a_set_lies_on_disk_are_one_dataset(tmp_path, name, change):
    usual = opened(name, write(tree(name), tmp_path / "usual.zip"))
    other = opened(name, write(moved(tree(name), change), tmp_path / "other.zip"), "auto")
    assert other.info.version == usual.info.version
    assert (other.labels == usual.labels).all()
    assert (other.splits == usual.splits).all()


def test_a_copy_of_the_whole_further_down_is_passed_over(tmp_path):
    files = tree("oct")
    doubled = files | moved(files, lambda path: f"oct2017/{path}")
    dataset = opened("oct", write(doubled, tmp_path / "archive.zip"))
    assert dataset.info.version == opened("oct", write(files, tmp_path / "a.zip")).info.version


def test_equal_copies_of_an_image_are_one_image_and_different_ones_an_error(tmp_path):
    files = tree("derma")
    name = "HAM10000_images_part_1/ISIC_0024306.jpg"
    copy = name.replace("HAM", "ham")
    dataset = opened("derma", write(files | {copy: files[name]}, tmp_path / "a.zip"))
    assert len(dataset) == 21
    other = files[name.replace("306", "307")]
    with pytest.raises(DataError, match=r"different files of one name.*ham10000_images") as caught:
        opened("derma", write(files | {copy: other}, tmp_path / "b.zip"))
    assert caught.value.hint


def test_the_owner_s_splits_are_the_official_ones(tmp_path):
    dataset = opened("oct", write(tree("oct"), tmp_path / "oct.zip"), split="official")
    assert [len(dataset.indices(split)) for split in ("train", "val", "test")] == [12, 4, 8]


def test_files_keep_the_sizes_that_they_have(tmp_path):
    dataset = opened("oct", write(tree("oct"), tmp_path / "oct.zip"))
    assert {tuple(size) for size in dataset.original_sizes.tolist()} == {
        (496, 768), (496, 512), (496, 1536), (277, 384),
    }  # fmt: skip


@pytest.mark.parametrize("size", [28, 64, 128, 224])
def test_sizes(tmp_path, size):
    dataset = opened("medicalmnist", write(tree("medicalmnist"), tmp_path / "m.zip"), size=size)
    assert dataset.images([0]).shape == (1, size, size, 1)


def test_medmnist_s_name_of_a_dataset_is_as_good(tmp_path):
    path = write(tree("oct"), tmp_path / "oct.zip")
    assert opened("octmnist", path).info == opened("oct", path).info


def test_auto_leaves_other_names_and_layouts_to_the_folder_source(tmp_path):
    path = write(tree("medicalmnist"), tmp_path / "m.zip")
    assert opened("scans", path, "auto").info.source == "folder"
    chest = {f"{n}/{i}.png": data for n in ("Hernia", "Mass") for i, data in enumerate(
        list(owner_trees.chest_xray14((64, 64)).values())[3:6])}  # fmt: skip
    assert opened("chest", write(chest, tmp_path / "c.zip"), "auto").info.source == "folder"


def test_auto_does_not_take_ham10000_s_parts_for_classes(tmp_path):
    path = write(owner_trees.ham10000(1, (60, 45)), tmp_path / "ham.zip")
    with pytest.raises(UsageError, match="HAM10000 as its owner ships it") as caught:
        opened("skin", path, "auto")
    assert "`dataset=derma`" in caught.value.hint


def without(part):
    return lambda files: {p: d for p, d in files.items() if part not in p}


def with_row(row):
    def change(files):
        return files | {t: files[t] + row.encode() for t in files if t.endswith(".csv")}

    return change


def headless(files):
    return files | {"HAM10000_metadata.csv": b"image,diagnosis\nISIC_0024306,nv\n"}


def packed(files):
    return {"HAM10000_images_part_1.zip": b"", "HAM10000_metadata.csv": files[
        "HAM10000_metadata.csv"]}  # fmt: skip


def twice(files):
    return files | moved(files, lambda path: path.replace("NCT-CRC-HE-100K", "CRC-VAL-HE-7K"))


@pytest.mark.parametrize(
    ("name", "change", "message", "hint"),
    [
        ("derma", without("metadata"), "expected HAM10000_metadata.csv .*; found HAM10000_images_"
         "part_1, HAM10000_images_part_2", "data_dir="),
        ("derma", headless, "the columns image, diagnosis", "image_id and dx"),
        ("derma", packed, "lists 21 images that are not in", "unpack HAM10000_images_part_1.zip"),
        ("derma", without("part_2"), "lists 9 images that are not in .*ISIC_0024318.jpg, .*and 1 "
         "more; expected .*; found HAM10000_images_part_1, HAM10000_metadata.csv", "skip_bad=True"),
        ("derma", with_row("HAM_1,ISIC_0024306,nv,histo,5,male,back\n"), "more than once: ISIC_002"
         "4306.jpg", "one row"),
        ("derma", with_row("HAM_1,ISIC_0000001,wart,histo,5,male,back\n"), "labels that HAM10000 "
         "does not have: wart; it has akiec, bcc", "source=folder"),
        ("derma", with_row("HAM_1,ISIC_0000001,,histo,5,male,back\n"), "says nothing in dx of ISIC"
         "_0000001.jpg", "owner"),
        ("chest", with_row("x.png,Effusion|Cold,0,1,58,M,PA,2,2,0.1,0.1,\n"), "does not have: Cold",
         "source=folder"),
        ("pathology", without("/NORM/"), "not laid out as NCT-CRC-HE-100K is: expected .*; found "
         "NCT-CRC-HE-100K; no images in NORM", "data_dir="),
        ("pathology", twice, "more than once: CRC-VAL-HE-7K/, NCT-CRC-HE-100K/", "one of them"),
        ("oct", without("DRUSEN"), "no images in DRUSEN", "data_dir="),
        ("medicalmnist", without("."), "found nothing", "data_dir="),
    ],
)  # fmt: skip
def test_another_layout_tells_what_was_expected_and_found(tmp_path, name, change, message, hint):
    path = write(change(tree(name)), tmp_path / "data.zip")
    with pytest.raises(DataError, match=message) as caught:
        opened(name, path)
    assert hint in caught.value.hint


def test_missing_images_are_recorded_when_skipped(tmp_path):
    path = write(without("part_2")(tree("derma")), tmp_path / "data.zip")
    dataset = opened("derma", path, skip_bad=True)
    assert len(dataset) == 12
    assert len(dataset.skipped) == 9
    assert ("ISIC_0024318.jpg", "no such file") in dataset.skipped


def test_only_opaque_images_stand_for_grayscale_ones(tmp_path):
    files = owner_trees.chest_xray14((64, 64))
    name = next(path for path in files if path.endswith("00000001_001.png"))
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (9, 9, 9, 128)).save(file, "PNG")
    files[name] = file.getvalue()
    with pytest.raises(DataError, match=r"00000001_001\.png: is transparent in places"):
        opened("chest", write(files, tmp_path / "chest.zip"))


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("retina", "originals", "no original that is known; those are derma .HAM10000."),
        ("bloodmnist", "originals", "no original that is known"),
        ("medicalmnist", "auto", "not one of MedMNIST's"),
        ("oct", "originals", "needs to know where"),
    ],
)
def test_names_and_places_that_make_no_sense(name, source, message):
    with pytest.raises(UsageError, match=message) as caught:
        opened(name, None, source)
    assert "`data_dir=" in caught.value.hint
