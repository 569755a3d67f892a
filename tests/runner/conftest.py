"""A classifier trained once on phantoms, and a database that every test gets a copy of."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support import pixguard_command

TRAIN = (
    "train --dataset oct --source phantom --size 28 --images 800 --model small-cnn --epochs 12 "
    "--learning-rate 0.01 --batch-size 32"
).split()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that holds one classifier of oct phantoms."""
    folder = tmp_path_factory.mktemp("trained")
    subprocess.run([*pixguard_command(), *TRAIN], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def workplace(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained folder for one test."""
    folder = tmp_path / "work"
    shutil.copytree(trained, folder)
    return folder
