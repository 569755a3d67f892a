import numpy as np
import pytest

from pixguard.config import DatasetSettings
from pixguard.datasets.opening import open_dataset
from pixguard.errors import DataError, UsageError
from pixguard.progress import Silent

NAMES = ("derma", "pathology", "oct", "chest")


def phantoms(name, **changes):
    return open_dataset(DatasetSettings(name, source="phantom", **changes), Silent())


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_the_same_however_many_are_made(name):
    few, many = phantoms(name, phantom_images=100), phantoms(name, phantom_images=250)
    indices = [0, 7, 99]
    assert (few.images(indices) == many.images(indices)).all()
    assert (few.images([99]) == few.images(indices)[2]).all()
    assert (few.labels == many.labels[:100]).all()
    assert few.info.version == "phantom-1-seed0-n100"
    assert few.info.manifest_sha256 != many.info.manifest_sha256


@pytest.mark.parametrize(("name", "channels"), [*zip(NAMES, (3, 3, 1, 1), strict=True)])
@pytest.mark.parametrize("size", [28, 64, 128])
def test_images_have_the_modality_s_shape_and_use_the_range(name, channels, size):
    dataset = phantoms(name, size=size)
    images = dataset.images(range(12))
    assert images.shape == (12, size, size, channels)
    assert images.dtype == np.uint8
    assert dataset.info.channels == channels
    assert dataset.info.is_synthetic
    assert len({image.tobytes() for image in images}) == 12
    assert all(np.ptp(image) > 20 for image in images)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_show_the_same_image(name):
    small = phantoms(name, size=64).images(range(6)).astype(float)
    large = phantoms(name, size=128).images(range(6)).astype(float)
    reduced = large.reshape(6, 64, 2, 64, 2, -1).mean(axis=(2, 4))

    def correlation(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    # A plain background tile holds little but noise, so the six are taken together.
    assert correlation(small, reduced) > 0.9
    assert correlation(small, np.roll(reduced, 1, axis=0)) < correlation(small, reduced) - 0.05


@pytest.mark.parametrize("name", NAMES)
def test_every_class_has_twenty_of_two_thousand_images(name):
    dataset = phantoms(name)
    counts = dataset.class_counts()
    assert min(counts.values()) >= 20
    assert max(counts.values()) > 1.5 * min(counts.values())
    assert all(dataset.class_counts("test").values())
    assert set(counts) == {c.name for c in dataset.info.classes}


def test_chest_phantoms_have_none_one_or_several_findings():
    findings = phantoms("chest").labels.sum(axis=1)
    assert 0.4 < (findings == 0).mean() < 0.6
    assert 0.25 < (findings == 1).mean() < 0.4
    assert set(findings.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["derma", "oct"])
def test_classes_can_be_told_apart_but_not_by_chance(name):
    """A nearest-class-mean rule on coarse pixels beats chance clearly, and errs."""
    dataset = phantoms(name, phantom_images=1000)
    images = dataset.images(range(1000)).astype(float)
    coarse = images.reshape(1000, 7, 4, 7, 4, -1).mean(axis=(2, 4)).reshape(1000, -1)
    train, test = dataset.indices("train"), dataset.indices("test")
    means = np.stack(
        [coarse[train][dataset.labels[train] == c.ordinal].mean(0) for c in dataset.info.classes]
    )
    distance = ((coarse[test][:, None] - means) ** 2).sum(-1)
    recalls = [
        (distance.argmin(1) == o)[dataset.labels[test] == o].mean() for o in range(len(means))
    ]
    assert 1.5 / len(means) < np.mean(recalls) < 0.99


@pytest.mark.parametrize(
    "changes",
    [{"size": 27}, {"size": 1025}, {"phantom_images": 49}, {"split": "official"}],
)
def test_impossible_phantoms_are_refused(changes):
    with pytest.raises(UsageError) as caught:
        phantoms("oct", **changes)
    assert caught.value.hint


def test_no_phantoms_of_other_names():
    with pytest.raises(UsageError, match="derma, pathology, oct, chest"):
        phantoms("bloodmnist")


def test_phantoms_are_never_a_silent_substitute(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path))
    with pytest.raises(DataError) as caught:
        open_dataset(DatasetSettings("oct", size=64), Silent())
    assert "pixguard data fetch oct --size 64" in caught.value.hint
    assert "`source=phantom`" in caught.value.hint
    assert "`source=folder` and `data_dir=DIR`" in caught.value.hint
