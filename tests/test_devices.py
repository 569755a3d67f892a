"""Every tensor is made on the device that is computed on: tried on a pretended GPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.defences import noise
from pretended_gpu import GPU, pretended_gpu

TRAIN = (
    "train --dataset derma --source phantom --size 28 --images 300 --model small-cnn --epochs 1 "
    "--batch-size 64"
)
COMMANDS = {
    "attack": (
        "attack --dataset derma --limit 2 --population 10 --generations 3",
        "attack --dataset derma --limit 2 --pixels 2 --population 10 --generations 2",
        "attack --dataset derma --limit 2 --attack corner --queries 50",
        "attack --dataset derma --limit 2 --attack sparse-rs --queries 20",
        "attack --dataset derma --limit 2 --attack sigma-zero --queries 10",
        *(
            f"attack --dataset derma --limit 2 --attack {attack} --queries 20"
            for attack in ("spgd", "brusle", "cma-es", "sparse-aa")
        ),
        "attack --dataset derma --limit 2 --attack jsma --pixels 3 --starts 2",
        "attack --dataset derma --limit 2 --attack random --queries 50 --evaluator dense",
        "attack --dataset derma --limit 1 --attack exhaustive --by bounds --most-bounds 50",
    ),
    "denoise": (
        "denoise train --dataset derma --model autoencoder --epochs 1 --limit 8",
        "denoise train --dataset derma --model median-cnn --epochs 1 --limit 2",
        "attack --dataset derma --limit 24 --attack corner --queries 400",
        "denoise apply --dataset derma",
        "score --dataset derma",
    ),
    "detect": ("detect train --dataset derma --limit 40 --epochs 1",),
    "certify": (
        "certify train --dataset derma --epochs 1",
        "certify apply --dataset derma --limit 2",
        "certify mask --dataset derma --stride 2",
        "certify apply --dataset derma --model masked-consensus --limit 2",
        "certify pixels --dataset derma --limit 1 --most-bounds 50",
    ),
}


def invoke(words: str, device: str = "cuda:0") -> None:
    result = CliRunner().invoke(app, ["--debug", *words.split(), "--device", device])
    assert result.exit_code == 0, f"{words}: {result.output[-2000:]}"


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with pretended_gpu():
        invoke(TRAIN)
        yield


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_mixes_devices(command: str, gpu: None) -> None:
    for words in COMMANDS[command]:
        invoke(words)


def test_a_tensor_on_the_wrong_device_is_noticed(
    gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        noise, "_uniform", lambda images, shape, generator: torch.rand(shape, generator=generator)
    )
    with pytest.raises(AssertionError, match="expected all tensors on one device"):
        invoke(COMMANDS["denoise"][0])


def test_the_pretended_gpu_refuses_what_a_gpu_refuses() -> None:
    with pretended_gpu():
        there, here = torch.ones(3, device=GPU), torch.ones(3)
        assert (there + 1).device == GPU and (there * torch.tensor(2.0)).device == GPU
        assert there[torch.tensor([0, 2])].device == GPU and there[[0, 1]].tolist() == [1, 1]
        there[1:] = here[1:] + 4
        assert there.cpu().tolist() == [1, 5, 5] and there.cpu().device == here.device
        for mix in (
            lambda: there + here,
            lambda: torch.cat([there, here]),
            lambda: torch.where(here > 0, there, there),
            lambda: here[there > 0],
            lambda: torch.nn.functional.linear(there, torch.eye(3)),
        ):
            with pytest.raises(RuntimeError, match="one device"):
                mix()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
