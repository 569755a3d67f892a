"""JPEG files that decode and yet are damaged; and every kind of sound file, which must not be."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.datasets.jpeg import problem

RNG = np.random.default_rng(5)
NOISE = RNG.integers(0, 256, (75, 101, 3), dtype=np.uint8)


def jpeg(mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quality": 100, "subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2, "quality": 5},
        {"optimize": True},
        {"restart_marker_blocks": 3},
        {"restart_marker_rows": 1},
        {"progressive": True},
    ],
)
def test_sound_files_are_found_sound(mode, options):
    assert problem(jpeg(mode, **options)) is None


def hole(data, place):
    return data[:place] + bytes(700) + data[place + 700 :]


def cut(data, place):
    return data[:place] + data[place + 300 :]


def foreign(data, place):
    return data[:place] + RNG.bytes(400).replace(b"\xff", b"\xfe") + data[place + 400 :]


@pytest.mark.parametrize("harm", [hole, cut, foreign])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_a_file_that_is_damaged_in_the_middle_is_found(harm, options):
    """Pillow decodes most of these without a word."""
    data = jpeg(**options)
    found = [problem(harm(data, place)) for place in range(1500, len(data) - 1500, 211)]
    assert len(found) > 10
    assert sum(map(bool, found)) > 0.9 * len(found)  # codes fall into step again by chance


def test_data_check_and_data_convert_refuse_it(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "pets" / name / f"{i}.jpg").write_bytes(jpeg("L"))
    broken = tmp_path / "pets" / "dog" / "1.jpg"
    broken.write_bytes(cut(broken.read_bytes(), 1500))
    Image.open(broken).load()

    def run(*words):
        result = CliRunner().invoke(app, ["data", *map(str, words), "--json"])
        return result.exit_code, json.loads(result.stdout)

    code, told = run("check", "pets", "--data-dir", tmp_path / "pets")
    assert (code, told["sound"]) == (1, 5)
    (bad,) = told["bad"]
    assert bad["file"] == "dog/1.jpg"
    assert "damaged" in bad["problem"]
    code, told = run("convert", tmp_path / "pets", "--out", tmp_path / "out")
    assert (code, "dog/1.jpg: is damaged" in told["error"]["message"]) == (1, True)
