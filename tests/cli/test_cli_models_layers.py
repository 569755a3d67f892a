"""``pixguard models show --layers`` as a user types it, for a denoiser and a classifier."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers") / "pixguard.db"
    for command in (
        "train --dataset oct --source phantom --size 28 --images 60 --model small-cnn --epochs 1",
        "denoise train --dataset oct --model autoencoder --epochs 1 --limit 8",
    ):
        result = CliRunner().invoke(app, [*command.split(), "--db", str(path)])
        assert result.exit_code == 0, result.output
    return path


def show(model: str, database: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["models", "show", model, "--db", str(database), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("model", "last"),
    [
        ("autoencoder", {"type": "Convolution 2-D", "output": [32, 32, 1], "parameters": 289}),
        ("small-cnn", {"type": "Fully Connected", "output": [4], "parameters": 260}),
    ],
)
def test_layers_add_up_to_what_the_registry_holds(
    model: str, last: dict[str, Any], database: Path
) -> None:
    stored = json.loads(show(model, database, "--json"))
    shown = json.loads(show(model, database, "--layers", "--json"))
    layers = shown["layers"]
    assert [layer.pop("layer") for layer in layers] == list(range(1, len(layers) + 1))
    assert layers[0] == {"type": "Input", "output": [28, 28, 1], "parameters": 0}
    assert layers[-1] == last
    for kind in ("trainable_parameters", "frozen_parameters"):
        assert shown[kind] == stored[kind]
    total = stored["trainable_parameters"] + stored["frozen_parameters"]
    assert shown["total_parameters"] == sum(layer["parameters"] for layer in layers) == total


def test_a_person_reads_the_table_with_its_totals(database: Path) -> None:
    lines = [line.split() for line in show("autoencoder", database, "--layers").splitlines()]
    assert "2 Convolution 2-D (32, 32, 32) 320".split() in lines
    assert lines[-5:-1] == [
        "14 Convolution 2-D (32, 32, 1) 289".split(),
        "Total Parameters 7009".split(),
        "Trainable Parameters 7009".split(),
        "Non-Trainable Parameters 0".split(),
    ]
