"""Denoising as a user types it, on phantoms: training options and patch selection."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.defences.patch_select import PatchSelect, largest_changes
from pixguard.models.inputs import to_unit_range
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.subject import open_subject
from pixguard.store import reader
from pixguard.store.engine import open_engine
from support import by_name, run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TRAIN = "denoise train --dataset oct --model autoencoder --epochs 1 --batch-size 8 --limit 32"


def select(query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def after_an_attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("denoise")
    for command in (
        "train --dataset oct --source phantom --size 28 --images 300 --model small-cnn "
        "--epochs 3 --learning-rate 0.02 --batch-size 32",
        f"{TRAIN} --learning-rate 0.01",
        "attack --dataset oct --pixels 2 --population 60 --generations 8 --limit 30",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", str(folder / "pixguard.db")])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def attacked(after_an_attack: Path, tmp_path: Path) -> Path:
    shutil.copytree(after_an_attack, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_patch_selection_is_a_denoiser_of_its_own_in_every_command(attacked: Path) -> None:
    bare = ("median", "adaptive-median", "repair", "autoencoder")
    names = {f"{name}+patch-select" for name in bare}
    applied = run_json("denoise apply --dataset oct --patch-select")
    assert set(by_name(applied["denoisers"])) == names and applied["attacked"] > 0
    assert all(d["restored"] == applied["attacked"] for d in applied["denoisers"])
    again = run_json("denoise apply --dataset oct --patch-select")
    assert all(d["found"] == again["attacked"] for d in again["denoisers"])

    plain = "denoise apply --dataset oct --denoiser autoencoder+patch-select --denoiser identity"
    assert set(by_name(run_json(plain)["denoisers"])) == {"autoencoder+patch-select", "identity"}
    assert set(by_name(run_json("denoise apply --dataset oct")["denoisers"])).isdisjoint(names)

    scored = run_json("score --dataset oct --metric psnr")["denoisers"]
    assert names < set(by_name(scored))
    through = "attack --dataset oct --population 4 --generations 1 --limit 2 --through"
    assert "+patch-select" in run_json(f"{through} median+patch-select")["through"]
    assert "+patch-select" not in run_json(f"{through} latest")["through"]
    assert "autoencoder+patch-select" in run("report --table 27").stdout

    rows = select("SELECT weights_sha256, weights_file FROM model WHERE kind = 'denoiser'")
    assert len({sha256 for sha256, _ in rows}) == len(rows) == 9
    assert len({file for _, file in rows}) == 2  # none, and the one that both share


def test_the_stored_threshold_is_that_of_clean_images(attacked: Path) -> None:
    run("denoise apply --dataset oct --denoiser autoencoder --patch-select")
    with open_session("pixguard.db", "cpu") as session:
        subject = open_subject(session, DatasetRequest("oct"), "latest")
        engine = open_engine("pixguard.db")
        stored = reader.find_model(engine, "autoencoder+patch-select", kind="denoiser")
        base = reader.find_model(engine, "autoencoder", kind="denoiser")
        engine.dispose()
        selecting = load_denoiser(session, stored, 1)
        bare = load_denoiser(session, base, 1)
    assert isinstance(selecting, PatchSelect)
    assert selecting.tau == stored.record.parameters["tau"]
    assert stored.record.parameters["base_model"] == base.id
    for key, tensor in bare.state_dict().items():
        assert torch.equal(tensor, selecting.denoiser.state_dict()[key])
    clean = to_unit_range(
        subject.dataset.images(subject.dataset.indices("val")), torch.device("cpu")
    )
    with torch.inference_mode():
        changes = largest_changes(clean, bare(clean), 3)
        kept = (selecting(clean) == clean).double().mean().item()
    assert (changes <= selecting.tau).double().mean().item() == pytest.approx(0.999, abs=2e-4)
    assert kept >= 0.9985


def test_what_patch_selection_cannot_be_over_is_told(attacked: Path) -> None:
    refused = run("denoise apply --dataset oct --denoiser identity --patch-select", code=2)
    assert "identity changes nothing" in refused.output.replace("\n", " ")
    for command in (
        "attack --dataset oct --through dae+patch-select",
        "denoise apply --dataset oct --denoiser dae+patch-select",
    ):
        assert "--patch-select" in run(command, code=2).output


def test_the_options_of_training_are_kept_with_the_model(attacked: Path) -> None:
    options = "--noise-kind k-pixel --noise 2 --patience 1 --only-class Drusen --seed 5"
    trained = run_json(f"{TRAIN} {options}")
    ((kept,),) = select(f"SELECT hyperparameters FROM model WHERE id = {trained['model']}")
    expected = {"noise_kind": "k-pixel", "noise": 2.0, "patience": 1, "only_class": "Drusen"}
    assert expected.items() <= json.loads(kept).items()
    small = run(f"{TRAIN} --noise-kind k-pixel", code=2).output
    assert "number of pixels" in small
    assert "no noise named" in run(f"{TRAIN} --noise-kind snow", code=2).output
    assert "denoiser autoencoder" in run(f"{TRAIN} --variant depth-3", code=2).output
    assert "no variant" in run(f"{TRAIN} --model dae --variant depth-4", code=2).output
