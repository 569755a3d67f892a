"""One name for one thing in the options, the old ones beside it; what the shell completes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from pixguard.cli.app import app
from support import run, run_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TRAIN = "train --dataset oct --source phantom --images 100 --model small-cnn --epochs 1"
ATTACK = "attack --attack random --queries 20 --per-class 2"


def commands(node=None, path=()):
    """Yield every command, as ``("denoise train", command)``."""
    for name, child in (node or get_command(app)).commands.items():
        if hasattr(child, "commands"):
            yield from commands(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


COMMANDS = dict(commands())
FLAGS = {name: {f for p in c.params for f in p.opts} for name, c in COMMANDS.items()}


def test_a_configuration_file_sets_values_and_nothing_else() -> None:
    refused = {name: command.callback.typed_only for name, command in COMMANDS.items()}
    assert set().union(*refused.values()) == {
        *("db", "log_file", "out", "html", "folder"),  # where something is written
        *("others", "scheduler", "shard"),  # what comes from and goes to other machines
        *("builder", "arguments", "weights", "file", "trust"),  # what runs
        *("name", "words", "note"),  # what is called so
        *("model", "word", "source", "experiment", "pid", "sql"),  # typed by position
        *("what", "kind", "row"),
        *("compare", "detach", "yes"),  # of one call
    }
    assert all("db" in refused[name] for name in COMMANDS if "--db" in FLAGS[name])
    assert refused["attack"] == {"db", "log_file", "detach", "shard", "scheduler"}
    assert refused["train"] == {"db", "log_file", "name", "detach"}


@pytest.mark.parametrize("name", COMMANDS)
def test_one_thing_has_one_name_everywhere(name: str) -> None:
    flags = FLAGS[name]
    assert not flags & {"--output", "--to", "--batch"}
    assert {"--quiet", "--verbose", "--log-file", "-q", "-v"} <= flags
    shorts = {"--dataset": "-d", "--resume": "-r", "--out": "-o", "--pixels": "-p"}
    assert all((long in flags) == (short in flags) for long, short in shorts.items())


def test_every_letter_means_one_option() -> None:
    meant: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            for short in (f for f in parameter.opts if not f.startswith("--") and f[0] == "-"):
                meant.setdefault(short, set()).update(f for f in parameter.opts if f[:2] == "--")
    assert {short: len(longs) for short, longs in meant.items()} == dict.fromkeys(meant, 1)
    assert set(meant) >= {"-d", "-m", "-a", "-p", "-r", "-t", "-f", "-o", "-q", "-v"}


@pytest.fixture
def trained() -> None:
    run(TRAIN)


def test_commands_by_short_options_are_the_same(trained: None) -> None:
    short = run_json("attack -d oct -m small-cnn -a random -p 2 --queries 20 --limit 3 --dry-run")
    assert (short["attack"], short["pixels"], short["left"]) == ("random", 2, 3)


@pytest.mark.parametrize(
    "how", ["--batch 7", "--batch=7", "--batch-size 7", "a variable", "an old variable", "a file"]
)
def test_the_old_spelling_goes_on_working(
    trained: None, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = how if how.startswith("--") else ""
    if how.endswith("variable"):
        monkeypatch.setenv(f"PIXGUARD_ATTACK_BATCH{'' if 'old' in how else '_SIZE'}", "7")
    if how == "a file":
        Path("pixguard.toml").write_text("[attack]\nbatch = 7\n")
    told = run(f"{ATTACK} --dataset oct --evaluator dense {options}").stderr
    assert "7 candidates at a time" in told


def test_what_is_typed_wins_over_an_old_spelling_elsewhere(
    trained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pixguard.toml").write_text("[attack]\nbatch = 7\n")
    monkeypatch.setenv("PIXGUARD_ATTACK_BATCH", "6")
    typed = f"{ATTACK} --dataset oct --evaluator dense"
    assert "6 candidates at a time" in run(typed).stderr
    assert "5 candidates at a time" in run(f"{typed} --seed 1 --batch-size 5").stderr


def test_files_go_where_out_says_and_where_the_old_names_said(trained: None) -> None:
    for flag in ("--output", "--out"):
        run(f"data preview oct --source phantom --images 50 {flag} {flag[2:]}.png")
    assert Path("output.png").read_bytes() == Path("out.png").read_bytes()
    run("models export 1 --to old.safetensors")
    run("models export 1 --out new.safetensors")
    assert Path("old.safetensors").read_bytes() == Path("new.safetensors").read_bytes()
    described = json.loads(Path("new.safetensors.json").read_text())
    assert described["architecture"] == "small-cnn" and described["dataset"]["name"] == "oct"
    assert "location" not in described["dataset"], "nor whose computer it is from"
    run("db backup --to old.db")
    run("db backup -o new.db")
    assert Path("old.db").is_file() and Path("new.db").is_file()


@pytest.mark.parametrize(
    ("name", "start"), [("a.csv", "#"), ("a.json", "["), ("a.md", "**"), ("a.txt", "Table")]
)
def test_the_ending_of_out_decides_the_format(name: str, start: str) -> None:
    run(f"report --audit --out {name}")
    by_name = Path(name).read_text()
    run(f"report --audit --out other --format {name[2:] if name != 'a.txt' else 'table'}")
    assert by_name == Path("other").read_text()


def test_a_dataset_is_named_by_option_or_by_place() -> None:
    phantoms = "--source phantom --images 50"
    ways = [run_json(f"data info {way} {phantoms}") for way in ("--dataset oct", "-d oct", "oct")]
    assert ways[0] == ways[1] == ways[2]
    assert "--dataset is missing" in run("data info", code=2).stderr
    assert "two datasets were named" in run("data check oct --dataset derma", code=2).stderr


def completed(line: str, *, folder: Path | None = None) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    code = "import sys; sys.argv[0] = 'pixguard'; from pixguard.cli.app import app; app()"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "_PIXGUARD_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_what_the_database_holds_first(trained: None) -> None:
    datasets = completed("pixguard attack --dataset ")
    assert datasets[0] == "oct" and "derma" in datasets and len(datasets) == len(set(datasets))
    assert completed("pixguard attack --dataset de") == ["derma"]
    assert completed("pixguard data info de") == ["derma"]
    assert completed("pixguard attack --dataset oct --model ") == ["latest", "1", "small-cnn"]
    assert completed("pixguard attack --dataset derma --model ") == []
    assert completed("pixguard models show s") == ["small-cnn"]
    assert completed("pixguard denoise apply --denoiser ") == []
    assert "derma" in completed("pixguard attack --db none.db --dataset ")
    assert not Path("none.db").exists()


def test_the_shell_completes_tables_figures_and_what_registries_hold() -> None:
    assert completed("pixguard report --table tr") == ["truth"]
    assert completed("pixguard report --table 24,tr") == ["24,truth"]
    assert "9" in completed("pixguard report --figure ")
    assert completed("pixguard attack --attack sparse-r") == ["sparse-rs"]


def test_what_is_there_already_is_told_and_not_done_again() -> None:
    first = run_json(f"{TRAIN} --resume")
    assert first["already_trained"] is False
    again = run(TRAIN, code=2).stderr
    assert "this training is finished: it made classifier 1" in again
    assert "--resume to keep it, or --fresh-seed" in again
    assert run_json(f"{TRAIN} --resume")["already_trained"] is True
    planned = run_json(f"{ATTACK} --dataset oct --resume")["planned"]
    told = run(f"{ATTACK} --dataset oct", code=2).stderr
    assert f"all {planned} attempts of this plan are in pixguard.db" in told
    assert "--resume to see" in told
    assert run_json(f"{ATTACK} --dataset oct --resume")["made"] == 0
    error = json.loads(run(f"{ATTACK} --dataset oct --json", code=2).stdout)["error"]
    assert error["kind"] == "usage"
