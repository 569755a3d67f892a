"""Files that were made to mislead, to hang or to fill memory: told, and nothing comes of them."""

import io
import os
import stat
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from bad_files import GOOD, encode, picture
from pixguard.config import DatasetSettings
from pixguard.config.conversion import ConversionSettings
from pixguard.datasets import decode, files, npz
from pixguard.datasets.converting import convert_images
from pixguard.datasets.decode import BadFilesError
from pixguard.datasets.files import open_tree
from pixguard.datasets.opening import open_dataset
from pixguard.errors import DataError
from pixguard.progress import Silent


def opened(path, **changes):
    return open_dataset(DatasetSettings(**({"name": "pets", "data_dir": path} | changes)), Silent())


def pets(folder):
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            (folder / name / f"{i}.png").write_bytes(encode(picture()))
    return folder


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in ("cat", "dog"):
            archive.writestr(f"{kind}/1.png", encode(picture()))
        for member, data in members:
            archive.writestr(member, data)
    return path


def arrays(counts=(40, 10, 10), label_counts=(40, 10, 10), **changes):
    made = {}
    for split, images, labels in zip(("train", "val", "test"), counts, label_counts, strict=True):
        made[f"{split}_images"] = np.zeros((images, 28, 28), np.uint8)
        made[f"{split}_labels"] = np.arange(labels)[:, None] % 4
    return made | changes


@pytest.mark.parametrize("name", ["octmnist", "pets"])
def test_labels_of_one_split_are_not_taken_for_images_of_another(tmp_path, name):
    path = tmp_path / f"{name}.npz"
    np.savez(path, **arrays(label_counts=(39, 11, 10)))
    with pytest.raises(DataError, match="split train has 39 labels for 40 images"):
        opened(path, name=name.replace("mnist", ""))


def test_an_npz_that_expands_without_bound_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(npz, "_IN_MEMORY_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "pets.npz", **arrays((9000, 10, 10), (9000, 10, 10)))
    with pytest.raises(DataError, match=r"train_images\.npy expands from"):
        opened(tmp_path / "pets.npz")
    assert not (tmp_path / "data").exists()


def test_labels_that_fill_the_memory_are_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_MAX_LABEL_BYTES", 1 << 20)
    wide = {f"{s}_labels": np.zeros((n, 1 << 16), np.uint8) for s, n in (("train", 40),)}
    np.savez_compressed(tmp_path / "pets.npz", **arrays(**wide))
    with pytest.raises(DataError, match="its labels take 2,62"):
        opened(tmp_path / "pets.npz")


@pytest.mark.parametrize("shape", [(10, 0), (10, 10_001)])
def test_labels_of_no_or_of_too_many_classes(tmp_path, shape):
    every = {f"{s}_labels": np.zeros((10, *shape[1:]), np.uint8) for s in ("train", "val", "test")}
    np.savez_compressed(tmp_path / "pets.npz", **arrays((10, 10, 10), (10, 10, 10), **every))
    with pytest.raises(DataError, match=r"not 0 or 1|10,001 different labels"):
        opened(tmp_path / "pets.npz")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-40, -28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 400 + "}",
        "{'descr': [], 'fortran_order': False, 'shape': (40, 28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4\n  0",
    ],
)
def test_a_header_that_makes_no_sense(tmp_path, header):
    np.savez(tmp_path / "good.npz", **arrays())
    with (
        zipfile.ZipFile(tmp_path / "good.npz") as good,
        zipfile.ZipFile(tmp_path / "pets.npz", "w") as bad,
    ):
        for name in good.namelist():
            content = good.read(name)
            if name == "train_images.npy":
                packed = header.encode() + b"\n"
                content = b"\x93NUMPY\x01\x00" + len(packed).to_bytes(2, "little") + packed
                content += bytes(40 * 28 * 28)
            bad.writestr(name, content)
    with pytest.raises(DataError, match="is not a readable"):
        opened(tmp_path / "pets.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_npz_with_two_arrays_of_one_name(tmp_path):
    np.savez(tmp_path / "pets.npz", **arrays())
    with zipfile.ZipFile(tmp_path / "pets.npz", "a") as archive:
        archive.writestr("train_labels.npy", archive.read("train_labels.npy"))
    with pytest.raises(DataError, match=r"train_labels.npy' more than once"):
        opened(tmp_path / "pets.npz")


def encrypted(path):
    """Set the bit that says so in both headers of every member."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + place] |= 1
            start = content.find(mark, start + 4)
    path.write_bytes(content)
    return path


def test_encrypted_archives(tmp_path):
    np.savez(tmp_path / "pets.npz", **arrays())
    with pytest.raises(DataError, match="encrypted"):
        opened(encrypted(tmp_path / "pets.npz"))
    with pytest.raises(DataError, match="is encrypted"):
        opened(encrypted(zipped(tmp_path / "pets.zip")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.png", "climbs out"),
        ("cat/../../evil.png", "climbs out"),
        ("/etc/evil.png", "climbs out"),
        ("C:/evil.png", "climbs out"),
        ("cat\\evil.png", "climbs out"),
        ("cat/1.png", "two files named 'cat/1.png'"),
        ("cat/./1.png", "two files named 'cat/1.png'"),
        ("cat//1.png", "two files named 'cat/1.png'"),
    ],
)
def test_names_in_a_zip_that_are_not_to_be_trusted(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        opened(zipped(tmp_path / "pets.zip", (name, GOOD)))


def test_a_file_without_a_name_in_a_zip(tmp_path):
    path = zipped(tmp_path / "pets.zip", ("?", GOOD))
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02")
    content[start + 28 : start + 32] = (0).to_bytes(2, "little") + (1).to_bytes(2, "little")
    path.write_bytes(content)  # what was the name is now an extra field
    with pytest.raises(DataError, match="without a name"):
        opened(path)


def test_a_damaged_image_that_needs_no_conversion_is_told(tmp_path):
    colour = encode(picture("RGB"))
    start = colour.index(b"IDAT")
    size = int.from_bytes(colour[start - 4 : start], "big")
    garbage = b"IDAT" + bytes(size)
    checksum = zlib.crc32(garbage).to_bytes(4, "big")
    damaged = colour[:start] + garbage + checksum + colour[start + size + 8 :]
    decode.inspect(damaged)
    with pytest.raises(decode.BadImageError, match="damaged"):
        decode.decode(damaged, 16, 3)


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    link = zipfile.ZipInfo("cat/passwd.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BadFilesError, match=r"cat/passwd\.png: is a link, which is not followed"):
        opened(zipped(tmp_path / "pets.zip", (link, "/etc/passwd")))


def test_a_zip_of_too_many_files_is_refused_before_they_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_FILES", 1000)
    path = zipped(tmp_path / "pets.zip", *((f"cat/{i:05}.png", b"") for i in range(1000)))
    with pytest.raises(DataError, match="more than 1,000 files"):
        opened(path)
    monkeypatch.setattr(files, "_MAX_FILES", 1002)
    assert len(open_tree(path).sizes) == 1002


@pytest.mark.parametrize("skip_bad", [False, True])
def test_messages_of_many_bad_files_stay_short(tmp_path, monkeypatch, skip_bad):
    said = []
    monkeypatch.setattr(Silent, "say", lambda self, message: said.append(message))
    path = zipped(tmp_path / "pets.zip", *((f"cat/{i:05}.png", b"") for i in range(1000)))
    if skip_bad:
        assert len(opened(path, skip_bad=True)) == 2
        assert len(said) < 110 and "skipped 900 more" in said
    else:
        with pytest.raises(BadFilesError, match="900 more") as caught:
            opened(path)
        assert len(caught.value.bad) == 1000
        assert len(caught.value.message) < 10_000


def test_pipes_and_devices_are_told_instead_of_read(tmp_path):
    folder = pets(tmp_path / "pets")
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "dog" / "zero.png").symlink_to("/dev/zero")
    (folder / "dog" / "nowhere.png").symlink_to("nowhere")
    (folder / "dog" / "loop.png").symlink_to("loop.png")
    with pytest.raises(BadFilesError) as caught:
        opened(folder)
    assert dict(caught.value.bad) == {
        "cat/pipe.png": "is not a regular file",
        "dog/zero.png": "is not a regular file",
        "dog/nowhere.png": "No such file or directory",
        "dog/loop.png": "Too many levels of symbolic links",
    }
    assert len(opened(folder, skip_bad=True)) == 6
    os.mkfifo(folder / "labels.csv")
    with pytest.raises(DataError, match="is not a regular file"):
        opened(folder)


def test_a_file_that_grew_since_it_was_listed_is_read_no_further(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_FILE_BYTES", 1 << 20)
    (tmp_path / "grows.png").write_bytes(b"")
    tree = open_tree(tmp_path)
    with (tmp_path / "grows.png").open("wb") as file:
        file.truncate(64 << 30)
    with pytest.raises(files.UnreadableFileError, match="larger than 1 MiB"):
        tree.read("grows.png")


def test_a_folder_of_too_much_is_not_walked_to_its_end(tmp_path, monkeypatch):
    folder = pets(tmp_path / "pets")
    (folder / ".hidden").mkdir()
    for i in range(100):
        (folder / ".hidden" / f"{i}.png").write_bytes(b"")
    monkeypatch.setattr(files, "_MAX_FILES", 20)
    assert len(opened(folder)) == 6  # what is hidden is not walked at all
    monkeypatch.setattr(files, "_MAX_FILES", 5)
    with pytest.raises(DataError, match="more than 5 files"):
        opened(folder)


def test_links_that_double_at_every_level_end(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_LINKS", 100)
    for level in range(30):
        here, below = tmp_path / "doubling" / str(level), tmp_path / "doubling" / str(level + 1)
        here.mkdir(parents=True)
        (here / "a").symlink_to(below)
        (here / "b").symlink_to(below)
    (tmp_path / "doubling" / "30").mkdir()
    with pytest.raises(DataError, match="more than 100 links"):
        opened(tmp_path / "doubling")


def table(folder, text):
    pets(folder / "pets")
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "pets" / "labels.csv").write_bytes(content)
    return folder / "pets"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\ncat/0.png,a\ncat/./0.png,b\n", r"more than once: cat/0\.png"),
        ("path,label\ncat/0.png,a\ncat//0.png,b\n", r"more than once: cat/0\.png"),
        ("path,label\ncat/0.png,a\ncat/\0.png,b\n", "line 3: it has a NUL"),
        ("path,label\ncat/0.png,a\ncat/1.png,b\0\n", "line 3: it has a NUL"),
        ("path,label" + ",x" * 1_000_000 + "\n", "1,000,002 columns"),
        ("path,label\ncat/0.png,a\ncat/1.png,b" + "," * 1_000_000, "line 3: it has 1,000,002"),
        ("path,label\ncat/0,1.png,a\n", "line 2: it has more cells than there are columns"),
        ("path,label,label\ncat/0.png,a,b\n", "several columns named label"),
        (",".join(f"c{i}" for i in range(9000)), "and 8,992 more"),
        ("path,label\n" + "x" * 200_000, "line 2: field larger than field limit"),
        (b"path,label\ncat/0.png,\xff\n", "cannot be read"),
        ("path,label\n/etc/passwd,a\n", "is not a path below"),
        ("path,label\ncat/0.png,a\n" + "d/" * 3000 + "x.png,b\n", "File name too long"),
    ],
)
def test_tables_that_make_no_sense(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        opened(table(tmp_path, text))
    assert len(caught.value.message) < 20_000


def test_a_path_with_a_dot_is_read_from_a_folder_and_its_zip_alike(tmp_path):
    folder = table(tmp_path, "path,label\n./cat/0.png,a\n./dog/0.png,b\n")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    one, other = opened(folder), opened(tmp_path / "pets.zip")
    assert one.info.manifest_sha256 == other.info.manifest_sha256
    assert (one.images([0, 1]) == other.images([0, 1])).all()


def test_empty_cells_at_the_end_of_a_row_are_no_fault(tmp_path):
    assert len(opened(table(tmp_path, "path,label\ncat/0.png,a,,\ndog/0.png,b,\n"))) == 2


def test_a_table_of_values_is_not_one_of_classes(tmp_path):
    rows = "".join(f"cat/{i}.png,{i}\n" for i in range(10_001))
    with pytest.raises(DataError, match="10,001 different labels"):
        opened(table(tmp_path, "path,label\n" + rows))


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\x07", "a\x9b2J", "a\u202eb", "a\u2028b"])
def test_a_class_whose_name_drives_a_terminal_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="can be printed") as caught:
        opened(table(tmp_path, f'path,label\ncat/0.png,"{name}"\ndog/0.png,b\n'))
    assert name not in caught.value.message


@pytest.mark.parametrize(
    "name", ["[/]", "[bold]x", "<script>alert(1)</script>", "' OR 1=1 --", "名", "a`b"]
)
def test_a_class_may_have_any_name_that_can_be_printed(tmp_path, name):
    dataset = opened(table(tmp_path, f'path,label\ncat/0.png,"{name}"\ndog/0.png,b\n'))
    assert name in [c.name for c in dataset.info.classes]


def test_a_folder_that_cannot_be_named_in_utf_8_is_told(tmp_path):
    folder = os.fsencode(tmp_path) + b"/p\xff"
    pets(tmp_path / "pets").rename(os.fsdecode(folder))
    with pytest.raises(DataError, match="not text in UTF-8"):
        opened(tmp_path / os.fsdecode(b"p\xff"))


def test_a_file_that_cannot_be_named_in_utf_8_is_read(tmp_path):
    folder = pets(tmp_path / "pets")
    (folder / "cat" / "0.png").rename(folder / "cat" / os.fsdecode(b"\xff.png"))
    assert len(opened(folder)) == 6


def test_a_tiff_of_a_million_frames_is_told_at_its_second(monkeypatch):
    file = io.BytesIO()
    frames = [picture() for _ in range(50)]
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    sought = []
    seek = TiffImageFile.seek
    monkeypatch.setattr(
        TiffImageFile, "seek", lambda self, frame: (sought.append(frame), seek(self, frame))[1]
    )
    with pytest.raises(decode.BadImageError, match="several frames"):
        decode.inspect(file.getvalue())
    assert sought == [1]


def test_a_second_frame_without_a_size_is_told():
    file = io.BytesIO()
    picture().save(file, "TIFF", save_all=True, append_images=[picture()])
    data = bytearray(file.getvalue())
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    link = first + 2 + 12 * count
    second = int.from_bytes(data[link : link + 4], "little")
    data[second : second + 2] = bytes(2)  # no tag at all
    with pytest.raises(decode.BadImageError, match="damaged"):
        decode.inspect(bytes(data))


@pytest.mark.parametrize("text", ["path,label\n" + "x" * 200_000, None])
def test_a_table_that_cannot_be_read_ends_a_conversion_with_a_message(tmp_path, text):
    folder = pets(tmp_path / "pets")
    if text is None:
        os.mkfifo(folder / "labels.csv")
    else:
        (folder / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=r"labels\.csv cannot be read"):
        convert_images(ConversionSettings(source=folder, out=tmp_path / "out"), Silent())
    assert not (tmp_path / "out").exists()


def test_an_image_made_to_exhaust_memory_takes_none(tmp_path):
    file = io.BytesIO()
    Image.new("L", (20_000, 20_000)).save(file, "PNG", compress_level=9)
    tracemalloc.start()
    try:
        with pytest.raises(decode.BadImageError, match="pixels"):
            decode.inspect(file.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
