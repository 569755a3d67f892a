"""``db export`` and ``db query`` as typed; ``pixguard.results``."""

import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixguard import results
from pixguard.errors import UsageError
from pixguard.store.exports import exports
from support import run, run_json

EXAMPLE = Path(__file__).resolve().parents[2] / "pixguard.db.example"
JOB = (
    "attack --dataset oct --pixels 2 --per-class 3 --population 20 --generations 10",
    "denoise apply --dataset oct --denoiser median",
)


@pytest.fixture
def attacked(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workplace)
    for words in JOB:
        run(words)
    return workplace


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def stored(sql: str) -> list[Any]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(sql).fetchall()


def rebuilt(attempt: int, clean: np.ndarray) -> np.ndarray:
    image = clean.copy() if clean.ndim == 3 else clean[..., None].copy()
    for row, col, after in stored(f"SELECT row, col, after FROM pixel WHERE attempt_id={attempt}"):
        image[row, col] = json.loads(after)
    return image.reshape(clean.shape)


def test_csv_files_and_exact_arrays(attacked: Path) -> None:
    told = run_json("db export out --format csv --images npz")
    assert {p.stem for p in Path("out").glob("*.csv")} == set(exports())
    found = rows(Path("out/attempts.csv"))
    ids = [n for (n,) in stored("SELECT id FROM attempt ORDER BY id")]
    assert [int(row["attempt_id"]) for row in found] == ids
    assert {row["is_sampled"] for row in found} == {"1"}
    pixels = rows(Path("out/pixels.csv"))
    assert len(pixels) == told["rows"]["pixels"] == 2 * len(found)
    with np.load("out/images/images-00001.npz") as arrays:
        assert len(arrays["attempt_id"]) == len(found)
        columns = (arrays[name] for name in ("attempt_id", "clean", "attacked"))
        for number, clean, hit in zip(*columns, strict=True):
            assert (rebuilt(int(number), clean) == hit).all()
        (median,) = stored("SELECT id FROM model WHERE architecture = 'median'")[0]
        restored = arrays[f"restored_{median}"]
        assert restored.dtype == np.float32
        assert len(restored) == stored("SELECT SUM(success) FROM attempt")[0][0]
    card = Path("out/README.md").read_text()
    assert "Phantoms" in card
    assert not card.startswith("---")
    assert str(attacked) not in card + Path("out/datasets.csv").read_text()


def test_a_png_for_each_image(attacked: Path) -> None:
    run("db export out --format csv --images png")
    for path in Path("out/images/attacked").iterdir():
        (image,) = stored(f"SELECT image_id FROM attempt WHERE id = {path.stem}")[0]
        clean = np.array(Image.open(f"out/images/clean/{image}.png"))
        assert (rebuilt(int(path.stem), clean) == np.array(Image.open(path))).all()


def test_an_export_is_whole_or_nothing(attacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("there").mkdir()
    Path("there/file").touch()
    assert "exists already" in run("db export there --format csv", code=2).output
    before = {p.name for p in attacked.iterdir()}
    with sqlite3.connect("pixguard.db") as database:  # as if the images were others now
        database.execute("UPDATE dataset SET manifest_sha256 = 'x'")
    assert "has changed" in run("db export new --format csv --images png", code=1).output
    of_a_reader = {"pixguard.db-shm", "pixguard.db-wal"}
    assert {p.name for p in attacked.iterdir()} - of_a_reader == before - of_a_reader


def test_parquet_without_pyarrow_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    told = run(f"db export out --db {EXAMPLE}", code=2).output
    assert "pip install 'pixguard[parquet]'" in told
    assert "--format csv" in told


def test_parquet_holds_what_csv_does(attacked: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pixguard[parquet] is not installed")
    run("db export typed")
    run("db export plain --format csv")
    for name in exports():
        table = parquet.read_table(f"typed/{name}.parquet").to_pylist()
        as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in table]
        assert as_text == rows(Path(f"plain/{name}.csv")), name


def test_a_folder_for_hugging_face(attacked: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pixguard[parquet] is not installed")
    run("db export hub --hf --images png")
    images = parquet.read_table("hub/images.parquet")
    features = json.loads(images.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["clean"] == {"_type": "Image"}
    for row in images.to_pylist():
        files = (io.BytesIO(row[name]["bytes"]) for name in ("clean", "attacked"))
        clean, hit = (np.array(Image.open(file)) for file in files)
        assert (rebuilt(row["attempt_id"], clean) == hit).all()
    header = Path("hub/README.md").read_text().split("---\n")[1]
    named = {line.split(": ")[1] for line in header.splitlines() if "data_files" in line}
    assert named <= {p.name for p in Path("hub").iterdir()}
    assert {"attempts.parquet", "images.parquet"} <= named


def test_hugging_face_itself_loads_it(attacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(attacked / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets.load", reason="Hugging Face datasets is not installed")
    run("db export hub --hf --images png")
    found = datasets.load_dataset("hub", "images", split="train")
    assert found[0]["clean"].size == (28, 28)


@pytest.mark.parametrize("words", ["--hf --format csv", "--hf --images npz"])
def test_what_does_not_fit_together(words: str) -> None:
    assert "--hf" in run(f"db export out --db {EXAMPLE} {words}", code=2).output
    assert not Path("out").exists()


def test_results_in_python() -> None:
    found = results.load(str(EXAMPLE), "attempts", "scores")
    assert list(found) == ["attempts", "scores"]
    attempts = found["attempts"]
    with sqlite3.connect(EXAMPLE) as database:
        ((count,),) = database.execute("SELECT COUNT(*) FROM attempt")
    assert len(attempts) == count
    first = attempts[0] if isinstance(attempts, list) else attempts.iloc[0]
    assert first["confidence_before"] > 0
    with pytest.raises(UsageError, match="no table 'atempts'"):
        results.load(str(EXAMPLE), "atempts")


def test_a_query_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from typer.testing import CliRunner

    from pixguard.cli.app import app

    sql = "SELECT 123456789012345678 AS big, 0.1 + 0.2 AS small, NULL AS none, '=1' AS \"a %\""
    words = ["db", "query", sql, "--db", str(EXAMPLE)]
    told = CliRunner().invoke(app, [*words, "--json"]).stdout
    (row,) = json.loads(told)["tables"][0]["rows"]
    assert row == {"big": 123456789012345678, "small": 0.1 + 0.2, "none": None, "a %": "=1"}
    plain = CliRunner().invoke(app, [*words, "--format", "csv"]).stdout
    assert plain == "big,small,none,a %\n123456789012345678,0.30000000000000004,,'=1\n"
    for form in ("table", "md", "latex", "html"):
        assert "123456789012345678" in CliRunner().invoke(app, [*words, "--format", form]).stdout
    CliRunner().invoke(app, [*words, "--out", "found.csv"])
    assert Path("found.csv").read_text() == plain
    twice = CliRunner().invoke(app, ["db", "query", "SELECT 1 AS a, 2 AS a", "--db", str(EXAMPLE)])
    assert (twice.exit_code, "AS another_name" in twice.output) == (2, True)
