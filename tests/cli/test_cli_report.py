import csv
import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from pixguard.store import tables as t
from pixguard.store.engine import open_engine

DATASET = {
    "id": 1,
    "name": "oct",
    "source": "phantom",
    "size": 28,
    "version": "1",
    "split_scheme": "paper",
    "split_seed": 0,
    "manifest_sha256": "m",
    "task": "multi-class",
    "channels": 1,
    "licence": "",
    "citation": "",
}


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database with a dataset and no result."""
    path = str(tmp_path / "p.db")
    engine = open_engine(path, create=True)
    with engine.begin() as connection:
        connection.execute(insert(t.Dataset), DATASET)
    engine.dispose()
    return path


def pixguard(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import typer\n"
        "from pixguard.cli.common import PixguardGroup\n"
        "from pixguard.cli.report import report\n"
        "app = typer.Typer(cls=PixguardGroup)\n"
        "app.callback()(lambda: None)\n"
        "app.command()(report)\n"
        "app()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "report", *arguments], capture_output=True, text=True
    )


def test_tables_go_to_stdout_in_the_order_asked_for(database: str) -> None:
    done = pixguard("--table", "33,32", "--table", "12", "--paper", "--db", database)
    assert done.returncode == 0, done.stderr
    heads = [line.split(".")[0] for line in done.stdout.splitlines() if line.startswith("Table")]
    assert heads == ["Table 33", "Table 32", "Table 12"]
    assert "not run (6213)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_is_one_object_or_an_array(database: str) -> None:
    one = json.loads(pixguard("--table", "24", "--json", "--db", database).stdout)
    assert one["table"] == 24
    two = json.loads(pixguard("--table", "24,26", "--format", "json", "--db", database).stdout)
    assert [table["table"] for table in two] == [24, 26]


def test_the_list_and_a_file(database: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "list.csv"
    done = pixguard("--list", "--format", "csv", "--out", str(out), "--db", database)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "wrote" in done.stderr
    rows = list(csv.reader(io.StringIO(out.read_text())))
    assert len(rows) == 1 + 41 + 4


def test_sql_is_a_script(database: str) -> None:
    done = pixguard("--table", "32,24", "--sql", "--db", database)
    assert done.returncode == 0, done.stderr
    sqlite3.connect(database).executescript(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--table", "99"], 2, "table 99 is not in the paper"),
        (["--table", "7"], 2, "table 7 states facts"),
        (["--table", "x"], 2, "'x' is not the number of a table"),
        ([], 2, "no table was named"),
        (["--table", "32", "--dataset", "brain"], 2, "no classifier of a dataset named 'brain'"),
        (["--table", "32", "--model", "9"], 2, "no classifier with the id 9"),
    ],
)
def test_mistakes_have_a_hint_and_exit_code_2(
    database: str, arguments: list[str], code: int, message: str
) -> None:
    done = pixguard(*arguments, "--db", database)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr and "next: " in done.stderr
    as_json = pixguard(*arguments, "--db", database, "--json")
    assert as_json.returncode == code
    assert message in json.loads(as_json.stdout)["error"]["message"]


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    done = pixguard("--table", "32", "--db", str(tmp_path / "none.db"))
    assert done.returncode == 1
    assert "none.db" in done.stderr and "next: " in done.stderr
    assert not (tmp_path / "none.db").exists()
