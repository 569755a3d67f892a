"""What a user may type, set or name wrongly is told in pixguard's words, with what to type next."""

import json
from pathlib import Path

import pytest

from pixguard.registry import near
from support import run

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize("name", ["VERSION", "DEBUG", "HELP", "INSTALL_COMPLETION"])
def test_only_settings_have_environment_variables(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PIXGUARD_{name}", "0.9 or anything else")
    assert "OCT2017" in run("data list").stdout


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("seed = 3", "seed to no command", "[attack]: seed = ..."),
        ("[denoise]\nseed = 3", "no command 'seed', as below [denoise]", "train, apply"),
        ("[denoise]\ntrain = 3", "where a command must stand", "[denoise.train]"),
        ("[atack]\npixels = 3", "no command 'atack'", "did you mean attack"),
        ("[attack]\npixel = 3", "the option pixel", "did you mean pixels?"),
        ('[attack]\npixels = "two"', "--pixels (as the configuration file", "attack --help"),
        ("[attack", "not valid TOML", "pixguard.toml"),
    ],
)
def test_a_mistake_in_the_configuration_file_is_told(text: str, message: str, hint: str) -> None:
    Path("pixguard.toml").write_text(text)
    told = json.loads(run("attack --dataset oct --json", code=2).stdout)["error"]
    assert message in told["message"] and hint in told["hint"]


def test_a_configuration_file_that_is_none_is_told() -> None:
    Path("pixguard.toml").mkdir()
    assert "cannot read pixguard.toml" in run("data list", code=2).output


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        ("attack", "--dataset is missing", "pixguard attack --dataset"),
        ("atack", "pixguard has no command 'atack'", "did you mean attack"),
        ("attack --pixel 2", "pixguard attack has no option --pixel", "did you mean --pixels?"),
        ("attack --pixels", "--pixels needs a value", "--pixels VALUE"),
        ("attack --dataset oct --pixels 0", "an integer from 1 to 64, not '0'", "attack --help"),
        ("attack --dataset oct --pixels two", "an integer from 1 to 64, not 'two'", "--help"),
        ("train --dataset oct --momentum big", "a number of at least 0, not 'big'", "--help"),
        ("attack --dataset oct --evaluator dens", "--evaluator cannot be 'dens'", "mean dense?"),
        ("train --dataset oct --size 3", "the size '3' is neither", "MedMNIST"),
        ("train --dataset oct oct", "does not know what to do with 'oct'", "train --help"),
        ("attack --dataset oct --attack corners", "no attack 'corners'", "mean corner?"),
        ("score --dataset oct --metric psnrr", "no metric 'psnrr'", "did you mean psnr"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_in_our_words(
    command: str, message: str, hint: str
) -> None:
    words = command.split()
    told = json.loads(run(" ".join([words[0], "--json", *words[1:]]), code=2).stdout)["error"]
    assert message in told["message"] and hint in told["hint"]
    plain = run(command, code=2)
    assert plain.stdout == "" and plain.stderr.startswith("pixguard: ")
    assert message in plain.stderr and hint in plain.stderr


def test_a_mistaken_command_of_a_group_is_told() -> None:
    told = run("denoise trian", code=2).stderr
    assert "pixguard denoise has no command 'trian'" in told and "did you mean train?" in told


def test_where_a_wrong_value_came_from_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXGUARD_ATTACK_PIXELS", "two")
    assert "variable PIXGUARD_ATTACK_PIXELS" in run("attack --dataset oct", code=2).output


@pytest.mark.parametrize(
    "command",
    [
        "data preview oct --source phantom --images 50 --out /dev/null/sheet.png",
        "report --audit --out /dev/null/audit.csv",
        "demo --folder /dev/null/demo",
    ],
)
def test_a_place_that_cannot_be_written_to_is_a_failure_with_a_hint(command: str) -> None:
    told = run(command, code=1)
    assert "/dev/null" in told.stderr and "another place" in told.stderr
    assert "Error" not in told.stderr


def test_only_names_that_are_about_as_near_as_the_nearest_are_suggested() -> None:
    assert near("pixel", ["pixels", "size", "seed"]) == ["pixels"]
    assert near("pneumonia", ["PneumoniaMNIST", "oct"]) == ["PneumoniaMNIST"]
    assert near("blood", ["oct", "chest"]) == []
