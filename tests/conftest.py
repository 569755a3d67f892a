"""Fixtures shared by all tests: real images where they are, and the command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real medical images, or a skip that says how to provide it."""
    named = os.environ.get("PIXGUARD_REAL_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real images not found at {folder}: set PIXGUARD_REAL_DATA to their folder")
    return folder


def pixguard_command() -> list[str]:
    """The start of a command line that runs this checkout's pixguard."""
    return [sys.executable, "-m", "pixguard"]


@pytest.fixture
def pixguard(tmp_path: Path) -> CommandLine:
    """Run pixguard as a user does, in an empty folder; returns code, stdout and stderr."""

    def run(*arguments: str | Path, **kwargs: object) -> subprocess.CompletedProcess[str]:
        options = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300, **kwargs}
        return subprocess.run([*pixguard_command(), *map(str, arguments)], **options)

    return run
