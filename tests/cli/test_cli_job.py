"""The five commands as a user types them, on phantoms, and what they refuse."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.defences.denoisers.registry import ALWAYS
from support import by_name, run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.fixture(scope="module")
def after_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    for command in (
        "train --dataset oct --source phantom --size 28 --images 400 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32",
        "attack --dataset oct --pixels 1 --limit 8 --population 40 --generations 12",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", str(folder / "pixguard.db")])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def trained(after_training: Path, tmp_path: Path) -> Path:
    shutil.copytree(after_training, tmp_path, dirs_exist_ok=True)
    return tmp_path


def count(table: str) -> int:
    with sqlite3.connect("pixguard.db") as database:
        (number,) = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        return int(number)


def test_the_whole_job(trained: Path) -> None:
    attacked = run_json("attack --dataset oct --pixels 2 --limit 8 --population 40 --resume")
    assert attacked["made"] == attacked["planned"] == 8
    made = "SELECT COUNT(*) FROM attempt WHERE run_id = ?"
    assert sqlite3.connect("pixguard.db").execute(made, [attacked["run"]]).fetchone() == (8,)
    by_class = (
        sqlite3.connect("pixguard.db")
        .execute(
            "SELECT c.name, COUNT(*), SUM(a.success) FROM attempt a"
            " JOIN image i ON i.id = a.image_id AND a.run_id = ?"
            " JOIN dataset_class c ON c.dataset_id = i.dataset_id"
            " AND CAST(c.ordinal AS TEXT) = i.label_set GROUP BY c.name",
            [attacked["run"]],
        )
        .fetchall()
    )
    told = [(c["class"], c["attempts"], c["successes"]) for c in attacked["classes"]]
    assert sorted(c for c in told if c[1]) == by_class
    assert sum(c[1] for c in told) == attacked["success"]["attempts"] == 8
    run("denoise train --dataset oct --model autoencoder --epochs 1 --limit 60")
    applied = run_json("denoise apply --dataset oct")
    denoisers = by_name(applied["denoisers"])
    assert set(denoisers) == {*ALWAYS, "autoencoder"}
    successes = applied["attacked"]
    assert count("restoration") == len(denoisers) * (successes + 8)
    assert applied["clean"] == 8
    identity = denoisers["identity"]
    assert identity["recovered"] == identity["clean_broken"] == 0
    assert all(d["clean_restored"] == 8 for d in denoisers.values())
    (broken,) = (
        sqlite3.connect("pixguard.db")
        .execute(
            "SELECT COUNT(*) FROM restoration r JOIN image i ON i.id = r.image_id"
            " WHERE r.attempt_id IS NULL AND r.predicted <> i.label_set"
        )
        .fetchone()
    )
    assert broken == sum(d["clean_broken"] for d in denoisers.values())
    run("score --dataset oct")
    assert count("score") == len(denoisers) * 5 * (successes + 8)
    again = run_json("score --dataset oct")
    assert {one["scored"] for one in again["denoisers"]} == {0}
    by_class = json.loads(run("report --table 26 --dataset oct --json").stdout)
    assert "phantom" in json.dumps(by_class)
    for form in ("table", "md", "csv", "json", "latex"):
        assert run(f"report --table 27,33 --format {form}").stdout
    assert "is sound" in run("db check").stdout
    listed = json.loads(run("models list --json").stdout)
    assert [m["architecture"] for m in listed].count("small-cnn") == 1


def test_adversarial_images_are_rebuilt_exactly_from_the_pixels(trained: Path) -> None:
    """Images, weights and the pixel table alone must give back every stored confidence."""
    import torch

    from pixguard.classifiers.evaluation import judge
    from pixguard.cli.common import open_session
    from pixguard.config import DatasetRequest
    from pixguard.runner.subject import open_subject

    with open_session("pixguard.db", "cpu") as session:
        subject = open_subject(session, DatasetRequest("oct"), "latest")
    database = sqlite3.connect("pixguard.db")
    rows = database.execute(
        "SELECT a.id, i.dataset_index, a.success, a.predicted_after, a.confidence_after "
        "FROM attempt a JOIN image i ON i.id = a.image_id"
    ).fetchall()
    assert len(rows) == 8
    for attempt_id, index, success, predicted, confidence in rows:
        image = subject.dataset.images([index])[0]
        for row, col, before, after in database.execute(
            "SELECT row, col, before, after FROM pixel WHERE attempt_id = ?", (attempt_id,)
        ):
            assert image[row, col].tolist() == json.loads(before)
            image[row, col] = json.loads(after)
        (decision,) = judge(subject.classifier, image[None], device=torch.device("cpu"))
        assert ",".join(map(str, decision.label_set)) == predicted
        assert decision.confidence == pytest.approx(confidence, abs=1e-9)
        assert success == (decision.label_set != subject.dataset.label_set(index))


def test_a_plan_that_is_begun_needs_resume_or_a_fresh_seed(trained: Path) -> None:
    plan = "attack --dataset oct --pixels 1 --limit 10 --population 40 --generations 12"
    assert "8 of the 10 attempts" in run(plan, code=2).output
    dry = run_json(f"{plan} --dry-run")
    assert (dry["planned"], dry["found"], dry["left"]) == (10, 8, 2)
    assert count("attempt") == 8
    resumed = run_json(f"{plan} --resume")
    assert (resumed["found"], resumed["made"]) == (8, 2)
    fresh = run_json(f"{plan} --fresh-seed")
    assert (fresh["seed"], fresh["found"], fresh["made"]) == (1, 0, 10)
    assert count("attempt") == 20


def test_a_targeted_attack_ends_at_its_target(trained: Path) -> None:
    run("attack --dataset oct --target Drusen --limit 6 --population 40 --generations 12")
    with sqlite3.connect("pixguard.db") as database:
        rows = database.execute(
            "SELECT success, predicted_before, predicted_after FROM attempt WHERE target = "
            "(SELECT ordinal FROM dataset_class WHERE name = 'Drusen')"
        ).fetchall()
        (drusen,) = database.execute(
            "SELECT code FROM dataset_class WHERE name = 'Drusen'"
        ).fetchone()
    assert 0 < len(rows) <= 6
    assert all(before != drusen for _, before, _ in rows)
    assert all((after == drusen) == bool(success) for success, _, after in rows)


def test_multi_label_chest(trained: Path) -> None:
    run(
        "train --dataset chest --source phantom --size 28 --images 600 --model small-cnn "
        "--epochs 25 --learning-rate 0.05 --batch-size 16"
    )
    run("attack --dataset chest --pixels 1 --limit 6 --population 40 --generations 8")
    with sqlite3.connect("pixguard.db") as database:
        rows = database.execute(
            "SELECT success, predicted_before, predicted_after, confidence_before, label_set "
            "FROM attempt a JOIN image i ON i.id = a.image_id JOIN model m ON m.id = a.model_id "
            "JOIN dataset d ON d.id = m.dataset_id WHERE d.name = 'chest'"
        ).fetchall()
    assert len(rows) == 6
    for success, before, after, confidence, truth in rows:
        assert before == truth
        assert (after != before) == bool(success)
        assert 0.5 <= confidence <= 1, "every label is on its side of the threshold of 0.5"
    assert run("report --table 28 --dataset chest").stdout


def test_a_finished_training_is_not_repeated(trained: Path) -> None:
    same = (
        "train --dataset oct --source phantom --size 28 --images 400 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32"
    )
    assert "this training is finished" in run(same, code=2).output
    assert run_json(f"{same} --resume")["already_trained"] is True
    assert run_json(f"{same} --fresh-seed")["model"] == 2


def test_settings_come_from_file_environment_and_flags_in_that_order(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pixguard.toml").write_text("[attack]\nlimit = 3\nper-class = 2\npixels = 3\n")
    monkeypatch.setenv("PIXGUARD_ATTACK_PIXELS", "2")
    dry = run_json("attack --dataset oct --dry-run")
    assert (dry["planned"], dry["pixels"]) == (3, 2)
    assert run_json("attack --dataset oct --dry-run --pixels 1 --limit 1")["pixels"] == 1


def test_a_misspelt_setting_in_the_file_is_noticed(trained: Path) -> None:
    Path("pixguard.toml").write_text("[attack]\npixel = 2\n")
    assert "pixel" in run("attack --dataset oct --dry-run", code=2).output
    Path("pixguard.toml").write_text("[atack]\npixels = 2\n")
    assert "atack" in run("attack --dataset oct --dry-run", code=2).output


def test_a_misspelt_dataset_makes_no_database() -> None:
    run("train --dataset nosuch", code=2)
    assert not Path("pixguard.db").exists()


def test_the_same_images_split_or_named_otherwise_are_another_training(trained: Path) -> None:
    for name in ("cat", "dog"):
        for part in ("train", "val", "test"):
            Path(f"pets/{part}/{name}").mkdir(parents=True)
            for number in range(8):
                noise = np.random.default_rng([number, *name.encode(), *part.encode()])
                pixels = noise.integers(0, 255, (28, 28), dtype=np.uint8)
                Image.fromarray(pixels).save(f"pets/{part}/{name}/{number}.png")
    pets = "train --dataset pets --source folder --data-dir pets --model small-cnn --epochs 1"
    first = run_json(f"{pets} --split paper")
    second = run_json(f"{pets} --split official --resume")
    assert second["model"] != first["model"]
    assert second["already_trained"] is False


def test_a_training_stopped_while_judging_is_completed_by_resume(trained: Path) -> None:
    with sqlite3.connect("pixguard.db") as database:
        database.execute("DELETE FROM prediction WHERE id % 2 = 0 AND id NOT IN (SELECT 0)")
    resumed = run_json(
        "train --dataset oct --source phantom --size 28 --images 400 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32 --resume"
    )
    assert resumed["already_trained"] is True
    assert count("prediction") == resumed["test_images"] == 80


def one_class() -> None:
    Path("one/cat").mkdir(parents=True)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("one/cat/a.png")


def truncated() -> None:
    for name in ("cat", "dog"):
        Path(f"broken/{name}").mkdir(parents=True)
        for number in range(12):
            noise = np.random.default_rng(number).integers(0, 255, (40, 40), dtype=np.uint8)
            Image.fromarray(noise).save(f"broken/{name}/{number}.png")
    damaged = Path("broken/dog/3.png")
    damaged.write_bytes(damaged.read_bytes()[:200])


def newer_schema() -> None:
    with sqlite3.connect("pixguard.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


def not_a_database() -> None:
    Path("notes.db").write_text("a shopping list, and long enough to be read as a header\n" * 90)


def nothing() -> None:
    return None


BAD = [
    (nothing, "train --dataset nosuch", 2, "nosuch"),
    (nothing, "train --dataset derma", 1, "pixguard data fetch derma"),
    (nothing, "train --dataset oct --source phantom --model resnet5000", 2, "resnet50"),
    (nothing, "train --dataset mine --data-dir missing", 1, "missing"),
    (nothing, "train --dataset oct --source disk", 2, "disk"),
    (one_class, "train --dataset mine --data-dir one --source folder", 1, "class"),
    (truncated, "train --dataset mine --data-dir broken --source folder", 1, "3.png"),
    (nothing, "attack --dataset derma", 2, "pixguard train --dataset derma"),
    (nothing, "attack --dataset oct --model 77", 2, "77"),
    (nothing, "attack --dataset oct --device cuda:99", 2, "cuda"),
    (nothing, "attack --dataset oct --target lesion", 2, "--target"),
    (nothing, "attack --dataset oct --pixels 0", 2, "--pixels"),
    (nothing, "attack --dataset oct --mutation nan", 2, "--mutation"),
    (nothing, "attack --dataset oct --success argmax", 2, "argmax"),
    (nothing, "attack --dataset oct --resume --fresh-seed", 2, "--seed N --resume"),
    (nothing, "attack --dataset oct --db elsewhere.db", 1, "elsewhere.db"),
    (not_a_database, "attack --dataset oct --db notes.db", 1, "notes.db"),
    (nothing, "denoise apply --dataset oct --denoiser scunet", 2, "scunet"),
    (nothing, "denoise train --dataset oct --model median", 2, "no training"),
    (nothing, "denoise train --dataset oct --model scunet", 2, "scunet"),
    (nothing, "score --dataset oct", 2, "pixguard denoise apply"),
    (nothing, "score --dataset oct --metric lpips", 2, "lpips"),
    (nothing, "report --table 99", 2, "99"),
    (nothing, "report --table 26 --db elsewhere.db", 1, "elsewhere.db"),
    (newer_schema, "attack --dataset oct", 4, "9999"),
    (newer_schema, "report --table 26", 4, "9999"),
    (nothing, "models show 77", 2, "77"),
]


@pytest.mark.parametrize(("prepare", "command", "code", "told"), BAD, ids=[b[1] for b in BAD])
def test_bad_input_ends_with_a_message_and_loses_nothing(
    trained: Path, prepare, command: str, code: int, told: str
) -> None:
    before = count("attempt")
    with sqlite3.connect("pixguard.db") as database:
        revision = database.execute("SELECT version_num FROM alembic_version").fetchone()
    prepare()
    result = run(f"{command} --json", code=code)
    error = json.loads(result.stdout)["error"]
    assert set(error) == {"kind", "message", "hint"}
    assert told in error["message"] + error["hint"]
    if prepare is newer_schema:
        with sqlite3.connect("pixguard.db") as database:
            database.execute("UPDATE alembic_version SET version_num = ?", revision)
    assert count("attempt") == before
    assert "is sound" in run("db check").stdout


def test_an_image_that_changed_is_noticed(trained: Path) -> None:
    with sqlite3.connect("pixguard.db") as database:
        database.execute("UPDATE image SET sha256 = 'other' WHERE id = 3")
    result = run("attack --dataset oct --pixels 1 --limit 9 --resume", code=1)
    assert "changed" in result.output


def test_a_classifier_without_its_weights_is_a_clear_error(trained: Path) -> None:
    shutil.rmtree("pixguard-files/weights")
    assert "weights" in run("attack --dataset oct --limit 9 --resume", code=1).output


def test_doctor_finds_this_machine_sound() -> None:
    checks = json.loads(run("doctor --json").stdout)
    assert all(check["ok"] for check in checks)
