"""Folders, zips and CSVs of a user's own; what is wrong with them is told, and nothing written."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bad_files import BAD_FILES, GOOD, encode, picture, with_header
from pixguard.config import DatasetSettings
from pixguard.datasets.cache import CachedReader
from pixguard.datasets.opening import open_dataset
from pixguard.errors import DataError, PixguardError, UsageError
from pixguard.progress import Silent

Flip = Image.Transpose


class Listener(Silent):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


def fill(folder, names=("cat", "dog"), count=5):
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (folder / name / f"{i}.png").write_bytes(encode(picture()))
    return folder


def opened(path, display=None, **changes):
    settings = DatasetSettings(**{"name": "pets", "data_dir": path, "size": 16} | changes)
    return open_dataset(settings, display or Silent())


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG"])
def test_formats(tmp_path, kind):
    fill(tmp_path)
    image = picture()
    (tmp_path / "cat" / f"z.{kind.lower()}").write_bytes(encode(image, kind))
    dataset = opened(tmp_path)
    loaded = dataset.images([5])[0, :, :, 0].astype(int)
    assert np.abs(loaded - np.asarray(image)).max() <= (60 if kind == "JPEG" else 0)
    assert dataset.label_set(5) == (0,)


def test_gray_and_coloured_images_are_not_mixed_unasked(tmp_path):
    fill(tmp_path)
    (tmp_path / "dog" / "0.png").write_bytes(encode(picture("RGB")))
    with pytest.raises(DataError, match=r"dog/0\.png.* and at least 9 gray ones") as caught:
        opened(tmp_path)
    assert "`channels=gray`" in caught.value.hint
    assert opened(tmp_path, channels="gray").info.channels == 1
    dataset = opened(tmp_path, channels="rgb")
    assert dataset.info.channels == 3
    gray, colour = dataset.images([0, 5])
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (colour[..., 0] != colour[..., 1]).any()


def test_gray_images_in_rgb_files_among_coloured_ones_are_found(tmp_path):
    fill(tmp_path)
    for file in sorted(tmp_path.glob("*/*.png")):
        file.write_bytes(encode(Image.open(io.BytesIO(file.read_bytes())).convert("RGB")))
    for file in sorted(tmp_path.glob("cat/*.png")):
        file.write_bytes(encode(picture("RGB")))
    with pytest.raises(DataError, match="at least 5 gray ones"):
        opened(tmp_path)


def test_three_equal_channels_are_gray(tmp_path):
    fill(tmp_path)
    old = opened(tmp_path).info
    for file in (tmp_path / "dog").iterdir():
        file.write_bytes(encode(Image.open(io.BytesIO(file.read_bytes())).convert("RGB")))
    dataset, as_before = opened(tmp_path), opened(tmp_path, channels="rgb")
    assert (dataset.info.channels, as_before.info.channels) == (1, 3)
    # A database that holds it as colour must not take it for the same, but can go on with it.
    assert len({old.version, dataset.info.version, as_before.info.version}) == 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_says(tmp_path, orientation):
    fill(tmp_path, count=2)
    upright = Image.fromarray(
        np.arange(20 * 12, dtype=np.uint8).reshape(20, 12).repeat(8, 0).repeat(8, 1)
    )
    back = {
        1: [],
        2: [Flip.FLIP_LEFT_RIGHT],
        3: [Flip.ROTATE_180],
        4: [Flip.FLIP_TOP_BOTTOM],
        5: [Flip.TRANSPOSE],
        6: [Flip.ROTATE_90],
        7: [Flip.TRANSVERSE],
        8: [Flip.ROTATE_270],
    }
    stored = upright
    for step in back[orientation]:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / "cat" / "t.jpg", exif=exif, quality=100)
    dataset = opened(tmp_path, size=0)
    place = [s for s in range(len(dataset)) if dataset.shape(s) == (160, 96)]
    assert len(place) == 1
    found = dataset.images(place)[0][..., 0]
    assert np.abs(found.astype(int) - np.asarray(upright).astype(int)).mean() < 2


def test_resizing_is_antialiased(tmp_path):
    fill(tmp_path)
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    (tmp_path / "cat" / "0.png").write_bytes(encode(Image.fromarray(stripes)))
    inner = opened(tmp_path).images([0])[0, 2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 127).max() < 10


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_stops_or_is_skipped(tmp_path, name):
    fill(tmp_path)
    data, reason = BAD_FILES[name]
    (tmp_path / "dog" / name).write_bytes(data)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=reason) as caught:
        opened(tmp_path)
    assert f"dog/{name}" in caught.value.message
    assert "`skip_bad=True`" in caught.value.hint
    listener = Listener()
    dataset = opened(tmp_path, listener, skip_bad=True)
    assert len(dataset) == 10
    assert dataset.images(range(10)).shape == (10, 16, 16, 1)
    assert any(f"dog/{name}" in line and reason in line for line in listener.said)
    assert contents(tmp_path) == before


def test_a_16_bit_colour_png_is_not_quietly_reduced(tmp_path):
    fill(tmp_path)
    (tmp_path / "dog" / "deep.png").write_bytes(with_header(encode(picture("RGB")), 24, b"\x10"))
    with pytest.raises(DataError, match="more than 8 bits"):
        opened(tmp_path)


def test_all_bad_files_are_listed_at_once(tmp_path):
    fill(tmp_path)
    for name, (data, _) in BAD_FILES.items():
        (tmp_path / "cat" / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert all(f"cat/{name}:" in caught.value.message for name in BAD_FILES)
    assert f"{len(BAD_FILES)} of its files" in caught.value.message


def one_class(folder):
    fill(folder, ("cat",))


def empty_class(folder):
    fill(folder)
    (folder / "eel").mkdir()


def only_bad_images(folder):
    fill(folder)
    (folder / "eel").mkdir()
    (folder / "eel" / "x.png").write_bytes(b"no")


def same_name(folder):
    fill(folder, ("Cat", "cat", "dog"))


def no_folders(folder):
    (folder / "x.png").write_bytes(GOOD)


def nothing(folder):
    pass


def table(text):
    def make(folder):
        fill(folder)
        (folder / "labels.csv").write_text(text)

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_class, "holds one class"),
        (empty_class, "without a usable image: eel"),
        (only_bad_images, "eel/x.png: is not a JPEG"),
        (same_name, "classes of one name, spelt differently: 'Cat', 'cat'"),
        (no_folders, "found x.png"),
        (nothing, "found nothing"),
        (table("file,class\n"), "the columns file, class"),
        (table(""), r"\(none\)"),
        (table("path,label\n../x.png,a\n"), "line 2: '../x.png'"),
        (table("path,label\n/x.png,a\n"), "line 2"),
        (table("path,label\n,a\n"), "line 2"),
        (table("path,label\ncat/0.png,a\ncat/0.png,b\n"), "more than once: cat/0.png"),
        (table("path,label\ncat/0.png,a\ncat/1.png,a\n"), "has one label"),
        (table("path,label,split\ncat/0.png,a,fold1\n"), "unknown split 'fold1'"),
        (table("path,label\ncat/0.png,a\ncat/1.png,b\ncat/nine.png,a\n"), "no such file|No such"),
    ],
)
def test_a_wrong_layout_says_what_is_wrong(tmp_path, make, message):
    make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path, skip_bad=make is only_bad_images)
    assert caught.value.hint
    assert contents(tmp_path) == before


def test_a_folder_is_called_by_its_name_from_within_it(tmp_path, monkeypatch):
    said = Listener()
    track, titles = said.track, []
    monkeypatch.setattr(
        said, "track", lambda title, *rest: titles.append(title) or track(title, *rest)
    )
    monkeypatch.chdir(fill(tmp_path / "pictures", count=20))
    opened(Path(), said)
    assert titles[0] == "look at pictures"


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


PETS = [(f"pets/{name}/{i}.png", GOOD) for name in ("cat", "dog") for i in range(3)]


@pytest.mark.parametrize("bad", ["../evil.png", "/evil.png", "a/../../evil.png", "C:\\evil.png"])
def test_a_zip_that_climbs_out_is_refused(tmp_path, bad):
    path = write_zip(tmp_path / "pets.zip", [*PETS, (bad, GOOD)])
    with pytest.raises(DataError, match="climbs out"):
        opened(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_with_two_files_of_one_name_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = write_zip(tmp_path / "pets.zip", [*PETS, PETS[0]])
    with pytest.raises(DataError, match="two files named"):
        opened(path)


def test_a_zip_bomb_is_a_bad_file(tmp_path):
    path = write_zip(tmp_path / "pets.zip", [*PETS, ("pets/cat/b.png", bytes(4 << 20))])
    with pytest.raises(DataError, match=r"cat/b\.png: expands from"):
        opened(path)


def test_a_damaged_member_and_a_damaged_zip(tmp_path):
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in PETS:
            archive.writestr(name, data)
    whole = bytearray(path.read_bytes())
    whole[100] ^= 255
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"cat/0.png: Bad CRC"):
        opened(path)
    path.write_bytes(whole[:200])
    with pytest.raises(DataError, match="not a readable zip"):
        opened(path)


def test_litter_of_operating_systems_is_passed_over(tmp_path):
    litter = [
        ("__MACOSX/pets/cat/._0.png", b"x"),
        ("pets/.DS_Store", b"x"),
        ("pets/cat/Thumbs.db", b"x"),
    ]
    dataset = opened(write_zip(tmp_path / "pets.zip", [*PETS, *litter]))
    assert dataset.class_counts() == {"cat": 3, "dog": 3}


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    fill(tmp_path / "disk", ("dog",))
    pets = fill(tmp_path / "pets", ("cat",))
    (pets / "dog").symlink_to(tmp_path / "disk" / "dog")
    (pets / "dog" / "loop").symlink_to(pets)
    (pets / "loop").symlink_to(tmp_path)
    assert opened(pets).class_counts() == {"cat": 5, "dog": 5}


def test_csv_of_several_labels(tmp_path):
    fill(tmp_path, ("images",), 4)
    (tmp_path / "labels.csv").write_text(
        "path,age,label\nimages/2.png,4,mass; edema\nimages/0.png,5,edema\n"
        "images/1.png,6,No Finding\nimages/3.png,7,mass\n"
    )
    for path in (tmp_path, tmp_path / "labels.csv"):
        dataset = opened(path)
        assert dataset.info.task == "multi-label"
        assert [c.name for c in dataset.info.classes] == ["edema", "mass", "No finding"]
        assert dataset.labels.tolist() == [[1, 0], [0, 0], [1, 1], [0, 1]]
        assert dataset.class_counts() == {"edema": 2, "mass": 2, "No finding": 1}


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "a;", "a|b", "null"])
def test_a_label_that_is_none_is_told_with_its_line(tmp_path, cell):
    """One blank cell of 24 made the task multi-label, and nan a class."""
    fill(tmp_path, ("images",), 4)
    rows = ["images/0.png,a", "images/1.png,b", f"images/2.png,{cell}", "images/3.png,a"]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 4: the label"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("labels", "is_refused"),
    [
        (("a,b", "b,a", "a"), True),
        (("a/b", "a", "b"), True),
        (("a+b", "b + a", "c"), True),
        (("carcinoma, basal cell", "nevus", "T1/T2"), False),
    ],
)
def test_several_labels_with_another_separator_are_no_class(tmp_path, labels, is_refused):
    fill(tmp_path, ("images",), 3)
    rows = "".join(f'images/{i}.png,"{label}"\n' for i, label in enumerate(labels))
    (tmp_path / "labels.csv").write_text("path,label\n" + rows)
    if not is_refused:
        assert len(opened(tmp_path).info.classes) == 3
        return
    with pytest.raises(DataError, match="looks like several labels") as caught:
        opened(tmp_path)
    assert "';'" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (("10.0", "2.0", "0.0"), ["0.0", "2.0", "10.0"]),
        (("-1", "-2", "1"), ["-2", "-1", "1"]),
        (("1", "1.0", "2"), None),
        (("1", "01", "2"), None),
    ],
)
def test_numbers_are_classes_by_their_value(tmp_path, names, ordered):
    fill(tmp_path, names, 2)
    if ordered:
        assert [c.name for c in opened(tmp_path).info.classes] == ordered
        return
    with pytest.raises(DataError, match="classes of one name"):
        opened(tmp_path)


def test_a_class_without_a_test_image_is_told(tmp_path):
    fill(tmp_path, ("cat", "dog"), 20)
    fill(tmp_path, ("eel",), 1)
    listener = Listener()
    assert opened(tmp_path, listener).class_counts("test")["eel"] == 0
    assert any("no test image of: eel (1 in all)" in line for line in listener.said)


def test_channels_are_for_images_of_ones_own():
    with pytest.raises(UsageError, match="has 1 channels"):
        opened(None, name="oct", source="phantom", size=28, channels="rgb", phantom_images=60)


def test_whole_numbers_are_classes_in_their_order(tmp_path):
    names = [str(number) for number in range(12)]
    fill(tmp_path, names, 10)
    dataset = opened(tmp_path)
    assert [c.name for c in dataset.info.classes] == names
    assert dataset.label_set(int(np.flatnonzero(dataset.labels == 10)[0])) == (10,)


@pytest.mark.parametrize("other", ["Cat", "cat ", "c at", "\uff43at"])
def test_names_that_differ_in_form_alone_are_one_class(tmp_path, other):
    fill(tmp_path, ("cat", other, "dog"), 2)
    with pytest.raises(DataError, match="classes of one name"):
        opened(tmp_path)


def test_a_class_that_is_no_text_is_refused(tmp_path):
    fill(tmp_path, ("cat", os.fsdecode(b"na\xefve")), 2)
    with pytest.raises(DataError, match="not text in UTF-8"):
        opened(tmp_path)


@pytest.mark.parametrize("shape", ["{split}/{name}", "{name}/{split}"])
@pytest.mark.parametrize(
    "splits",
    [
        ("Training", "Validation_set", "TESTING"),
        ("seg_train", "seg_val", "seg_test"),
        ("train2017", "val2017", "test2017"),
        ("OctTrain", "OctVal", "OctTest"),
    ],
)
def test_folders_of_splits_are_no_classes(tmp_path, shape, splits):
    for split in splits:
        for name in ("cat", "dog"):
            fill(tmp_path, (shape.format(split=split, name=name),), 10)
    dataset = opened(tmp_path, split="official")
    assert [c.name for c in dataset.info.classes] == ["cat", "dog"]
    assert dataset.class_counts("test") == {"cat": 10, "dog": 10}
    listener = Listener()
    opened(tmp_path, listener)
    assert any(
        "train 20, val 20, test 20" in line and "`split=official`" in line for line in listener.said
    )


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train/cat", "train/dog", "test/cat", "test/dog", "extra"], "beside them extra"),
        (["Training", "Testing"], "images directly in them"),
        (["cat/images", "cat/masks", "dog/images", "dog/masks"], "folders of masks"),
        (["images", "masks"], "folders of masks"),
        (["p1/cat", "p1/dog", "p2/cat", "p2/dog", "p3/cat"], "which of the two are the classes"),
        (["train/p1/cat", "train/p1/dog", "test/p2/cat", "test/p2/dog"], "which of the two"),
        (["p1/cat", "p2/cat", "p3/dog", "p4/dog"], "which of the two are the classes"),
        (["patient_1", "patient_2", "patient_03"], "look numbered"),
        (["fold1/cat", "fold2/cat"], "look numbered"),
        (["cat", "dog", "test"], "beside them cat, dog"),
        (["seg_train/cat", "seg_train/dog", "seg_test/cat", "seg_test/dgo"], "split test.*: dgo"),
        (["train1/cat", "train1/dog", "train2/cat", "train2/dog"], "two folders of one split"),
        (["cat", "cat_masks", "dog"], "folders of masks"),
        (["imagesTr", "labelsTr"], "folders of masks"),
    ],
)  # fmt: skip
def test_what_looks_like_something_else_is_no_class(tmp_path, folders, message):
    fill(tmp_path, folders, 3)
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.hint


def test_masks_beside_images_are_refused(tmp_path):
    fill(tmp_path)
    for file in list((tmp_path / "dog").iterdir()):
        file.with_name(f"{file.stem}_mask.png").write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="files that look like masks"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [["cat/p1", "cat/p2", "dog/p3"], ["cat/images", "dog/images"], ["Stress test", "cat"]],
)
def test_classes_may_hold_folders(tmp_path, folders):
    fill(tmp_path, folders, 4)
    assert len(opened(tmp_path).info.classes) == 2


def test_what_pixguard_writes_is_no_class(tmp_path):
    fill(tmp_path)
    fill(tmp_path, ("results-files/restored", "page/images", "page/tables"), 2)
    (tmp_path / "page" / "index.html").write_text("page")
    (tmp_path / "results.db").write_text("")
    assert [c.name for c in opened(tmp_path).info.classes] == ["cat", "dog"]


def test_a_class_that_is_only_called_like_output_stays_one(tmp_path):
    fill(tmp_path, ("cat", "dog", "x-files"))
    (tmp_path / "cat" / "index.html").write_text("left by a download")
    with pytest.raises(DataError, match=r"cat/index\.html: is not"):
        opened(tmp_path)
    dataset = opened(tmp_path, skip_bad=True)
    assert [c.name for c in dataset.info.classes] == ["cat", "dog", "x-files"]


def test_csv_of_one_label_with_splits(tmp_path):
    fill(tmp_path, ("images",), 6)
    rows = zip(range(6), "ababab", ("train", "train", "valid", "val", "TEST", "test"), strict=True)
    text = "".join(f"images/{i}.png,{label},{split}\n" for i, label, split in rows)
    (tmp_path / "labels.csv").write_text("path,label,split\n" + text)
    dataset = opened(tmp_path, split="official")
    assert dataset.info.task == "multi-class"
    assert dataset.splits.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_split_without_validation_gives_it_a_tenth_of_the_training_images(tmp_path):
    for part, count in (("Training", 30), ("Testing", 10)):
        fill(tmp_path / part, count=count)
    listener = Listener()
    dataset = opened(tmp_path, listener, split="official")
    counts = [dataset.class_counts(split) for split in ("train", "val", "test")]
    assert counts == [{"cat": n, "dog": n} for n in (27, 3, 10)]
    assert any("tenth" in line for line in listener.said)


def test_own_splits_of_folders_are_official_and_pooled_otherwise(tmp_path):
    for part in ("train", "val", "test"):
        fill(tmp_path / part, count=10)
    official = opened(tmp_path, split="official")
    assert official.class_counts("test") == {"cat": 10, "dog": 10}
    assert opened(tmp_path).class_counts("test") == {"cat": 6, "dog": 6}


def test_official_without_splits_says_so(tmp_path):
    with pytest.raises(DataError, match="no split of its own") as caught:
        opened(fill(tmp_path), split="official")
    assert caught.value.hint == "`split=paper`"


def test_a_changed_file_changes_the_version(tmp_path):
    before = opened(fill(tmp_path)).info
    assert opened(tmp_path).info == before
    (tmp_path / "cat" / "3.png").write_bytes(encode(picture()))
    assert opened(tmp_path).info.version != before.version


def test_images_of_a_paper_dataset_get_its_classes(tmp_path):
    fill(tmp_path, ("DRUSEN", "normal", "Diabetic_Macular_Edema", "choroidal-neovascularization"))
    dataset = opened(tmp_path, name="oct")
    assert dataset.class_counts()["Drusen"] == 5
    assert dataset.label_set(0) == (2,)
    assert dataset.info.classes[2].disease_type == "Disease"


def test_unknown_labels_of_a_paper_dataset_are_named(tmp_path):
    with pytest.raises(DataError, match="does not have: cat, dog"):
        opened(fill(tmp_path), name="oct")


def test_paper_classes_with_several_labels_are_refused(tmp_path):
    fill(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\ncat/0.png,drusen;normal\ncat/1.png,normal\n")
    with pytest.raises(DataError, match="no label or several"):
        opened(tmp_path, name="oct")


def test_chest_labels_from_a_csv_keep_normal_as_no_label(tmp_path):
    fill(tmp_path)
    (tmp_path / "labels.csv").write_text(
        "path,label\ncat/0.png,Normal\ncat/1.png,Effusion;Nodule\ncat/2.png,Hernia\n"
    )
    dataset = opened(tmp_path, name="chest")
    assert [dataset.label_set(i) for i in range(3)] == [(), (2, 5), (13,)]
    assert dataset.attack_codes == ("", "0", "2", "3", "5")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"data_dir": None, "source": "folder"}, UsageError),
        ({"size": 7}, UsageError),
        ({"size": 5000}, UsageError),
        ({"data_dir": "missing"}, DataError),
        ({"data_dir": None, "name": "octt"}, UsageError),
        ({"data_dir": None, "name": "organmnist3d"}, UsageError),
    ],
)
def test_settings_that_make_no_sense(tmp_path, changes, kind):
    if changes.get("data_dir") == "missing":
        changes = changes | {"data_dir": tmp_path / "missing"}
    with pytest.raises(PixguardError) as caught:
        opened(fill(tmp_path / "pets"), **changes)
    assert type(caught.value) is kind
    assert caught.value.hint


def test_images_are_made_once_and_memory_is_bounded():
    made = []

    def make(index):
        made.append(index)
        return np.full((2, 2, 1), index, np.uint8)

    reader = CachedReader(4, (2, 2, 1), make, budget_bytes=8)
    for _ in range(2):
        assert reader(np.array([3, 0, 1]))[:, 0, 0, 0].tolist() == [3, 0, 1]
    assert made == [3, 0, 1, 3]
    with pytest.raises(IndexError):
        reader(np.array([4]))
    with pytest.raises(IndexError):
        reader(np.array([-1]))
