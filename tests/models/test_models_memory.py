"""Memory that does not do: recognised whoever notices it, and told with what to type."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pixguard.defences.denoisers.dae import DenoisingAutoencoder
from pixguard.defences.restoring import restore
from pixguard.errors import PixguardError, enough_memory, is_out_of_memory
from pixguard.models.checkpoint import read_state, write_state
from support import run

FULL = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(1 << 50),
        lambda: np.empty(1 << 50),
        lambda: bytearray(1 << 50),
        lambda: torch.zeros(1).expand(1 << 50).contiguous(),
        lambda: torch.zeros(1, requires_grad=True).expand(1 << 50).exp().sum().backward(),
    ],
)
def test_what_is_raised_where_memory_does_not_do_is_known(ask) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as raised:
        ask()
    assert is_out_of_memory(raised.value)
    with (
        pytest.raises(PixguardError, match="not enough memory for work") as told,
        enough_memory("work", "`batch=1`"),
    ):
        ask()
    assert told.value.hint == "`batch=1`"


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)), enough_memory("work"):
        raise error


def test_a_denoiser_restores_fewer_images_at_a_time() -> None:
    sizes = []

    class Cramped(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sizes.append(len(images))
            if len(images) > 3:
                raise FULL
            return images / 2

    images = torch.rand(10, 1, 8, 8)
    assert torch.equal(restore(Cramped(), images, batch=12), images / 2)
    assert sizes == [10, 6, 3, 3, 3, 1]


def test_a_checkpoint_that_does_not_fit_into_memory_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(tmp_path / "c.pt", {"a": 1})

    def fail(*_: object, **__: object) -> None:
        raise FULL

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(RuntimeError, match="allocate"):
        read_state(tmp_path / "c.pt", torch.device("cpu"))


@pytest.mark.usefixtures("in_an_empty_folder")
def test_denoising_and_scoring_say_what_to_do(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)

    def fail(*_: object) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(DenoisingAutoencoder, "forward", fail)
        train = "denoise train --dataset oct --model autoencoder --epochs 1 --limit 8"
        told = run(train, code=1).stderr
        assert "not enough memory for a step of 16 images" in told
        assert "it asked for 40000000000 bytes more" in told and "next: --batch-size 8" in told
    run(f"{train} --batch-size 4")
    run("attack --dataset oct --pixels 2 --attack random --queries 300 --limit 4")
    with monkeypatch.context() as patch:
        patch.setattr(DenoisingAutoencoder, "forward", fail)
        told = run("denoise apply --dataset oct --denoiser autoencoder", code=1).stderr
        assert "not enough memory" in told and "next: free -h" in told
    run("denoise apply --dataset oct")
    monkeypatch.setattr("pixguard.runner.scoring._score_chunk", fail)
    told = json.loads(run("score --dataset oct --json", code=1).stdout)["error"]
    assert "not enough memory" in told["message"] and told["hint"].startswith("free -h")


LIMITED = """
import resource, sys
import numpy, torch, torchvision, pixguard.cli.train, pixguard.runner.classifier_training
from pixguard.cli.app import main

mapped = 1024 * int(open("/proc/self/status").read().split("VmSize:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_AS, (mapped + int(sys.argv.pop(1)),) * 2)
main()
"""


@pytest.mark.usefixtures("in_an_empty_folder")
def test_a_training_that_the_machine_has_no_memory_for() -> None:
    line = "train --dataset oct --source phantom --size 64 --images 300 --model resnet50".split()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(700 << 20), *line, "--batch-size", "200"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "not enough memory for a step of 200 images" in done.stderr
    assert "next: --batch-size 100" in done.stderr
