"""Fixtures shared by all tests: real images where they are."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", print_blob=True)
# A failure must belong to the change that is tested. New examples: --hypothesis-profile=explore.
settings.load_profile("fixed")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real medical images, or a skip that says how to provide it."""
    named = os.environ.get("PIXGUARD_REAL_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real images not found at {folder}: set PIXGUARD_REAL_DATA to their folder")
    return folder


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own, with a data folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIXGUARD_DATA", str(tmp_path / "data"))
