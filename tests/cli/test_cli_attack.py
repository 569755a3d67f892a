"""Every attack as a user types it, on phantoms: by name, through a denoiser, by each evaluator."""

import dataclasses
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from typer.testing import CliRunner

from conformance import rows
from pixguard.attacks import ATTACKS
from pixguard.attacks.engine.search import make_search
from pixguard.attacks.registry import AttackEntry
from pixguard.classifiers.evaluation import canonical_logits, judge
from pixguard.cli.app import app
from pixguard.cli.common import open_session
from pixguard.config import AttackSettings, DatasetRequest
from pixguard.config.settings import declarations
from pixguard.defences.restoring import restore
from pixguard.errors import DataError
from pixguard.inference.dense import DenseEvaluator
from pixguard.records import PixelRecord, decode_label_set
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.images import adversarial_images
from pixguard.runner.subject import Subject, open_subject
from pixguard.store import reader
from pixguard.store.engine import open_engine
from pixguard.store.outcomes import StoredRestoration
from support import run, run_json, write_slopes

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SMALL = {
    name: " ".join(f"--{option.replace('_', '-')} {value}" for option, value in options.items())
    for name, options in rows.ATTACKS.items()
}
"""Every attack with a small budget."""

BELONGS_TO: dict[str, set[str]] = {}
for entry in ATTACKS:
    for option in declarations(entry.options) if entry.options else ():
        BELONGS_TO.setdefault(option, set()).add(entry.name)

EVOLUTION = f"attack --dataset oct {SMALL['differential-evolution']}"


def select(query: str, path: str = "pixguard.db") -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def after_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attack")
    for command in (
        "train --dataset oct --source phantom --size 28 --images 400 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32",
        "denoise train --dataset oct --model autoencoder --epochs 1 --batch-size 4 "
        "--learning-rate 0.01 --limit 160",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", str(folder / "pixguard.db")])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def trained(after_training: Path, tmp_path: Path) -> Path:
    shutil.copytree(after_training, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_command_line_names_every_attack() -> None:
    assert set(ATTACKS.names) == set(SMALL)
    assert ATTACKS.names[0] == AttackSettings().attack


@pytest.mark.parametrize("attack", ATTACKS.names)
def test_an_attack_runs_resumes_and_is_stored_under_its_name(
    trained: Path, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixguard.attacks.exhaustive.REFINED", 1)  # 16 take three times as long
    command = f"attack --dataset oct --attack {attack} {SMALL[attack]}"
    dry = run_json(f"{command} --limit 3 --dry-run")
    assert dry["left"] == 3
    assert dry["candidates_per_second"] > 0
    assert select("SELECT COUNT(*) FROM attempt") == [(0,)]
    first = run_json(f"{command} --limit 2")
    assert (first["attack"], first["made"]) == (attack, 2)
    assert (
        f"{first['evaluator']} evaluation in {first['precision']}"
        in run(f"{command} --limit 3 --resume").output
    )
    rows = select(
        "SELECT k.name, t.success, t.predicted_before <> t.predicted_after, t.queries, "
        "t.distinct_queries, t.evaluator, t.precision, COUNT(p.id) FROM attempt t "
        "JOIN attack k ON k.id = t.attack_id LEFT JOIN pixel p ON p.attempt_id = t.id GROUP BY t.id"
    )
    assert len(rows) == 3
    search = make_search(attack)
    assert select("SELECT COUNT(*) FROM whole_image") == [(3 * search.entry.dense,)]
    for name, success, changed, queries, distinct, evaluator, precision, pixels in rows:
        assert (name, pixels) == (attack, search.pixels)
        assert success == changed or (search.entry.dense and not success)
        assert 1 <= queries <= dry["queries_at_most"] / 3
        assert (evaluator, precision) == (dry["evaluator"], dry["precision"])
        if search.entry.revisits:
            assert 1 <= distinct <= queries
        else:
            assert distinct is None
    assert ("distinct_queries" in first) == search.entry.revisits


def test_an_attack_changes_as_many_pixels_as_asked(trained: Path) -> None:
    for attack in ("corner", "sparse-rs", "sigma-zero", "random"):
        run(f"attack --dataset oct --attack {attack} {SMALL[attack]} --pixels 3 --limit 2")
    counts = select("SELECT COUNT(*) FROM pixel GROUP BY attempt_id")
    assert counts == [(3,)] * 8


def another(entry: AttackEntry, option: str) -> Any:
    """A value of an option that is not its default."""
    assert entry.options is not None
    (field,) = (f for f in dataclasses.fields(entry.options) if f.name == option)
    kind = get_type_hints(entry.options)[option]
    choices = [c for part in (kind, *get_args(kind)) for c in get_args(part)]
    if words := [c for c in choices if isinstance(c, str) and c != field.default]:
        return words[-1]
    if str in get_args(kind):
        return "other"
    if field.default is None:
        return 1.5
    return type(field.default)(field.default / 2 if field.default else 1) or 2


VALUES = {option: another(ATTACKS[min(names)], option) for option, names in BELONGS_TO.items()}


@pytest.mark.parametrize("option", sorted(BELONGS_TO))
def test_an_option_of_another_attack_is_refused_where_it_was_typed(
    trained: Path, option: str
) -> None:
    for attack in set(ATTACKS.names) - BELONGS_TO[option]:
        flag = f"--{option.replace('_', '-')}"
        command = f"attack --dataset oct --attack {attack} {flag} {VALUES[option]} --json"
        error = json.loads(run(command, code=2).stdout)["error"]
        assert flag in error["message"]
        assert all(name in error["hint"] for name in BELONGS_TO[option])


def test_defaults_of_the_user_may_hold_options_of_any_attack(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{option} = {json.dumps(value)}" for option, value in VALUES.items()]
    Path("pixguard.toml").write_text("\n".join(["[attack]", *lines]))
    monkeypatch.setenv("PIXGUARD_ATTACK_QUERIES", "8")
    monkeypatch.setenv("PIXGUARD_ATTACK_POPULATION", "7")
    evolved = run_json("attack --dataset oct --limit 1 --dry-run")
    assert evolved["queries_at_most"] == 7 * (VALUES["generations"] + 1)
    assert run_json("attack --dataset oct --attack random --limit 1 --dry-run")["left"] == 1


@pytest.mark.parametrize("attack", ["differential-evolution", "corner", "sparse-rs"])
def test_dense_and_delta_evaluation_give_the_same_rows(trained: Path, attack: str) -> None:
    made = {}
    for evaluator in ("dense", "delta"):
        copy = f"{evaluator}.db"
        shutil.copy("pixguard.db", copy)
        shutil.copytree("pixguard-files", f"{evaluator}-files")
        command = f"attack --dataset oct --attack {attack} {SMALL[attack]} --pixels 2 --limit 4"
        told = run_json(f"{command} --evaluator {evaluator} --db {copy}")
        assert (told["evaluator"], told["made"]) == (evaluator, 4)
        made[evaluator] = select(
            "SELECT t.attempt_key, t.success, t.queries, t.distinct_queries, t.predicted_after, "
            "t.confidence_after, t.true_confidence_after, "
            "GROUP_CONCAT(p.ordinal || ':' || p.row || ',' || p.col || p.after) FROM attempt t "
            "JOIN (SELECT * FROM pixel ORDER BY attempt_id, ordinal) p ON p.attempt_id = t.id "
            "GROUP BY t.id ORDER BY t.attempt_key",
            copy,
        )
    assert made["dense"] == made["delta"]


def test_settings_of_the_search_reach_it(trained: Path) -> None:
    for options in ("corner --order gradient --queries 40", "corner --order grid --queries 40"):
        run(f"attack --dataset oct --limit 2 --attack {options}")
    parameters = [json.loads(row[0]) for row in select("SELECT parameters FROM attack")]
    assert {p["order"] for p in parameters} == {"gradient", "grid"}
    assert max(q for (q,) in select("SELECT queries FROM attempt")) <= 40


def test_a_surrogate_ranks_and_is_recorded_by_its_content(trained: Path) -> None:
    """Another classifier than the attacked one, by whichever name; here and on workers."""
    ((own,),) = select("SELECT name FROM model WHERE kind = 'classifier'")
    run(
        "train --dataset oct --model small-cnn --epochs 1 --learning-rate 0.02 --batch-size 32 "
        "--seed 7 --name other"
    )
    ((other, content),) = select("SELECT id, weights_sha256 FROM model WHERE name = 'other'")
    corner = f"attack --dataset oct --model {own or 1} --limit 3 --attack corner --queries 40"
    refused = run(f"{corner} --order transfer --surrogate {own or 1}", code=2).output
    assert "is the attacked classifier itself" in " ".join(refused.split())
    assert "models list" in run(f"{corner} --order transfer --surrogate nobody", code=2).output
    assert "--surrogate" in run(f"{corner} --order transfer", code=2).output
    shutil.copy("pixguard.db", "away.db")
    shutil.copytree("pixguard-files", "away-files")
    assert run_json(f"{corner} --order transfer --surrogate other")["made"] == 3
    (parameters,) = select("SELECT parameters FROM attack")
    assert json.loads(parameters[0])["surrogate"] == content
    again = f"{corner} --order transfer --surrogate {other}"
    assert run_json(f"{again} --resume")["made"] == 0, "the same surrogate by another name"
    assert run_json(f"{again} --workers 1 --db away.db")["made"] == 3
    query = "SELECT attempt_key, success, queries FROM attempt ORDER BY attempt_key"
    assert select(query, "away.db") == select(query)


def test_exhaustive_search_of_three_pixels_is_refused_before_anything_is_written(
    trained: Path,
) -> None:
    runs = select("SELECT COUNT(*) FROM run")
    refused = run("attack --dataset oct --attack exhaustive --pixels 3", code=2)
    assert "2 pixels at most" in refused.output
    assert select("SELECT COUNT(*) FROM run") == runs


def test_where_no_batch_is_small_enough_the_user_is_told(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(self: DenseEvaluator, owners: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        tried.append(self.batch)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(DenseEvaluator, "logits", fail)
    told = run(f"{EVOLUTION} --evaluator dense --limit 2 --batch-size 8", code=1).output
    assert tried == [8, 4, 2, 1]
    assert "4 candidates at a time" in told
    assert "not enough memory for 1 candidates at a time" in told and "--device cpu" in told


def open_again() -> tuple[Any, Subject]:
    with open_session("pixguard.db", "cpu") as session:
        return session, open_subject(session, DatasetRequest("oct"), "latest")


@pytest.mark.parametrize("denoiser", ["median", "autoencoder"])
def test_a_success_through_a_denoiser_is_a_failure_of_its_recovery(
    trained: Path, denoiser: str
) -> None:
    """What `denoise apply` does, done to what was found through the denoiser."""
    budget = "--pixels 20 --population 10 --generations 8"
    made = run_json(f"attack --dataset oct {budget} --through {denoiser} --limit 10")
    assert made["made"] == 10
    assert denoiser in made["through"]
    session, subject = open_again()
    engine = open_engine("pixguard.db")
    stored = reader.find_model(engine, denoiser, kind="denoiser")
    engine.dispose()
    module = load_denoiser(session, stored, subject.dataset.info.channels)
    rows = select(
        "SELECT t.id, i.dataset_index, i.label_set, t.success, t.predicted_before, "
        "t.predicted_after, t.confidence_after, t.through_model_id FROM attempt t "
        "JOIN image i ON i.id = t.image_id"
    )
    if denoiser == "median":  # whether a short training's autoencoder is fooled, its rounding tells
        assert {row[3] for row in rows} == {0, 1}
    for attempt_id, index, truth, success, before, after, confidence, through in rows:
        pixels = tuple(
            PixelRecord(row, col, tuple(json.loads(old)), tuple(json.loads(new)))
            for row, col, old, new in select(
                f"SELECT row, col, before, after FROM pixel WHERE attempt_id = {attempt_id}"
            )
        )
        attacked = StoredRestoration(0, attempt_id, 0, index, 0, 0, 0, pixels)
        _, images = adversarial_images(session, subject.dataset, [attacked])
        restored = restore(module, images, batch=1)
        (decision,) = subject.classifier.decide(canonical_logits(subject.classifier, restored))
        assert through == stored.id
        assert before == truth
        assert decision.label_set == decode_label_set(after)
        assert decision.confidence == pytest.approx(confidence, abs=1e-6)
        assert bool(success) == (decision.label_set != decode_label_set(truth))


def test_what_a_defence_costs_on_clean_images_is_told_and_kept(trained: Path) -> None:
    session, subject = open_again()
    engine = open_engine("pixguard.db")
    stored = reader.find_model(engine, "autoencoder", kind="denoiser")
    engine.dispose()
    module = load_denoiser(session, stored, subject.dataset.info.channels)
    expected = {}
    for index in subject.dataset.indices("test").tolist():
        image = subject.dataset.images([index])
        (bare,) = judge(subject.classifier, image, device=torch.device("cpu"))
        if bare.label_set == subject.dataset.label_set(index):
            unit = torch.from_numpy(image).permute(0, 3, 1, 2).float().div(255)
            logits = canonical_logits(subject.classifier, restore(module, unit, batch=1))
            after = subject.classifier.decide(logits)[0].label_set
            expected[index] = after == bare.label_set
    everything = run_json("attack --dataset oct --population 4 --generations 0 --through latest")
    assert everything["clean_judged"] == len(expected)
    assert everything["clean_broken"] == sum(not right for right in expected.values()) > 0
    kept = select(
        "SELECT i.dataset_index, r.recovered FROM restoration r JOIN image i ON i.id = r.image_id "
        "JOIN prediction p ON p.image_id = i.id "
        "WHERE r.attempt_id IS NULL AND p.predicted = i.label_set"
    )
    assert dict(kept) == expected


def test_only_as_many_clean_images_are_judged_as_the_plan_needs(trained: Path) -> None:
    few = run_json(f"{EVOLUTION} --through identity --limit 3 --dry-run")
    assert (few["clean_judged"], few["clean_broken"], few["left"]) == (3, 0, 3)
    run(f"{EVOLUTION} --through identity --limit 3")
    run(f"{EVOLUTION} --limit 3")
    images = "SELECT image_id FROM attempt WHERE through_model_id IS {} NULL ORDER BY 1"
    assert select(images.format("NOT")) == select(images.format(""))


def test_an_attack_through_a_denoiser_is_resumed_and_is_a_plan_of_its_own(trained: Path) -> None:
    run(f"{EVOLUTION} --limit 4")
    through = f"{EVOLUTION} --through median"
    assert run_json(f"{through} --limit 2 --dry-run")["found"] == 0
    assert select("SELECT COUNT(*) FROM model WHERE architecture = 'median'") == [(0,)]
    assert run_json(f"{through} --limit 2")["made"] == 2
    run(f"{through} --limit 4", code=2)
    resumed = run_json(f"{through} --limit 4 --resume")
    assert (resumed["found"], resumed["made"]) == (2, 2)
    (median,) = select("SELECT id FROM model WHERE architecture = 'median'")
    by_id = run_json(f"{EVOLUTION} --through {median[0]} --limit 4 --resume")
    assert (by_id["found"], by_id["made"]) == (4, 0)
    assert run_json(f"{EVOLUTION} --limit 4 --resume")["found"] == 4
    assert select("SELECT COUNT(*) FROM restoration") == select(
        "SELECT COUNT(DISTINCT image_id) FROM restoration"
    )


def test_the_latest_denoiser_is_the_newest_trained_one(trained: Path) -> None:
    run(f"{EVOLUTION} --through median --limit 1")
    assert "autoencoder" in run_json(f"{EVOLUTION} --through latest --limit 1 --dry-run")["through"]
    with sqlite3.connect("pixguard.db") as database:
        database.execute("DELETE FROM training_epoch")
        database.execute("DELETE FROM model WHERE architecture = 'autoencoder'")
    assert "pixguard denoise train" in run(f"{EVOLUTION} --through latest", code=2).output
    assert "scunet" in run(f"{EVOLUTION} --through scunet", code=2).output


@pytest.mark.parametrize("attack", ["sigma-zero", "corner"])
@pytest.mark.parametrize("denoiser", ["median", "autoencoder"])
def test_white_box_attacks_see_through_the_denoiser(
    trained: Path, attack: str, denoiser: str
) -> None:
    made = run_json(
        f"attack --dataset oct --attack {attack} {SMALL[attack]} --limit 3 --through {denoiser}"
    )
    assert (made["made"], made["failed"]) == (3, 0)


def test_images_as_they_were_name_the_classifier_that_was_trained_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_slopes(tmp_path / "images")
    train = "train --dataset s --data-dir images --size 8 --model small-cnn --epochs 1 --limit 50"
    (one,) = (tmp_path / "images").glob("*/0.png")
    for image in (one.read_bytes(), one.with_name("3.png").read_bytes()):
        before, _ = one.read_bytes(), one.write_bytes(image)
        run(train)
    one.write_bytes(before)
    told = run("attack --dataset s --dry-run", code=DataError.exit_code).stderr
    assert "has changed since it was registered" in told and "--model 1, which was trained" in told
    run("attack --dataset s --dry-run --model 1")
    one.write_bytes(one.with_name("6.png").read_bytes())
    assert "--model" not in run("attack --dataset s --dry-run", code=DataError.exit_code).stderr
