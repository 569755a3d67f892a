"""``denoise add``: a denoiser that was trained elsewhere, from its file to its restorations."""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.defences.denoisers.scunet import SCUNet, parameters_of
from pixguard.defences.restoring import restore
from pixguard.models.inputs import to_unit_range
from pixguard.models.weights import load_weights, read_weights
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.subject import open_subject
from pixguard.store import reader
from pixguard.store.engine import open_engine
from support import run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

OF_OCT = "--dataset oct --source phantom --size 28 --images 80"
TRAIN = f"train {OF_OCT} --model small-cnn --epochs 1 --batch-size 16"
BLOCKS = [0, 0, 0, 1, 0, 0, 0]


def network(channels: int) -> Any:
    """spandrel's own descriptor of a network with random weights."""
    module = pytest.importorskip(
        "spandrel.architectures.SCUNet", reason="pixguard[spandrel] is not installed"
    )
    with torch.random.fork_rng():
        torch.manual_seed(channels)
        made = module.SCUNet(in_nc=channels, config=BLOCKS)
    return module.SCUNetArch().load(made.state_dict())


def test_a_file_becomes_a_denoiser_that_restores_as_spandrel_does(tmp_path: Path) -> None:
    theirs, file = network(1), tmp_path / "own.pth"
    torch.save({"params_ema": theirs.model.state_dict()}, file)
    run(TRAIN)
    added = run_json(f"denoise add {file} {OF_OCT}")
    assert (added["denoiser"], added["blocks"]) == ("scunet", BLOCKS)
    assert run_json(f"denoise add {file} {OF_OCT}")["model"] == added["model"]
    file.unlink()  # it was copied
    number = added["model"]
    run("attack --dataset oct --attack random --queries 100 --pixels 20 --limit 2")
    applied = run_json(f"denoise apply --dataset oct --denoiser {number}")
    assert applied["denoisers"][0]["name"].startswith("scunet")
    through = f"--attack random --queries 2 --batch 1 --limit 1 --through {number}"
    made = run_json(f"attack --dataset oct {through}")
    assert made["made"] == 1 and "BPDA" not in made["gradient"]
    with open_session("pixguard.db", "cpu", DatasetRequest("oct")) as session:
        dataset = open_subject(session, DatasetRequest("oct"), "latest").dataset
        engine = open_engine("pixguard.db")
        ours = load_denoiser(session, reader.model(engine, number), 1)
        engine.dispose()
    image = to_unit_range(dataset.images([0]), torch.device("cpu"))
    for shown in (image, image[..., :9, :20]):  # the smaller is padded by more than itself
        torch.testing.assert_close(restore(ours, shown, batch=1), theirs(shown), rtol=0, atol=1e-5)
    with sqlite3.connect("pixguard.db") as database:
        ((kind, told),) = database.execute(
            f"SELECT kind, hyperparameters FROM model WHERE id = {number}"
        ).fetchall()
    assert kind == "denoiser" and json.loads(told)["added_from"] == file.name


def test_a_colour_model_takes_gray_images_and_a_gray_one_each_channel(tmp_path: Path) -> None:
    colour, gray = network(3), network(1)
    save_file(colour.model.state_dict(), tmp_path / "own.safetensors")
    found = parameters_of(read_weights(tmp_path / "own.safetensors"), 1)
    assert found == {"model_channels": 3, "blocks": BLOCKS}
    of_gray, of_colour = SCUNet(1, **found).eval(), SCUNet(3, 1, BLOCKS).eval()
    load_weights(of_gray.network, tmp_path / "own.safetensors")
    of_colour.network.load_state_dict(gray.model.state_dict())
    image = torch.rand(1, 3, 28, 30, generator=torch.Generator().manual_seed(1))
    shown = image[:, :1]
    expected = colour(shown.expand(-1, 3, -1, -1)).mean(dim=1, keepdim=True)
    torch.testing.assert_close(restore(of_gray, shown, batch=1), expected, rtol=0, atol=1e-5)
    alone = torch.cat([gray(image[:, [channel]]) for channel in range(3)], dim=1)
    torch.testing.assert_close(restore(of_colour, image, batch=1), alone, rtol=0, atol=1e-5)


def test_what_is_no_such_network_or_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"first.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "spandrel", None)
        told = run(f"denoise add other.pth {OF_OCT}", code=2).output
        assert "pip install 'pixguard[spandrel]'" in told
    assert "one of: scunet" in run(f"denoise add other.pth {OF_OCT} --model dae", code=2).output
    assert "missing" in run(f"denoise add absent.pth {OF_OCT}", code=1).output
    refused = run(f"denoise train {OF_OCT} --model scunet", code=2).output
    assert "pixguard denoise add FILE --model scunet" in refused
    pytest.importorskip("spandrel", reason="pixguard[spandrel] is not installed")
    assert "SCUNet" in run(f"denoise add other.pth {OF_OCT}", code=1).output
    assert not Path("pixguard.db").exists()
