"""MedMNIST's catalogue and files, and their download from a server on this machine."""

import hashlib
import re
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from pixguard.config import DatasetSettings
from pixguard.datasets import download
from pixguard.datasets.catalogue import PAPER_DATASETS, every_entry, find, medmnist_info
from pixguard.datasets.download import fetch
from pixguard.datasets.opening import open_dataset
from pixguard.errors import DataError, UsageError
from pixguard.progress import Silent
from pixguard.records import NO_FINDING_ORDINAL


@pytest.mark.parametrize("name", PAPER_DATASETS)
def test_the_paper_s_classes_are_medmnist_s_labels(name):
    entry, info = PAPER_DATASETS[name], medmnist_info()[PAPER_DATASETS[name].flag]
    names = [c.name.lower() for c in entry.classes if c.ordinal != NO_FINDING_ORDINAL]
    for name, label in zip(names, info.labels, strict=True):
        assert name.startswith(label)
    assert (entry.channels, entry.licence) == (info.channels, info.licence)
    assert (entry.task == "multi-label") == ("multi-label" in info.task)
    assert find(entry.flag) is entry


def test_every_named_dataset_is_listed_once():
    entries = every_entry()
    assert [e.name for e in entries[:4]] == ["derma", "pathology", "oct", "chest"]
    assert {e.flag for e in entries} == set(medmnist_info())
    assert len(entries) == 12


def test_chest_attacks_the_five_categories_of_table_10():
    entry = PAPER_DATASETS["chest"]
    names = {c.code: c.name for c in entry.classes}
    assert [names[code] for code in entry.attack_codes] == [
        "Normal", "Atelectasis", "Effusion", "Infiltration", "Nodule",
    ]  # fmt: skip
    typed = {c.name for c in entry.classes if c.disease_type}
    assert typed == {"Normal", "Atelectasis", "Effusion", "Infiltration", "Nodule"}


def arrays(size=28, count=20, channels=1, classes=4, **changes):
    rng = np.random.default_rng(0)
    shape = (count, size, size) if channels == 1 else (count, size, size, 3)
    made = {}
    for split in ("train", "val", "test"):
        made[f"{split}_images"] = rng.integers(0, 255, shape, dtype=np.uint8)
        made[f"{split}_labels"] = rng.integers(0, classes, (count, 1), dtype=np.uint8)
    return {key: value for key, value in (made | changes).items() if value is not None}


def opened(path, **changes):
    settings = DatasetSettings(**{"name": "oct", "data_dir": path} | changes)
    return open_dataset(settings, Silent())


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fetched_files_are_found_by_name_and_size(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path))
    (tmp_path / "medmnist").mkdir()
    np.savez_compressed(tmp_path / "medmnist" / "octmnist_64.npz", **arrays(64))
    dataset = opened(None, size=64)
    assert dataset.images([0, 59]).shape == (2, 64, 64, 1)
    assert re.fullmatch(r"medmnist-\d+\.\d+-[0-9a-f]{12}", dataset.info.version)
    with pytest.raises(DataError) as caught:
        opened(None, size=128)
    assert "`size=64`" in caught.value.hint
    assert "pixguard data fetch oct --size 128" in caught.value.hint


def test_multi_label_and_colour_files(tmp_path):
    labels = {
        f"{s}_labels": np.eye(14, dtype=np.uint8)[np.arange(20) % 14] for s in ("train", "val")
    }
    labels["test_labels"] = np.zeros((20, 14), np.uint8)
    np.savez(tmp_path / "chestmnist.npz", **arrays(**labels))
    chest = opened(tmp_path, name="chest", split="official")
    assert chest.label_set(15) == (1,)
    assert chest.class_counts("test")["Normal"] == 20
    np.savez(tmp_path / "dermamnist.npz", **arrays(channels=3, classes=7))
    assert opened(tmp_path, name="derma").images([0]).shape == (1, 28, 28, 3)


def test_one_changed_pixel_changes_the_version(tmp_path):
    made = arrays()
    np.savez(tmp_path / "octmnist.npz", **made)
    before = opened(tmp_path).info
    made["val_images"][3, 4, 5] ^= 1
    np.savez(tmp_path / "octmnist.npz", **made)
    after = opened(tmp_path).info
    assert before.version != after.version
    assert before.manifest_sha256 != after.manifest_sha256


def test_a_file_under_another_dataset_s_name_is_refused(tmp_path):
    """The data of pneumoniamnist.npz were once taken for OCT images of two of the four classes."""
    two = {
        f"{s}_labels": np.arange(20, dtype=np.uint8)[:, None] % 2 for s in ("train", "val", "test")
    }
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays(**two))
    with pytest.raises(DataError, match="the name of MedMNIST's pneumoniamnist") as caught:
        opened(tmp_path / "pneumoniamnist.npz")
    assert caught.value.hint.startswith("`dataset=pneumoniamnist`")
    np.savez(tmp_path / "mine.npz", **arrays(**two))
    with pytest.raises(DataError, match="no image of Drusen, Normal: it is not oct"):
        opened(tmp_path / "mine.npz")
    with pytest.raises(UsageError, match="PneumoniaMNIST"):
        opened(tmp_path / "pneumoniamnist.npz", name="PneumoniaMNIST")


def test_a_file_with_the_images_of_another_dataset_is_refused(tmp_path):
    labels = {}
    for split, count in (("train", 546), ("val", 78), ("test", 156)):
        labels[f"{split}_images"] = np.zeros((count, 28, 28), np.uint8)
        labels[f"{split}_labels"] = np.arange(count, dtype=np.uint8)[:, None] % 2
    np.savez(tmp_path / "x.npz", **labels)
    with pytest.raises(DataError, match="546 / 78 / 156 images of MedMNIST's breastmnist"):
        opened(tmp_path / "x.npz", name="pneumoniamnist")
    assert len(opened(tmp_path / "x.npz", name="breastmnist")) == 780


def test_part_of_a_dataset_is_said_to_be_one(tmp_path):
    class Listener(Silent):
        said = ""

        def say(self, message):
            self.said += message

    listener = Listener()
    np.savez(tmp_path / "octmnist.npz", **arrays())
    open_dataset(DatasetSettings("oct", data_dir=tmp_path), listener)
    assert "20 / 20 / 20 images" in listener.said
    assert "97,477 / 10,832 / 1,000" in listener.said


class Trap:
    """Leaves a mark when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


NAN = np.full((20, 28, 28), np.nan, dtype=np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_images": None}, "no test_images"),
        ({"train_labels": np.array([Trap()] * 20, dtype=object)}, "pickled"),
        ({"train_images": np.array([[Trap()]], dtype=object)}, "pickled"),
        ({"val_images": NAN}, "float32, not uint8"),
        ({"val_images": np.zeros((20, 28, 28), np.uint16)}, "uint16, not uint8"),
        ({"val_images": np.zeros((20, 64, 64), np.uint8)}, r"\(64, 64\)"),
        ({"val_images": np.zeros((20, 28, 28, 3), np.uint8)}, r"\(28, 28, 3\)"),
        ({"val_labels": np.full((20, 1), 4, np.uint8)}, "beyond the 4 classes"),
        ({"val_labels": np.zeros((20, 2), np.uint8)}, "must match exactly"),
        ({"val_labels": np.zeros((19, 1), np.uint8)}, "split val has 19 labels for 20 images"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(tmp_path, changes, message):
    np.savez(tmp_path / "octmnist.npz", **arrays(**changes))
    before = contents(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.hint
    assert not Trap.sprung
    assert contents(tmp_path) == before


@pytest.mark.parametrize("keep", [0, 100, 5000, -300])
def test_a_truncated_file(tmp_path, keep):
    path = tmp_path / "octmnist.npz"
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"octmnist\.npz is not a readable") as caught:
        opened(tmp_path)
    assert "pixguard data fetch oct --size 28" in caught.value.hint


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "octmnist.npz"
    np.savez(path, **arrays())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="CRC"):
        opened(tmp_path)


def test_a_header_that_promises_more_than_there_is(tmp_path):
    path = tmp_path / "octmnist.npz"
    np.savez(path, **arrays())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    huge = members["train_images.npy"].replace(b"(20, 28, 28), } ", b"(9999999, 28, 28), } ")
    members["train_images.npy"] = huge.replace(b"      \n", b" \n", 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(DataError, match="octmnist"):
        opened(tmp_path)


@pytest.mark.parametrize("size", [7, 30, 256])
def test_sizes_that_medmnist_does_not_have(tmp_path, size):
    np.savez(tmp_path / "octmnist.npz", **arrays())
    with pytest.raises(UsageError, match="28, 64, 128, 224"):
        opened(tmp_path, size=size)


CONTENT = np.random.default_rng(1).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def server(monkeypatch):
    """A server of CONTENT that knows Range; ``asked`` keeps the ranges, ``cut`` ends it early."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.headers.get("Range"))
            start = 0
            if self.headers.get("Range") and self.server.ranges:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(CONTENT):
                    self.send_error(416)
                    return
            if self.path != "/file.npz":
                self.send_error(404)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", self.server.length or str(len(CONTENT) - start))
            self.end_headers()
            self.wfile.write(CONTENT[start : self.server.cut])

        def log_message(self, *arguments):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked, httpd.cut, httpd.ranges, httpd.length = [], None, True, None
    httpd.handle_error = lambda *_: None  # a client may hang up
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/file.npz"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_fetch_writes_the_file_where_open_looks(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path))
    facts = replace(medmnist_info()["octmnist"], url={64: server.url}, md5={64: MD5})
    info = {"octmnist": facts}
    monkeypatch.setattr("pixguard.datasets.download.medmnist_info", lambda: info)
    path = fetch("oct", 64, Silent())
    assert path == tmp_path / "medmnist" / "octmnist_64.npz"
    assert path.read_bytes() == CONTENT
    fetch("oct", 64, Silent())
    assert len(server.asked) == 1


def test_a_broken_download_is_gone_on_with(server, tmp_path):
    target = tmp_path / "file.npz"
    server.cut = 1_250_000
    with pytest.raises(DataError, match="1,250,000 of 3,000,000") as caught:
        download.download(server.url, target, MD5, Silent())
    assert "goes on where it stopped" in caught.value.hint
    assert not target.exists()
    server.cut = None
    download.download(server.url, target, MD5, Silent())
    assert server.asked == [None, "bytes=1250000-"]
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.npz.part").write_bytes(b"old")
    download.download(server.url, tmp_path / "file.npz", MD5, Silent())
    assert (tmp_path / "file.npz").read_bytes() == CONTENT


def test_a_complete_part_needs_only_its_check(server, tmp_path):
    (tmp_path / "file.npz.part").write_bytes(CONTENT)
    download.download(server.url, tmp_path / "file.npz", MD5, Silent())
    assert (tmp_path / "file.npz").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=f"is {MD5}, expected {'0' * 32}"):
        download.download(server.url, tmp_path / "file.npz", "0" * 32, Silent())
    assert list(tmp_path.iterdir()) == []


def test_another_file_in_the_place_is_kept(server, tmp_path):
    target = tmp_path / "file.npz"
    target.write_bytes(b"mine")
    with pytest.raises(DataError, match="is there already"):
        download.download(server.url, target, MD5, Silent())
    assert target.read_bytes() == b"mine"
    assert server.asked == []


def test_a_missing_file_is_an_error_of_data(server, tmp_path):
    with pytest.raises(DataError, match="404"):
        download.download(server.url + "x", tmp_path / "file.npz", MD5, Silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", ["abc", "-1", "3e6", "9" * 5000, "٣"])
def test_a_length_that_is_none(server, tmp_path, length):
    server.length = length.encode().decode("latin-1")
    with pytest.raises(DataError, match="bytes are to come"):
        download.download(server.url, tmp_path / "file.npz", MD5, Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_stream_without_an_end_is_cut(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MAX_BYTES", 1_000_000)
    with pytest.raises(DataError, match="'3000000' bytes are to come"):
        download.download(server.url, tmp_path / "file.npz", MD5, Silent())


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path):
    part = tmp_path / "file.npz.part"
    with download._alone(part) as other:
        other.write(b"other")
        other.flush()
        with pytest.raises(DataError, match="another process is downloading"):
            download.download(server.url, tmp_path / "file.npz", MD5, Silent())
        assert part.read_bytes() == b"other"
    assert server.asked == []


def test_every_file_that_medmnist_publishes_has_an_address_and_a_sum_of_its_own():
    facts = medmnist_info()
    sums = [digits for one in facts.values() for digits in one.md5.values()]
    assert len(set(sums)) == 12 * 4 and all(re.fullmatch("[0-9a-f]{32}", s) for s in sums)
    for flag, one in facts.items():
        assert one.url.keys() == one.md5.keys() == {28, 64, 128, 224}
        assert f"/{flag}_64.npz" in one.url[64] and f"/{flag}.npz" in one.url[28]
        assert len(one.labels) >= 2 and len(one.samples) == 3
    assert facts["octmnist"].samples == (97_477, 10_832, 1_000)  # as its page tells
