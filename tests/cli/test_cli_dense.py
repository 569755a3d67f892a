"""Dense attacks from the command line to every place that reads what was changed, on phantoms."""

import io
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.datasets.base import image_sha256
from support import run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")
PGD = "attack --dataset oct --attack pgd --eps 40 --steps 4"
WHOLE = (
    "SELECT t.attempt_key, t.success, t.queries, t.predicted_after, w.sha256, w.linf, w.l2 "
    "FROM attempt t JOIN whole_image w ON w.attempt_id = t.id ORDER BY 1"
)


def select(query: str, path: str = "pixguard.db") -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def attacked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    database = str(folder / "pixguard.db")
    for command in (
        "train --dataset oct --source phantom --size 28 --images 400 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32",
        f"{PGD} --limit 6",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", database])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def attacked(attacked_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(attacked_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_stored_image_is_what_it_says(attacked: Path) -> None:
    rows = select("SELECT png, sha256, linf, l2 FROM whole_image")
    assert len(rows) == 6
    for png, sha256, linf, l2 in rows:
        pixels = np.array(Image.open(io.BytesIO(png)))[..., None]
        assert image_sha256(pixels) == sha256
        assert 0 < linf <= 40 and 0 < l2 <= 40 / 255 * 28
    assert select("SELECT pixels, COUNT(*) FROM attack") == [(0, 1)]
    assert select("SELECT COUNT(*) FROM pixel") == [(0,)]
    assert "is sound" in run("db check").output


def test_a_changed_byte_is_found_where_it_is_read_and_a_lost_image_by_the_check(
    attacked: Path,
) -> None:
    with sqlite3.connect("pixguard.db") as database:
        database.execute("UPDATE attempt SET success = 1")
        database.execute("UPDATE whole_image SET sha256 = 'x' WHERE id = 1")
    assert "is not what was written" in run("denoise apply --dataset oct", code=1).output
    with sqlite3.connect("pixguard.db") as database:
        database.execute("DELETE FROM whole_image WHERE id = 2")
    assert "has 0 whole images" in run("db check", code=1).output


def test_a_number_of_pixels_is_refused_and_a_users_default_is_not(
    attacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pixels in (1, 2):
        told = json.loads(run(f"{PGD} --pixels {pixels} --json", code=2).stdout)["error"]
        assert "changes all pixels" in told["message"]
        assert "leave --pixels out" in told["hint"]
    monkeypatch.setenv("PIXGUARD_ATTACK_PIXELS", "3")
    assert run_json(f"{PGD} --limit 6 --dry-run")["left"] == 0


def test_resumed_sharded_and_merged_it_has_the_rows_of_one_run(attacked: Path) -> None:
    for name in ("whole", "one", "two"):
        shutil.copy("pixguard.db", f"{name}.db")
        shutil.copytree("pixguard-files", f"{name}-files")
    run(f"{PGD} --limit 9 --resume --db whole.db")
    for name, shard in (("one", "1/2"), ("two", "2/2")):
        run(f"{PGD} --limit 9 --resume --shard {shard} --db {name}.db")
        assert 6 <= len(select(WHOLE, f"{name}.db")) < 9
    run("db merge two.db --db one.db")
    assert select(WHOLE, "one.db") == select(WHOLE, "whole.db")
    assert "is sound" in run("db check --db one.db").output
    with sqlite3.connect("two.db") as database:
        database.execute("UPDATE whole_image SET sha256 = 'other' WHERE id = 1")
    assert "contradicts" in run("db merge two.db --db one.db", code=1).output


def test_what_reads_changed_pixels_reads_whole_images(attacked: Path) -> None:
    run("attack --dataset oct --attack random --queries 30 --limit 6")
    wins = select("SELECT SUM(t.success) FROM attempt t JOIN whole_image w ON w.attempt_id = t.id")
    run("denoise apply --dataset oct --denoiser median")
    applied = run_json("denoise apply --dataset oct --denoiser identity")
    with sqlite3.connect("pixguard.db") as database:
        restored = database.execute(
            "SELECT r.predicted, t.predicted_after FROM restoration r JOIN attempt t ON t.id = "
            "r.attempt_id JOIN model m ON m.id = r.denoiser_id JOIN whole_image w ON "
            "w.attempt_id = t.id WHERE m.architecture = 'identity'"
        ).fetchall()
    assert len(restored) == wins[0][0] > 0, applied
    assert all(predicted == after for predicted, after in restored), "the same stored image"
    run("score --dataset oct")
    psnr = select(
        "SELECT s.value, w.l2 FROM score s JOIN metric k ON k.id = s.metric_id AND k.name = 'psnr' "
        "JOIN restoration r ON r.id = s.restoration_id JOIN model m ON m.id = r.denoiser_id "
        "JOIN whole_image w ON w.attempt_id = r.attempt_id WHERE m.architecture = 'identity'"
    )
    for value, length in psnr:
        assert value == pytest.approx(10 * np.log10(28 * 28 / length**2), abs=1e-3)
    run("detect train --dataset oct --limit 40")
    assert run_json("detect apply --dataset oct")["attacked"] >= wins[0][0]
    exported = run_json("db export out --images npz --format csv")
    assert exported
    arrays = np.load(next(Path("out").rglob("images-*.npz")))
    stored = dict(select("SELECT attempt_id, sha256 FROM whole_image"))
    found = {int(i): image_sha256(a) for i, a in zip(arrays["attempt_id"], arrays["attacked"],
                                                     strict=True)}  # fmt: skip
    assert {i: found[i] for i in stored} == stored
    lines = next(Path("out").rglob("whole_images.csv")).read_text().splitlines()
    assert len(lines) == 1 + len(stored)
    run("report --html page")
    run("db delete run 2 --yes")
    assert select("SELECT COUNT(*) FROM whole_image") == [(0,)]


def test_tables_keep_dense_attacks_apart(attacked: Path) -> None:
    run("attack --dataset oct --attack random --queries 30 --limit 6")
    run("attack --dataset oct --attack fgsm --norm l2 --eps 0.2 --limit 6")

    def rows(table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = run_json(f"report --table {table} --json")["tables"][0]
        return found["rows"]

    dense = rows("dense")
    told = [[row[k] for k in ("attack", "norm", "eps", "images")] for row in dense]
    assert told == [["fgsm", "l2", "0.2", 6], ["pgd", "linf", "40/255", 6]]
    (wins,) = select("SELECT SUM(t.success), AVG(w.l2) FROM attempt t JOIN whole_image w "
                     "ON w.attempt_id = t.id WHERE w.linf > 30 AND t.success = 1")  # fmt: skip
    assert dense[1]["successes"] == wins[0]
    assert dense[1]["mean_l2_found"] == pytest.approx(wins[1])
    assert {row["attack"] for row in rows("attacks")} == {"random"}
    assert {row["pixels"] for row in rows("seeds")} == {1, "all"}
