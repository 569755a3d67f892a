"""Real medical images through the loaders that users have."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from pixguard.config import DatasetSettings
from pixguard.datasets.base import image_sha256
from pixguard.datasets.opening import open_dataset
from pixguard.progress import Silent


def opened(name, path, **changes):
    return open_dataset(DatasetSettings(name, data_dir=path, **changes), Silent())


def test_medical_mnist_zip_is_read_through_its_wrapping_folder(real_data):
    dataset = opened("medical-mnist", real_data / "medical-mnist.zip", size=64)
    assert dataset.info.channels == 1
    assert dataset.class_counts() == {
        "AbdomenCT": 10000, "BreastMRI": 2000, "CXR": 2000, "ChestCT": 2000, "Hand": 2000,
        "HeadCT": 2000,
    }  # fmt: skip
    assert [len(dataset.indices(s)) for s in ("train", "val", "test")] == [14000, 2000, 4000]
    assert dataset.class_counts("test")["Hand"] in (399, 400, 401)
    with zipfile.ZipFile(real_data / "medical-mnist.zip") as archive:
        names = sorted(archive.namelist())
        pixels = np.asarray(Image.open(io.BytesIO(archive.read(names[12345]))))
    assert (dataset.images([12345])[0, :, :, 0] == pixels).all()


def test_colour_crops_of_many_sizes_become_squares(real_data):
    dataset = opened("blood-cells", real_data / "blood-cells.zip", size=32)
    assert dataset.info.channels == 3
    assert dataset.class_counts() == {"Platelets": 241, "RBC": 450, "WBC": 237}
    images = dataset.images(range(len(dataset)))
    assert images.shape == (928, 32, 32, 3)
    assert images[..., 0].mean() > images[..., 1].mean()  # stained cells are not green


def test_a_zip_and_its_folder_are_the_same_dataset(real_data, tmp_path):
    with zipfile.ZipFile(real_data / "blood-cells.zip") as archive:
        archive.extractall(tmp_path)
    zipped = opened("blood-cells", real_data / "blood-cells.zip")
    folder = opened("blood-cells", tmp_path / "blood-cells")
    assert zipped.info.manifest_sha256 == folder.info.manifest_sha256
    assert zipped.info.version == f"folder-{zipped.info.manifest_sha256[:12]}"
    assert (zipped.splits == folder.splits).all()
    assert (zipped.images([0, 500, 900]) == folder.images([0, 500, 900])).all()


@pytest.mark.parametrize("place", ["pneumoniamnist.npz", "."])
def test_pneumonia_npz_by_file_and_by_folder(real_data, place):
    dataset = opened("pneumoniamnist", real_data / place, split="official")
    assert dataset.info.source == "medmnist"
    assert [c.name for c in dataset.info.classes] == ["normal", "pneumonia"]
    assert [len(dataset.indices(s)) for s in ("train", "val", "test")] == [3882, 524, 624]
    with np.load(real_data / "pneumoniamnist.npz") as arrays:
        expected = arrays["test_images"][[0, 623]]
        labels = arrays["val_labels"].ravel()
    assert (dataset.images([3882 + 524, 3882 + 524 + 623])[..., 0] == expected).all()
    assert (dataset.labels[dataset.indices("val")] == labels).all()
    (record,) = dataset.records([5029])
    assert record.sha256 == image_sha256(expected[1][..., None])
    assert (record.split, record.height, record.width) == ("test", 28, 28)


def test_large_arrays_are_unpacked_once_and_mapped(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path))
    in_memory = opened("pneumoniamnist", real_data)
    monkeypatch.setattr("pixguard.datasets.npz._IN_MEMORY_BYTES", 1000)
    for _ in range(2):
        mapped = opened("pneumoniamnist", real_data)
        indices = np.array([5029, 0, 3882, 3881])
        assert (mapped.images(indices) == in_memory.images(indices)).all()
        assert isinstance(mapped.read.arrays[0], np.memmap)
    assert len(list(tmp_path.rglob("*.npy"))) == 3
    assert not list(tmp_path.rglob("*.part"))
