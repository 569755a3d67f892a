"""What holds on a CPU holds on a GPU: the same verdicts, and every command from end to end.

They skip without a GPU. ``scripts/gpu_check`` runs them where there is one.
"""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import fields

import pytest
import torch
import torchvision

from pixguard.attacks.registry import ATTACKS
from pixguard.classifiers.classifier import Classifier
from pixguard.inference.form import Form
from pixguard.inference.truth import Forms, Truth
from support import run_json

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
    pytest.mark.usefixtures("in_an_empty_folder"),
]

TRAIN = (
    "train --dataset derma --source phantom --size 28 --images 600 --model small-cnn --epochs 4 "
    "--learning-rate 0.02 --batch-size 32 --device cuda"
)
SMALL = {"queries": 200, "population": 20, "generations": 10, "steps": 20, "square_queries": 50}
"""What makes an attack short, as far as it has it."""


def attacks(device: str, limit: int, more: str = "") -> None:
    """Attack a few images with every attack, a short form of each."""
    for name in ATTACKS.names:
        attack = ATTACKS[name]
        has = {field.name for field in fields(attack.options)}
        words = [f"--{key.replace('_', '-')} {value}" for key, value in SMALL.items() if key in has]
        some = 2 if attack.complete else limit
        run_json(
            f"attack --dataset derma --attack {name} --limit {some} --device {device} "
            f"{' '.join(words)} {more}"
        )


def verdicts() -> dict[str, tuple[int, int]]:
    """Return success and queries of all attempts, by key."""
    with sqlite3.connect("pixguard.db") as database:
        query = "SELECT attempt_key, success, queries FROM attempt"
        return {key: (success, queries) for key, success, queries in database.execute(query)}


def test_every_command_works_on_the_gpu() -> None:
    run_json(TRAIN)
    attacks("cuda", 8)
    run_json("attack --dataset derma --pixels 2 --limit 8 --device cuda")
    for denoiser in ("autoencoder", "dae", "noise2noise", "median-cnn"):
        run_json(
            f"denoise train --dataset derma --model {denoiser} --epochs 1 --limit 32 --device cuda"
        )
    run_json("denoise apply --dataset derma --device cuda")
    run_json("score --dataset derma --device cuda")
    run_json("detect train --dataset derma --limit 32 --device cuda")
    run_json("detect apply --dataset derma --device cuda")
    run_json("certify train --dataset derma --epochs 1 --device cuda")
    run_json("certify apply --dataset derma --limit 16 --device cuda")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("pixels", [1, 2])
def test_convolutions_that_gather_answer_as_the_classifier_does(
    precision: str, pixels: int
) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=4)
    classifier = Classifier(network, "multi-class", 4, (0.5,) * 3, (0.2,) * 3).cuda().eval()
    forms = Forms(Truth(classifier, 72, 90, pixels), 1 << 33, 200, 400)
    for sets in (1, 2):
        forms.checked(Form("delta", precision, 50, "captured", sets=sets, gathers=True))


def test_searches_in_float32_end_as_on_the_cpu() -> None:
    run_json(TRAIN)
    shutil.copy("pixguard.db", "trained.db")
    found = []
    for device in ("cuda", "cpu"):
        shutil.copy("trained.db", "pixguard.db")
        attacks(device, 12, "--precision float32")
        found.append(verdicts())
    gpu, cpu = found
    assert gpu.keys() == cpu.keys()
    # Where two candidates tie within rounding, a search may take another way: rarely.
    differ = [key for key in gpu if gpu[key][0] != cpu[key][0]]
    assert len(differ) <= len(gpu) // 20


def test_a_killed_attack_goes_on_to_the_same_rows() -> None:
    run_json(TRAIN)
    words = "attack --dataset derma --limit 24 --device cuda --resume"
    command = [sys.executable, "-m", "pixguard", *words.split()]
    shutil.copy("pixguard.db", "trained.db")
    run_json(words)
    expected = verdicts()
    shutil.copy("trained.db", "pixguard.db")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(8)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_json(words)
    assert verdicts() == expected
