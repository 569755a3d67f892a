"""``pixguard.db.example``: a small real run that opens, upgrades and answers."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app

EXAMPLE = Path(__file__).resolve().parent.parent / "pixguard.db.example"
PAPER = ("derma", "pathology", "oct", "chest")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.fixture
def copy(tmp_path: Path) -> str:
    return str(shutil.copy(EXAMPLE, tmp_path / "example.db"))


def test_it_is_sound_and_of_this_schema(copy: str) -> None:
    run("db", "upgrade", "--db", copy)
    assert "is sound" in run("db", "check", "--db", copy)


def test_it_says_what_it_is_and_holds_no_path(copy: str) -> None:
    database = sqlite3.connect(copy)
    datasets = database.execute("SELECT name, source, location FROM dataset").fetchall()
    assert {name for name, _, _ in datasets} == {*PAPER, "pneumoniamnist"}
    assert all(source != "phantom" for _, source, _ in datasets)
    assert all(location.startswith("$PIXGUARD_REAL_DATA/") for _, _, location in datasets)
    commands = [row[0] for row in database.execute("SELECT command FROM run")]
    assert commands and all(" /" not in command for command in commands)


@pytest.mark.parametrize("table", [12, 32, 33])
def test_overviews_show_the_papers_sets_and_another_as_a_further_row(table: int) -> None:
    text = run("report", "--db", str(EXAMPLE), "--table", str(table))
    before, after = text.split("not in the paper:")
    assert "not run" not in before
    assert all(name in before.casefold() for name in PAPER)
    assert "pneumoniamnist" in after


@pytest.mark.parametrize("table", [17, 18, 19, 20])
def test_tables_of_one_dataset(table: int) -> None:
    options = ["--table", str(table), "--dataset", "pneumoniamnist", "--db", str(EXAMPLE)]
    rendered = json.loads(run("report", *options, "--json"))
    text = json.dumps(rendered)
    assert "pneumoniamnist" in text
    assert ("identity" in text) == (table in (18, 20))


def test_counts_agree_with_the_rows_themselves(copy: str) -> None:
    """Table 33's count of successes, against a query written here."""
    database = sqlite3.connect(copy)
    (expected,) = database.execute(
        "SELECT SUM(success) FROM attempt a JOIN attack k ON k.id = a.attack_id "
        "JOIN image i ON i.id = a.image_id JOIN dataset d ON d.id = i.dataset_id "
        "WHERE k.pixels = 2 AND d.name = 'pneumoniamnist'"
    ).fetchone()
    lines = run("report", "--db", copy, "--table", "33", "--format", "csv").splitlines()
    (row,) = [line for line in lines if ",pneumoniamnist," in line]
    assert str(expected) in row.split(",")
    assert expected > 0
