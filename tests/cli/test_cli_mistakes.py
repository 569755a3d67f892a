"""What a user may type, set or name wrongly is told in pixguard's words, with what to type next."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pixguard.datasets.catalogue import unknown_dataset
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
        ("seed = 3", "has seed = 3 above every table", "[attack]"),
        ("[denoise]\nseed = 3", "no command 'seed', as below [denoise]", "train, add, apply"),
        ("[denoise]\ntrain = 3", "where a command must stand", "[denoise.train]"),
        ("[atack]\npixels = 3", "no command 'atack'", "did you mean attack"),
        ("[attack]\npixel = 3", "the option pixel", "did you mean pixels?"),
        ('[attack]\npixels = "two"', "--pixels (as the configuration file", "attack --help"),
        ("[attack", "not valid TOML", "pixguard.toml"),
        ('[report]\nhtml = "x"', "[report] the option html", "pixguard report --html ..."),
        ('[report]\noutput = "x"', "[report] the option out", "pixguard report --out ..."),
        ('[models.add]\nbuilder = "os:system"', "no file may set", "models add --builder ..."),
        ("[models.add]\ntrust = true", "[models.add] the option trust", "add --trust ..."),
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


def test_a_group_without_a_command_shows_its_help_once() -> None:
    assert run("denoise", code=2).output.count("Usage:") == 1


TRAIN = "train --dataset oct --source phantom --images 100 --model small-cnn --epochs 1"


@pytest.fixture(scope="module")
def with_a_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a classifier, beside whose dataset there is one of the user's own."""
    path = tmp_path_factory.mktemp("mistakes") / "p.db"
    run(f"{TRAIN} --db {path}")
    with sqlite3.connect(path) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(dataset)")]
        copied = ", ".join(columns[1:])
        values = copied.replace("name,", "'octopus',", 1).replace("source,", "'folder',", 1)
        database.execute(f"INSERT INTO dataset ({copied}) SELECT {values} FROM dataset")
    return path


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("attack --dataset octopuss", "did you mean octopus?"),
        ("train --dataset octopuss", "did you mean octopus?"),
        ("denoise train --dataset octopuss", "did you mean octopus?"),
        ("denoise apply --dataset octopuss", "did you mean octopus?"),
        ("score --dataset octopuss", "did you mean octopus?"),
        ("certify apply --dataset octopuss", "did you mean octopus?"),
        ("detect train --dataset octopuss", "did you mean octopus?"),
        ("models list --dataset octopuss", "did you mean octopus?"),
        ("detect apply --dataset octopuss", "did you mean octopus?"),
        ("models add x.pt --dataset octopuss", "did you mean octopus?"),
        ("denoise validate --dataset octopuss", "did you mean octopus?"),
        ("report --html page --data-dir octopuss=.", "did you mean octopus?"),
        ("attack --dataset dermaa", "did you mean derma?"),
        ("report --table 24 --dataset octt", "did you mean oct?"),
        ("attack --dataset mine", "pixguard train --db p.db --dataset mine --data-dir DIR"),
        ("attack --dataset medicalmnist", "--dataset medicalmnist --data-dir DIR"),
        (
            "attack --dataset derma",
            "data fetch derma; pixguard train --db p.db --dataset derma",
        ),
        ("attack --dataset oct --source medmnist", "--dataset oct --source medmnist"),
        ("attack --dataset oct --model small-cn", "did you mean --model small-cnn?"),
        ("report --table 24 --model smallcnn", "did you mean small-cnn?"),
        ("models show smallcnn", "did you mean small-cnn?"),
        ("models show 77", "pixguard models list --db p.db"),
        ("attack --dataset oct --through mediann", "did you mean median"),
        ("attack --dataset oct --target drussen", "did you mean --target Drusen?"),
        ("denoise train --dataset oct --noise-kind gausian", "did you mean gaussian?"),
        ("denoise train --dataset oct --only-class drussen", "did you mean Drusen?"),
        ("detect train --dataset oct --normal drussen", "did you mean Drusen?"),
        ("report --table trut", "did you mean truth?"),
        ("report --figure sucess", "did you mean success?"),
    ],
)
def test_a_name_that_is_none_is_answered_with_one_that_is(
    with_a_classifier: Path, command: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_a_classifier.parent)
    assert hint in run(f"{command} --db p.db", code=2).stderr


def test_the_name_that_medmnist_has_for_a_dataset_is_taken_everywhere(
    with_a_classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_a_classifier.parent)
    assert "small-cnn" in run("models list --dataset octmnist --db p.db").stdout
    run("report --table 24 --dataset octmnist --db p.db")
    assert run("attack --dataset octmnist --limit 1 --dry-run --db p.db").stdout.count("oct\n") == 1


def test_a_name_of_the_users_own_is_suggested_before_the_known_ones() -> None:
    assert "did you mean dermatology?" in unknown_dataset("dermatolog", ["dermatology"]).hint
    assert "did you mean derma?" in unknown_dataset("dermma", ["brain"]).hint
    assert "one of: brain" in unknown_dataset("xyz", ["brain"]).hint


def test_no_command_that_is_suggested_would_fail_for_want_of_an_option(
    with_a_classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download has no folder of images: the way to those is another command."""
    monkeypatch.chdir(with_a_classifier.parent)
    hint = json.loads(run("data fetch octt --json", code=2).stdout)["error"]["hint"]
    assert "did you mean oct?" in hint and "pixguard train --dataset octt --data-dir" in hint


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train --dataset octt", "did you mean oct?"),
        ("attack --dataset oct", "there is no database"),
        ("denoise apply --dataset oct", "there is no database"),
        ("detect train --dataset octt", "did you mean oct?"),
    ],
)
def test_mistakes_are_told_before_torch_is_loaded(command: str, told: str) -> None:
    code = (
        "import sys; from pixguard.cli.app import app\n"
        f"try: app({command.split()!r})\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told in done.stderr
    code_, loaded = done.stdout.split()
    assert (int(code_) > 0, loaded) == (True, "False")
