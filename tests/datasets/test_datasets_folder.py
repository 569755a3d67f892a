"""Folders, zips and CSVs of a user's own; what is wrong with them is told, and nothing written."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from bad_files import BAD_FILES, GOOD, encode, picture, with_header
from pixguard.config import DatasetSettings
from pixguard.datasets.cache import CachedReader
from pixguard.datasets.opening import open_dataset
from pixguard.errors import DataError, PixguardError, UsageError
from pixguard.progress import Silent


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


def test_one_colour_image_makes_all_colour(tmp_path):
    fill(tmp_path)
    (tmp_path / "dog" / "0.png").write_bytes(encode(picture("RGB")))
    dataset = opened(tmp_path)
    assert dataset.info.channels == 3
    gray, colour = dataset.images([0, 5])
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (colour[..., 0] != colour[..., 1]).any()


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
        (one_class, "1 classes"),
        (empty_class, "without a usable image: eel"),
        (only_bad_images, "eel/x.png: is not a JPEG"),
        (same_name, "classes of one name: Cat, cat"),
        (no_folders, "found x.png"),
        (nothing, "found nothing"),
        (table("file,class\n"), "the columns file, class"),
        (table(""), r"\(none\)"),
        (table("path,label\n../x.png,a\n"), "line 2: '../x.png'"),
        (table("path,label\n/x.png,a\n"), "line 2"),
        (table("path,label\n,a\n"), "line 2"),
        (table("path,label\ncat/0.png,a\ncat/0.png,b\n"), "more than once: cat/0.png"),
        (table("path,label\ncat/0.png,a\ncat/1.png,a\n"), "1 labels"),
        (table("path,label,split\ncat/0.png,a,dev\n"), "unknown split 'dev'"),
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
        "images/1.png,6,\nimages/3.png,7,mass\n"
    )
    for path in (tmp_path, tmp_path / "labels.csv"):
        dataset = opened(path)
        assert dataset.info.task == "multi-label"
        assert [c.name for c in dataset.info.classes] == ["edema", "mass", "No finding"]
        assert dataset.labels.tolist() == [[1, 0], [0, 0], [1, 1], [0, 1]]
        assert dataset.class_counts() == {"edema": 2, "mass": 2, "No finding": 1}


def test_csv_of_one_label_with_splits(tmp_path):
    fill(tmp_path, ("images",), 6)
    rows = zip(range(6), "ababab", ("train", "train", "valid", "val", "TEST", "test"), strict=True)
    text = "".join(f"images/{i}.png,{label},{split}\n" for i, label, split in rows)
    (tmp_path / "labels.csv").write_text("path,label,split\n" + text)
    dataset = opened(tmp_path, split="official")
    assert dataset.info.task == "multi-class"
    assert dataset.splits.tolist() == [0, 0, 1, 1, 2, 2]


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
