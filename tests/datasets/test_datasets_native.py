"""Images of many sizes keep them: in a folder, in a zip, and in the layouts of the originals."""

import io

import numpy as np
import pytest
from PIL import Image

import owner_trees
from bad_files import encode
from pixguard.config import DatasetSettings
from pixguard.datasets.cache import RaggedReader
from pixguard.datasets.opening import open_dataset
from pixguard.datasets.overview import overview
from pixguard.datasets.patches import patches
from pixguard.datasets.preview import contact_sheet
from pixguard.errors import DataError, UsageError
from pixguard.progress import Silent
from pixguard.records import NATIVE_SIZE

SIZES = [(30, 20), (20, 30), (30, 20), (9, 70), (64, 64)]
"""(height, width) of the images of a class, in order."""


def noise(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels))


def files():
    return {
        f"{name}/{i}.png": noise(*size, seed=10 * ordinal + i)
        for ordinal, name in enumerate(("cat", "dog"))
        for i, size in enumerate(SIZES)
    }


def opened(path, name="pets", **changes):
    settings = {"name": name, "data_dir": path, "size": NATIVE_SIZE} | changes
    return open_dataset(DatasetSettings(**settings), Silent())


@pytest.mark.parametrize("place", ["pets", "pets.zip"])
def test_every_image_keeps_the_pixels_of_its_file(tmp_path, place):
    tree = files()
    dataset = opened(owner_trees.write(tree, tmp_path / place))
    assert dataset.info.is_native
    assert dataset.info.size_name == "native"
    for index, data in enumerate(tree.values()):
        expected = np.asarray(Image.open(io.BytesIO(data)))
        (image,) = dataset.each([index])
        assert (image == expected).all()
        assert dataset.shape(index) == image.shape[:2] == SIZES[index % 5]
    records = dataset.records([3, 1])
    assert [(r.height, r.width) for r in records] == [(9, 70), (20, 30)]
    assert len({r.sha256 for r in dataset.records(range(10))}) == 10


def test_images_of_one_shape_are_one_array_and_no_others(tmp_path):
    dataset = opened(owner_trees.write(files(), tmp_path / "pets"))
    groups = dataset.by_shape(range(10))
    assert groups == [[0, 2, 5, 7], [1, 6], [3, 8], [4, 9]]
    assert dataset.images(groups[0]).shape == (4, 30, 20, 3)
    with pytest.raises(ValueError, match="shape"):
        dataset.images([0, 1])
    with pytest.raises(IndexError):
        dataset.images([10])


def test_it_is_the_same_dataset_as_at_one_size(tmp_path):
    """Same files, same classes, same split, same indices: only the size differs."""
    path = owner_trees.write(files(), tmp_path / "pets")
    native, square = opened(path), opened(path, size=16)
    assert native.info.manifest_sha256 == square.info.manifest_sha256
    assert native.info.version == square.info.version
    assert (native.splits == square.splits).all()
    assert (native.labels == square.labels).all()


@pytest.mark.parametrize(
    ("name", "tree", "sizes"),
    [
        ("oct", owner_trees.oct2017, {(496, 768), (496, 512), (496, 1536), (277, 384)}),
        ("derma", lambda: owner_trees.ham10000(1, (60, 45)), {(45, 60)}),
        ("chest", lambda: owner_trees.chest_xray14((40, 40)), {(40, 40)}),
        ("pathology", lambda: owner_trees.nct_crc_he(1), {(224, 224)}),
    ],
)
def test_originals(tmp_path, name, tree, sizes):
    dataset = opened(owner_trees.write(tree(), tmp_path / "set.zip"), name, source="originals")
    found = {image.shape for image in dataset.each(range(len(dataset)))}
    assert found == {(*size, dataset.info.channels) for size in sizes}


def test_the_sizes_are_told_as_in_the_papers_table_6(tmp_path):
    path = owner_trees.write(owner_trees.oct2017(), tmp_path / "oct")
    assert overview(opened(path, "oct"))["original_size"] == "(384~1536) x (277~496)"


def test_an_image_that_is_too_small_is_told_and_left_out_on_demand(tmp_path):
    tree = files() | {"cat/tiny.png": noise(1, 1, 0)}
    path = owner_trees.write(tree, tmp_path / "pets")
    with pytest.raises(DataError, match=r"cat/tiny.png: has 1x1 pixels, less than 8 a side"):
        opened(path)
    assert len(opened(path, skip_bad=True)) == 10


@pytest.mark.parametrize("source", ["phantom", "medmnist"])
def test_sources_of_one_size_have_no_native_one(source):
    with pytest.raises(UsageError, match="oct has no native sizes") as caught:
        open_dataset(DatasetSettings("oct", source=source, size=NATIVE_SIZE), Silent())
    assert "`size=64`" in caught.value.hint


def test_only_so_much_is_kept_in_memory():
    made = []

    def make(index):
        made.append(index)
        return np.full((index + 1, 10, 1), index, np.uint8)

    read = RaggedReader(5, make, budget_bytes=75)  # of 10, 20, 30, 40 and 50 bytes
    for _ in range(2):
        for index in range(5):
            assert (read(np.array([index])) == index).all()
    assert made == [0, 1, 2, 3, 4, 3, 4]


def test_the_contact_sheet_shows_images_in_proportion(tmp_path):
    dataset = opened(owner_trees.write(files(), tmp_path / "pets"))
    sheet = contact_sheet(dataset, 5)
    tile = 2 * 70  # the longest side, doubled
    assert sheet.shape == (2 * (tile + 14), 5 * tile, 3)
    third = sheet[14 : 14 + tile, 3 * tile : 4 * tile]
    (image,) = dataset.each([3])
    top = (tile - 18) // 2
    assert (third[top : top + 18] == image.repeat(2, 0).repeat(2, 1)).all()
    assert (third[:top] == 255).all()


def test_a_patch_is_a_part_of_its_image_or_the_image_with_its_edges_repeated(tmp_path):
    dataset = opened(owner_trees.write(files(), tmp_path / "pets"))
    found = patches(dataset, [3, 4, 9], side=16)
    assert found.shape == (3, 16, 16, 3)
    (flat,) = dataset.each([3])  # 9 x 70
    assert (found[0, 9:] == found[0, 8]).all()
    assert any((found[0, :9] == flat[:, left : left + 16]).all() for left in range(55))
    places = []
    for patch, index in zip(found[1:], (4, 9), strict=True):
        (image,) = dataset.each([index])
        windows = np.lib.stride_tricks.sliding_window_view(image, (16, 16, 3))[:, :, 0]
        places.append(np.argwhere((windows == patch).all((2, 3, 4)))[0].tolist())
    assert places[0] != places[1], "patches are not all cut at one place"
    assert (patches(dataset, [9], side=16)[0] == found[2]).all(), "nor by their neighbours"
