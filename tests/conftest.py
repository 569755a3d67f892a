"""Fixtures shared by all tests: real images where they are."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

import postgresql
from support import pixguard_command

settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", print_blob=True)
# A failure must belong to the change that is tested. New examples: --hypothesis-profile=explore.
settings.load_profile("fixed")


def pytest_sessionfinish() -> None:
    """Stop the PostgreSQL server that this run may have started."""
    postgresql.stop()


ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real medical images, or a skip that says how to provide it."""
    named = os.environ.get("PIXGUARD_REAL_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real images not found at {folder}: set PIXGUARD_REAL_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def own_configuration(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Keep what tests trust out of the configuration of whoever runs them."""
    folder = tmp_path_factory.mktemp("configuration")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own, with a data folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path / "data"))


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
