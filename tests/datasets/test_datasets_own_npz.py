"""A user's own npz in MedMNIST's form, under any name."""

import numpy as np
import pytest

from pixguard.config import DatasetSettings
from pixguard.datasets.opening import open_dataset
from pixguard.datasets.registered import settings_of
from pixguard.errors import DataError, UsageError
from pixguard.progress import Silent

RNG = np.random.default_rng(0)


def arrays(side=32, channels=1, **changes):
    shape = (side, side) if channels == 1 else (side, side, channels)
    made = {}
    for split, count in (("train", 24), ("val", 6), ("test", 12)):
        made[f"{split}_images"] = RNG.integers(0, 256, (count, *shape), dtype=np.uint8)
        made[f"{split}_labels"] = np.arange(count)[:, None] % 3
    return made | changes


def labels(make):
    return {
        f"{split}_labels": make(count) for split, count in (("train", 24), ("val", 6), ("test", 12))
    }


def opened(folder, made, **changes):
    np.savez_compressed(folder / "scans.npz", **made)
    settings = {"name": "scans", "data_dir": folder / "scans.npz", "size": 32} | changes
    return open_dataset(DatasetSettings(**settings), Silent())


def test_it_is_read_as_it_is_and_opened_again_as_registered(tmp_path):
    made = arrays()
    dataset = opened(tmp_path, made, split="official")
    assert (dataset.info.name, dataset.info.source, dataset.info.channels) == ("scans", "npz", 1)
    assert [c.name for c in dataset.info.classes] == ["0", "1", "2"]
    assert dataset.class_counts("test") == {"0": 4, "1": 4, "2": 4}
    assert (dataset.images([30])[0, ..., 0] == made["test_images"][0]).all()
    again = open_dataset(settings_of(dataset.info), Silent())
    assert again.info == dataset.info
    assert opened(tmp_path, made, data_dir=tmp_path).info.source == "npz"


def test_several_labels_an_image(tmp_path):
    rows = np.array([[0, 0], [1, 0], [1, 1]], dtype=np.int64)
    dataset = opened(tmp_path, arrays(**labels(lambda n: rows[np.arange(n) % 3])))
    assert dataset.info.task == "multi-label"
    assert dataset.label_set(2) == (0, 1)
    assert dataset.class_counts()["No finding"] == 14


def test_equal_channels_are_gray_and_a_mixture_is_refused(tmp_path):
    colour = arrays(channels=3)
    assert opened(tmp_path, colour).info.channels == 3
    for part in colour:
        if part.endswith("images"):
            colour[part] = colour[part][..., :1].repeat(3, axis=3)
    gray = opened(tmp_path, colour)
    assert gray.info.channels == 1
    assert (gray.images([0])[0, ..., 0] == colour["train_images"][0, ..., 1]).all()
    colour["val_images"][0, 0, 0] = (200, 0, 0)
    with pytest.raises(DataError, match="41 gray images") as caught:
        opened(tmp_path, colour)
    assert "`channels=gray`" in caught.value.hint
    as_gray = opened(tmp_path, colour, channels="gray")
    assert as_gray.images([24])[0, 0, 0, 0] == 60  # 0.299 of 200
    as_colour = opened(tmp_path, colour, channels="rgb")
    assert as_colour.images([24])[0, 0, 0].tolist() == [200, 0, 0]
    assert as_gray.info.manifest_sha256 != as_colour.info.manifest_sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (labels(lambda n: np.arange(n) % 3 + 1), "labels 1, 2, 3: not 0, 1, 2"),
        (labels(lambda n: np.arange(n) % 2 * 2), "labels 0, 2"),
        (labels(lambda n: np.eye(3, dtype=int)[np.arange(n) % 3]), "a row of 0 and 1"),
        (labels(lambda n: np.full((n, 2), 3)), "not 0 or 1"),
        (labels(lambda n: np.array(["a"] * n)), "not whole numbers"),
        ({"val_images": np.zeros((6, 28, 28), np.uint8)}, r"shape \(28, 28\) and \(32, 32\)"),
        ({"test_images": np.zeros((12, 32, 32, 3), np.uint8)}, "shape"),
        (arrays(64), "images of 64 pixels, not of 32"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path, arrays() | changes)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["oct", "octmnist"])
def test_a_name_of_medmnist_s_stays_medmnist_s(tmp_path, name):
    with pytest.raises(UsageError, match="a name of MedMNIST's"):
        opened(tmp_path, arrays(), name=name, source="npz")
