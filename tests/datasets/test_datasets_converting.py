"""``data convert``: images of other forms become 8-bit ones, and what was done is said."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bad_files import JPEG, encode, picture
from pixguard.cli.app import app
from pixguard.config import DatasetSettings
from pixguard.datasets.opening import open_dataset
from pixguard.progress import Silent

RAMP = np.arange(1000, 1400, dtype=np.uint16).reshape(20, 20)


def run(*words):
    result = CliRunner().invoke(app, ["data", "convert", *map(str, words), "--json"])
    return result, json.loads(result.stdout)


def pixels(path):
    return np.asarray(Image.open(path))


def scans(folder):
    """Return two classes: 16 bits; transparency, palette, and a JPEG that needs nothing."""
    for name in ("ill", "well"):
        (folder / name).mkdir(parents=True)
    (folder / "ill" / "a.tif").write_bytes(encode(Image.fromarray(RAMP), "TIFF"))
    (folder / "ill" / "b.png").write_bytes(encode(Image.fromarray(RAMP)))
    clear = picture("RGBA", (20, 20))
    clear.putpixel((3, 2), (200, 100, 50, 0))
    clear.putpixel((4, 2), (200, 100, 50, 255))
    (folder / "well" / "c.png").write_bytes(encode(clear))
    (folder / "well" / "d.png").write_bytes(encode(picture(size=(20, 20)).convert("P")))
    (folder / "well" / "e.jpg").write_bytes(JPEG)
    (folder / "README.txt").write_text("about")
    return folder


def test_every_form_becomes_one_that_opens(tmp_path):
    source, out = scans(tmp_path / "scans"), tmp_path / "out"
    result, told = run(source, "--out", out, "--window", "1000:1399", "--background", 255)
    assert result.exit_code == 0
    expected = np.rint((RAMP - 1000.0) / 399 * 255)
    assert (pixels(out / "ill" / "a.png") == expected).all()
    assert (pixels(out / "ill" / "b.png") == expected).all()
    assert pixels(out / "well" / "c.png")[2, 3:5].tolist() == [[255] * 3, [200, 100, 50]]
    assert pixels(out / "well" / "d.png").ndim == 2
    assert (out / "well" / "e.jpg").read_bytes() == JPEG
    assert {one["how"]: one["images"] for one in told["how"]} == {
        "more than 8 bits: window 1000 to 1399": 2,
        "transparent in places: on the gray level 255": 1,
        "palette: colours written out": 1,
        "8-bit gray or RGB: copied as they are": 1,
    }
    assert told["values_from_to"] == [1000, 1399]
    assert told["no_images_left_out"] == ["README.txt"]
    settings = DatasetSettings("scans", data_dir=out, channels="gray")
    assert open_dataset(settings, Silent()).class_counts() == {"ill": 2, "well": 3}


def test_a_window_of_each_image_is_said(tmp_path):
    _, told = run(scans(tmp_path / "scans"), "--out", tmp_path / "one")
    one = {"how": "more than 8 bits: window percentiles 0.5 to 99.5 of each image", "images": 2}
    assert one in told["how"]
    low, high = np.percentile(RAMP, (0.5, 99.5))
    assert told["values_from_to"] == pytest.approx([low, high])
    run(tmp_path / "scans", "--out", tmp_path / "two", "--window", "minmax")
    assert (pixels(tmp_path / "two/ill/a.png") == np.rint((RAMP - 1000.0) / 399 * 255)).all()


def test_a_zip_and_its_table_name_the_new_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        for i in range(4):
            archive.writestr(f"set/x/{i}.tif", encode(Image.fromarray(RAMP), "TIFF"))
        rows = "".join(f"x/{i}.tif,{'ab'[i % 2]},p{i}\n" for i in range(4))
        archive.writestr("set/labels.csv", "path,label,patient\n" + rows)
    result, _ = run(tmp_path / "scans.zip", "--out", tmp_path / "out")
    assert result.exit_code == 0
    table = (tmp_path / "out/set/labels.csv").read_text().splitlines()
    assert table[1] == "x/0.png,a,p0"
    dataset = open_dataset(DatasetSettings("scans", data_dir=tmp_path / "out"), Silent())
    assert dataset.class_counts() == {"a": 2, "b": 2}


def test_values_stored_inverted_are_turned_round(tmp_path):
    folder = scans(tmp_path / "scans")
    inverted = io.BytesIO()
    Image.fromarray(RAMP).save(inverted, "TIFF", tiffinfo={262: 0})
    (folder / "ill" / "z.tif").write_bytes(inverted.getvalue())
    run(folder, "--out", tmp_path / "out", "--window", "minmax")
    straight, turned = (pixels(tmp_path / f"out/ill/{name}.png") for name in "az")
    assert (turned == 255 - straight).all()


def test_bad_files_are_all_listed_and_nothing_is_left(tmp_path):
    folder = scans(tmp_path / "scans")
    (folder / "ill" / "no.png").write_bytes(b"no")
    flat = encode(Image.fromarray(np.full((20, 20), 7, np.uint16)))
    (folder / "well" / "flat.png").write_bytes(flat)
    result, told = run(folder, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "ill/no.png" in told["error"]["message"]
    assert "well/flat.png: has one value, 7" in told["error"]["message"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scans"]
    result, told = run(folder, "--out", tmp_path / "out", "--skip-bad")
    assert (result.exit_code, told["images"], len(told["bad"])) == (0, 5, 2)


@pytest.mark.parametrize("window", ["5:5", "9:1", "x", "1:nan", "1:"])
def test_a_window_that_is_none_is_refused(tmp_path, window):
    result, told = run(scans(tmp_path / "s"), "--out", tmp_path / "out", "--window", window)
    assert (result.exit_code, told["error"]["kind"]) == (2, "usage")


def test_the_new_folder_is_neither_in_the_data_nor_in_the_way(tmp_path):
    folder = scans(tmp_path / "scans")
    for out in (folder / "new", folder, tmp_path):
        result, told = run(folder, "--out", out)
        assert (result.exit_code, told["error"]["kind"]) == (2, "usage")
    assert not (folder / "new").exists()
