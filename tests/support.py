"""What several test folders need; importable because ``tests`` is on pytest's path."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from pixguard.cli.app import app
from pixguard.progress import Silent


def pixguard_command() -> list[str]:
    """The start of a command line that runs this checkout's pixguard."""
    return [sys.executable, "-m", "pixguard"]


def run(command: str, *, code: int = 0) -> Result:
    """Run a command line in this process, in the working folder; its exit code must be ``code``."""
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == code, result.output
    return result


def run_json(command: str) -> dict[str, Any]:
    """Run a command line that succeeds, and return what it prints with ``--json``."""
    value: dict[str, Any] = json.loads(run(f"{command} --json").stdout)
    return value


def by_name(rows: list[dict[str, Any]], key: str = "name") -> dict[str, dict[str, Any]]:
    """The objects of a list by what each is called, which no two share."""
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows)
    return found


class StopAfter(Silent):
    """Asks to stop once it was looked at ``looks`` times."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def requested(self) -> bool:  # type: ignore[override]
        self.looks -= 1
        return self.looks < 0


def write_slopes(folder: Path) -> None:
    """Write 400 noisy 8 x 8 images, a third each: brighter to the right, below, or flat."""
    stream = np.random.default_rng(0)
    for number in range(400):
        ramp = np.broadcast_to(np.arange(8) * 12.0, (8, 8))
        name = ("right", "below", "flat")[number % 3]
        clean = {"right": ramp, "below": ramp.T, "flat": np.full((8, 8), 42.0)}[name]
        image = np.clip(80 + clean + stream.normal(0, 35, (8, 8)), 0, 255).astype(np.uint8)
        (folder / name).mkdir(exist_ok=True, parents=True)
        Image.fromarray(image).save(folder / name / f"{number}.png")
