"""Values, places and names at the edge of what a command line can be given."""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.config import AttackSettings
from pixguard.config.settings import LARGEST, SettingError
from pixguard.errors import UsageError
from pixguard.store.location import locate
from pixguard.words import command_line, printable, shell_word
from support import pixguard_command, run

HUGE = 2**70
TRAIN = "train --dataset oct --source phantom --images 100 --model small-cnn --epochs 1"
ATTACK = "attack --dataset oct --limit 1 --generations 2 --population 10"
NOT_UTF8 = os.fsdecode(b"caf\xe9")
ODD = ["it's a b?", "x#y 50%41", NOT_UTF8, "-x", "ü→💊" + "n" * 190]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database ``p.db`` that holds a classifier."""
    path = tmp_path_factory.mktemp("edges")
    run(f"{TRAIN} --db {path / 'p.db'}")
    return path


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        f"{ATTACK} --seed {HUGE} --db p.db",
        f"attack --dataset oct --limit {HUGE} --dry-run --db p.db",
        f"attack --dataset oct --repeats {HUGE} --dry-run --db p.db",
        f"{TRAIN} --seed {HUGE} --db new.db",
        f"train --dataset oct --source phantom --images {HUGE} --db new.db",
        f"train --dataset oct --source phantom --epochs {HUGE} --db new.db",
    ],
)
def test_an_integer_that_no_database_holds_is_refused_at_once(here: Path, command: str) -> None:
    told = run(command, code=2).stderr
    assert (str(HUGE) in told and "at most" in told) or "from 50 to" in told


def test_the_largest_seed_is_taken(here: Path) -> None:
    run(f"{ATTACK} --seed {LARGEST} --db p.db")
    with pytest.raises(SettingError, match="seed must be at most"):
        AttackSettings(seed=LARGEST + 1)


@pytest.mark.parametrize("place", ["/", ".", ".."])
@pytest.mark.parametrize("command", ["report --audit --out", "report --audit --to"])
def test_a_file_cannot_be_written_over_a_folder(here: Path, command: str, place: str) -> None:
    told = run(f"{command} {place}", code=1).stderr
    assert "is a folder" in told and "name a file in it" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report", "--audit", "--to", ""], "is a folder"),
        (["db", "backup", "--db", "p.db", "--out", ""], "is a folder"),
        (["db", "info", "--db", ""], "no name"),
        (["--config", "/proc/self/mem", "db", "info"], "/proc/self/mem"),
        (["--config", "/", "db", "info"], "/"),
        (["db", "info", "--db", "~nobody-of-that-name/p.db"], "no place"),
        (["db", "info", "--db", "n" * 5000], "name a shorter place"),
        (["--config", "n" * 5000, "db", "info"], "name a shorter place"),
        (["report", "--html", "n" * 5000, "--db", "p.db"], "name a shorter place"),
        (["db", "info", "--db", "p.db", "--log-file", "n" * 5000], "name a shorter place"),
        (["report", "--audit", "--out", "n" * 5000], "name a shorter place"),
    ],
)
def test_a_place_that_is_none_is_told(here: Path, arguments: list[str], told: str) -> None:
    done = subprocess.run([*pixguard_command(), *arguments], capture_output=True, text=True)
    assert done.returncode in (1, 2) and told in done.stderr
    assert "Error" not in done.stderr


def test_no_hint_says_to_remove_what_a_backup_would_overwrite(here: Path) -> None:
    (here / "kept.db").write_text("mine")
    for place in ("/", "kept.db"):
        assert "remove" not in run(f"db backup --db p.db --out {place}", code=1).stderr


@pytest.mark.parametrize("name", ODD)
def test_a_database_may_have_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = f"{name}.db"

    def pixguard(words: str, *more: str) -> subprocess.CompletedProcess[bytes]:
        line = [*pixguard_command(), *words.split(), f"--db={path}", *more]
        strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
        return subprocess.run(line, capture_output=True, check=True, env=strict)

    pixguard(TRAIN, "--log-file", f"{name}.log")
    pixguard(ATTACK)
    assert b"1" in pixguard("db info --json").stdout
    assert b"sound" in pixguard("db check").stdout
    pixguard("db backup", f"--out={name}-copy.db")
    with sqlite3.connect(os.fsencode(path)) as database:
        (attempts,) = database.execute("SELECT COUNT(*) FROM attempt").fetchone()
        commands = [row[0] for row in database.execute("SELECT command FROM run")]
    assert attempts == 1
    # What is stored is what bash takes: it gives the name back.
    echoed = subprocess.run(["bash", "-c", f"printf '%s\\n' {commands[-1]}"], capture_output=True)
    assert os.fsencode(f"--db={path}") in echoed.stdout.splitlines()


def test_a_link_to_itself_is_told(here: Path) -> None:
    (here / "loop.db").symlink_to("loop.db")
    assert "loop.db" in run("db info --db loop.db", code=2).stderr


def test_a_database_behind_a_link_is_the_one_that_the_link_names(here: Path) -> None:
    (here / "linked.db").symlink_to("p.db")
    assert locate("linked.db").path == locate("p.db").path
    run(f"{ATTACK} --db linked.db --seed 5")


@pytest.mark.parametrize("words", ["db info --db p.db", "data list", "report --audit"])
def test_a_home_is_not_needed(here: Path, words: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "HOME"}
    for more in ({}, {"HOME": "/nonexistent"}):
        line = [*pixguard_command(), *words.split()]
        subprocess.run(line, env=environment | more, check=True, capture_output=True)


def test_what_is_written_under_a_strict_umask_is_for_its_owner_alone(tmp_path: Path) -> None:
    subprocess.run(
        ["bash", "-c", 'umask 077; "$@"', "-", *pixguard_command(), *TRAIN.split(), "--db", "p.db"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    found = list(tmp_path.rglob("*"))
    assert any(path.suffix == ".safetensors" for path in found)
    assert [path for path in found if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("value", ["5", '"x"', "[]", "true"])
def test_an_option_above_every_table_of_the_file_is_told(here: Path, value: str) -> None:
    (here / "wrong.toml").write_text(f"attack = {value}\n")
    told = run("--config wrong.toml db info --db p.db", code=2).stderr
    assert "wrong.toml has attack = " in told and "[attack]" in told


@pytest.mark.parametrize(
    "value", ["true", "[false]", '"x"', "[1]", "1.5", "1979-05-27", "{a=1}", "nan", "-1"]
)
def test_a_value_of_a_wrong_type_in_the_file_is_told(here: Path, value: str) -> None:
    (here / "wrong.toml").write_text(f"[attack]\npixels = {value}\n")
    told = run(f"--config wrong.toml {ATTACK} --db p.db", code=2).stderr
    assert "--pixels (as the configuration file gives it for pixguard attack)" in told


def test_true_and_false_are_no_words_or_numbers(here: Path) -> None:
    for value in ("model = true", "learning-rate = true"):
        (here / "wrong.toml").write_text(f"[train]\n{value}\n")
        told = run("--config wrong.toml train --dataset oct --db p.db", code=2).stderr
        assert "not true or false" in told and "mend wrong.toml" in told
    (here / "right.toml").write_text("[train]\nresume = true\n")
    assert "no option" not in run("--config right.toml train --help").output


@pytest.mark.parametrize("command", [f"{ATTACK} --dry-run", "train --dataset oct"])
def test_data_lie_in_a_folder(
    folder: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.db").write_bytes((folder / "p.db").read_bytes())
    monkeypatch.setenv("PIXGUARD_DATA", "/dev/null")
    monkeypatch.chdir(tmp_path)
    told = run(f"{command} --db p.db", code=2).stderr
    assert "/dev/null is no folder" in told and "set PIXGUARD_DATA" in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\x9bb", r"a\x9bb"),
        ("gpj\u202egnp.exe", r"gpj\u202egnp.exe"),
        ("two\nlines\tü\u00a0💊", "two\nlines\tü\u00a0💊"),
        (NOT_UTF8, r"caf\udce9"),
    ],
    ids=ascii,
)
def test_what_drives_a_terminal_is_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("word", [*ODD, "\x1b[31m", "a'\\b\x01", "$(rm x)", "", "\u202e"])
def test_a_shell_gives_a_quoted_word_back(word: str) -> None:
    line = f"printf %s {shell_word(word)}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert os.fsdecode(done.stdout) == word


def test_no_name_from_a_database_drives_the_terminal(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.db"
    path.write_bytes((folder / "p.db").read_bytes())
    evil = "oct\x1b]0;owned\x07\x9b2J\u202e\U000e0041"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE dataset SET name = ?", (evil,))
        database.execute("UPDATE dataset_class SET name = name || ?", (evil,))
        database.execute("UPDATE model SET architecture = ?", (evil,))
        database.execute("UPDATE run SET command = ?, error = ?", (evil, evil))
    for words in (
        "db info",
        "db check",
        "models list",
        "models show 1",
        "report --list",
        "report --all",
        "report --all --format md",
        "report --all --format csv",
        "report --all --format latex",
        "report --all --format json",
        "report --all --sql",
        "models list --json",
    ):
        told = run(f"{words} --db {path}").output
        assert not set(evil) - set("oct]0;wned2J") & set(told), words
        if words.endswith("json"):
            assert r"\u009b2J\u202e\udb40\udc41" in told, words
    assert "\x1b" not in run(f"attack --dataset octt --db {path}", code=2).output


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("postgresql://ann:secret@host/db", "'postgresql://ann:***@host/db'"),
        ("postgresql+psycopg://ann:s:e/c?@h:5/d", "'postgresql+psycopg://ann:***@h:5/d'"),
        ("postgresql://host/db?user=a&password=s&x=1", "'postgresql://host/db?user=a&password=***&x=1'"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("sqlite:///a:b.db", "sqlite:///a:b.db"),
    ],
)  # fmt: skip
def test_no_password_is_stored(typed: str, kept: str) -> None:
    assert command_line(["pixguard", "--db", typed]) == f"pixguard --db {kept}"


def test_no_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "attack --dataset oct --db nosuch://ann:secret@host/db"
    monkeypatch.setattr(sys, "argv", ["pixguard", *line.split()])
    told = run(line, code=2).output
    assert "ann" in told and "secret" not in told


@pytest.mark.parametrize("command", ["db check --db {}", "db merge {} --db p.db", "status --db {}"])
@pytest.mark.parametrize("kind", ["text", "other", "empty"])
def test_what_is_no_database_of_ours_is_not_what_is_proposed(
    here: Path, command: str, kind: str
) -> None:
    (here / "text").write_text("no database at all, in more than sixteen bytes")
    for name, statement in (("other", "CREATE TABLE IF NOT EXISTS x (y)"), ("empty", "VACUUM")):
        with sqlite3.connect(here / name) as made:
            made.execute(statement)
    told = run(command.format(kind), code=4 if kind == "other" else 1).stderr
    assert f"--db {'empty' if kind == 'empty' else 'NEW.db'}`" in told
    assert "--db p.db" not in told and "--db text" not in told and "--db other" not in told


def test_a_blank_name_of_a_database_is_refused() -> None:
    with pytest.raises(UsageError, match="no name"):
        locate("  ")


@pytest.mark.parametrize("place", ["nowhere/copy.db", "/proc/copy.db", "/dev/null/copy.db"])
def test_a_backup_that_cannot_be_written_blames_its_own_place(here: Path, place: str) -> None:
    told = run(f"db backup --db p.db --out {place}", code=1).stderr
    assert f"cannot write {place}" in told and "--out" in told
    assert str(here) not in told and "p.db" not in told


def test_commands_in_tables_work_on_the_database_that_they_are_of(here: Path) -> None:
    (here / "my lab.db").write_bytes((here / "p.db").read_bytes())
    shown = CliRunner().invoke(app, ["report", "--all", "--format", "json", "--db", "my lab.db"])
    kinds = "train|attack|denoise|detect|certify|score"
    commands = re.findall(rf"pixguard (?:{kinds}) [^;\"`]*", shown.stdout)
    assert len(commands) > 20
    assert [c for c in commands if "--db 'my lab.db'" not in c] == []


def test_no_database_is_named_where_it_is_the_usual_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXGUARD_DB", "p.db")
    assert "--db" not in run("report --all").stdout


def test_a_finished_plan_has_nothing_to_go_on_with(here: Path) -> None:
    run(f"{ATTACK} --seed 8 --db p.db")
    told = run(f"{ATTACK} --seed 8 --db p.db", code=2).stderr
    assert "all 1 attempts of this plan" in told and "what is missing" not in told
    assert "--resume to see" in told and "--fresh-seed" in told
