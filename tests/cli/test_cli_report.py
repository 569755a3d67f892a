import csv
import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from pixguard.reports.figures.specs import figure_specs
from pixguard.reports.formats import ENDINGS
from pixguard.reports.specs import table_specs
from pixguard.store import tables as t
from pixguard.store.engine import open_engine
from support import run, run_json

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

A_TRAINING = """
INSERT INTO environment (id, fingerprint, pixguard_version, python_version, torch_version, cpu,
    cpu_threads, memory_mib, packages) VALUES (1, 'f', '0', '3', '2', 'a cpu', 1, 1, '{}');
INSERT INTO run (id, uuid, command, config, config_hash, seed, environment_id, host, pid, status,
    started_ms, heartbeat_ms) VALUES (1, 'u', 'c', '{}', 'h', 0, 1, 'h', 1, 'finished', 0, 0);
INSERT INTO model (id, kind, architecture, dataset_id, weights_file, weights_sha256, run_id,
    parameters, hyperparameters, trainable_parameters, frozen_parameters, training_seconds, epochs,
    created_ms)
    VALUES (1, 'classifier', 'resnet50', 1, 'w', 's', 1, '{}', '{}', 1, 0, 125.0, 3, 0);
"""

AN_ATTACK = """
INSERT INTO attack (id, name, version, pixels, parameters, parameters_hash)
    VALUES ({number}, '{name}', 1, 1, '{{}}', '{name}')
"""
AN_IMAGE = """
INSERT INTO image (id, dataset_id, split, dataset_index, sha256, height, width, label_set)
    VALUES (1, 1, 'test', 0, 's', 28, 28, '0')
"""
AN_ATTEMPT = """
INSERT INTO attempt (id, attempt_key, attack_id, model_id, image_id, run_id, repeat, seed, success,
    predicted_before, predicted_after, confidence_before, confidence_after, true_confidence_after,
    queries, generations, elapsed_ms, evaluator, precision)
    VALUES ({number}, 'key {number}', {number}, 1, 1, 1, 0, 0, 1, '0', '1', 0.9, 0.6, 0.4, 5, 0,
    1.0, 'dense', 'float32')
"""


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


def test_json_has_one_shape_for_one_table_and_for_several(database: str) -> None:
    one = json.loads(pixguard("--table", "24", "--json", "--db", database).stdout)
    assert [table["name"] for table in one["tables"]] == [24]
    two = json.loads(pixguard("--table", "24,26", "--format", "json", "--db", database).stdout)
    assert [table["name"] for table in two["tables"]] == [24, 26]
    assert two["tables"][0] == one["tables"][0]


def test_the_list_and_a_file(database: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "list.csv"
    done = pixguard("--list", "--format", "csv", "--out", str(out), "--db", database)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "wrote" in done.stderr
    tables, figures = out.read_text().split("\n\n")
    assert len(list(csv.reader(io.StringIO(tables)))) == 1 + len(table_specs())
    listed = list(csv.reader(io.StringIO(figures)))
    assert len(listed) == 1 + len(figure_specs()) and listed[1][2] == "9"


def test_sql_is_a_script(database: str) -> None:
    done = pixguard("--table", "32,24", "--sql", "--db", database)
    assert done.returncode == 0, done.stderr
    sqlite3.connect(database).executescript(done.stdout)


def test_all_tables_go_to_one_stream_in_short(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXGUARD_DB", database)  # no command names it then, and all fits
    text = run("report --all").stdout
    assert text.startswith("Table 1. Overview of the Autoencoder")
    assert "7009" in text and "8163" in text
    # Tables 1 and 2 need no data; every other one stands in one short table at the end.
    _, missing = text.split("Tables Without Data\n")
    numbers = [line.split()[0] for line in missing.splitlines() if line[:12].strip().isdecimal()]
    assert numbers == [str(n) for n in range(3, 52)]
    assert max(map(len, text.splitlines())) <= 80


def test_a_file_of_no_known_ending_is_refused_unless_its_format_is_said(
    database: str, tmp_path: Path
) -> None:
    out = tmp_path / "x.xyz"
    for what in ("--list", "--all", "--table 1"):
        told = run(f"report {what} --out {out} --db {database}", code=2).stderr
        assert "written as '.xyz'" in told and ".txt, .md, .csv, .json, .tex, .html" in told
    assert not out.exists()
    run(f"report --list --out {out} --format md --db {database}")
    run(f"report --table 1 --out {tmp_path / 'x.sql'} --sql --db {database}")
    run(f"report --table 1 --out {tmp_path / 'X.TXT'} --db {database}")
    run(f"report --table 1 --out {tmp_path / 'text'} --db {database}")
    assert (tmp_path / "text").read_text() == (tmp_path / "X.TXT").read_text()
    assert {p.name for p in tmp_path.iterdir()} >= {"x.xyz", "x.sql", "X.TXT", "text"}


def test_all_tables_go_to_a_folder_or_a_file(database: str, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    done = run(f"report --all --format csv --out {out} --db {database}")
    assert done.stdout == "" and f"wrote {len(table_specs())} tables to {out}" in done.stderr
    assert {path.name for path in out.iterdir()} == {f"table-{n}.csv" for n in table_specs()}
    assert "2312" in (out / f"table-1.{ENDINGS['csv']}").read_text()
    run(f"report --all --json --out {tmp_path / 'all.json'} --db {database}")
    found = json.loads((tmp_path / "all.json").read_text())
    assert [table["name"] for table in found["tables"]] == [1, 2, "missing"]


def test_the_sql_of_all_tables_is_a_script(database: str) -> None:
    text = run(f"report --all --sql --db {database}").stdout
    sqlite3.connect(database).executescript(text)


def test_the_list_needs_no_database(tmp_path: Path) -> None:
    tables, figures = run_json(f"report --list --db {tmp_path / 'no.db'}")["tables"]
    assert [row["number"] for row in tables["rows"]] == list(table_specs())
    assert [row["figure"] for row in figures["rows"]] == list(figure_specs())
    assert "no database" in tables["notes"][0] and not (tmp_path / "no.db").exists()
    run(f"report --list --table 12 --db {tmp_path / 'no.db'}", code=1)


def test_the_list_of_one_dataset(database: str) -> None:
    tables, _ = run_json(f"report --list --dataset oct --db {database}")["tables"]
    assert tables["title"] == "Tables of oct"
    assert {row["number"] for row in tables["rows"]} >= {12, 24, "success"}
    run(f"report --list --dataset octopuss --db {database}", code=2)


def test_the_audit_needs_no_database(tmp_path: Path) -> None:
    audit = run_json(f"report --audit --db {tmp_path / 'no.db'}")
    findings, summary = audit["tables"]
    assert len(findings["rows"]) > 50 and len(summary["rows"]) > 15
    text = run(f"report --audit --db {tmp_path / 'no.db'}").stdout
    assert "387 of 500" in text and max(map(len, text.splitlines())) <= 80
    assert not (tmp_path / "no.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--table", "99"], 2, "table 99 is not in the paper"),
        (["--table", "x"], 2, "there is no table 'x'"),
        ([], 2, "no table was named"),
        (["--table", ""], 2, "--table '' names none"),
        (["--table", " , "], 2, "--table ' , ' names none"),
        (["--figure", ""], 2, "--figure '' names none"),
        (["--table", "32", "--dataset", "brain"], 2, "there is no dataset 'brain'"),
        (["--table", "32", "--model", "9"], 2, "no classifier with the id 9"),
        (["--figure", "3"], 2, "figure 3 is a schematic"),
        (["--figure", "99"], 2, "figure 99 is not in the paper"),
        (["--figure", "heat"], 2, "there is no figure 'heat'"),
        (["--figure", "25", "--table", "32"], 2, "tables and figures were asked for at once"),
        (["--figure", "25,26", "--out", "one.png"], 2, "2 figures were asked for"),
        (["--figure", "25", "--out", "one.gif"], 2, "cannot be written as '.gif'"),
        (["--figure", "25", "--dataset", "brain"], 2, "there is no dataset 'brain'"),
        (["--figure", "9"], 1, "figure 9: not run"),
        (["--figure", "9", "--sql"], 2, "figure 9 is made from images"),
        (["--figure", "25"], 1, "figure 25: not run"),
        (["--figure", "success"], 1, "figure 'success': not run"),
    ],
)
def test_mistakes_have_a_hint_and_an_exit_code(
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


def test_figures_that_can_be_drawn_are_and_the_others_are_told(
    database: str, tmp_path: Path
) -> None:
    with sqlite3.connect(database) as connection:
        connection.executescript(A_TRAINING)
    out = tmp_path / "figures"
    done = pixguard("--figure", "25,26", "--out", str(out), "--db", database)
    assert done.returncode == 1
    assert sorted(path.name for path in out.iterdir()) == [
        "figure-25.pdf",
        "figure-25.png",
        "figure-25.svg",
    ]
    assert done.stdout.startswith("Figure 25. Training Times of Classification Models\n")
    assert "figure 26: not run" in done.stderr and "next: pixguard denoise train" in done.stderr
    assert f"wrote {out / 'figure-25.svg'}" in done.stderr
    svg = tmp_path / "one.svg"
    one = pixguard("--figure", "25", "--out", str(svg), "--json", "--db", database)
    (result,) = json.loads(one.stdout)["figures"]
    assert (result["figure"], result["files"]) == (25, [str(svg)])
    assert result["caption"] == ["oct (phantom 28, phantom data): resnet50 #1"]
    assert svg.read_bytes() == (out / "figure-25.svg").read_bytes()
    sql = pixguard("--figure", "25", "--sql", "--db", database)
    sqlite3.connect(database).executescript(sql.stdout)
    assert "m.kind = 'classifier'" in sql.stdout


def test_attempts_are_selected_and_classifiers_named(database: str) -> None:
    pixguard_help = " ".join(pixguard("--help").stdout.split())
    assert all(f"--{name}" in pixguard_help for name in ("attack", "seed", "pixels"))
    done = pixguard("--table", "cost", "--attack", "cornr", "--db", database)
    assert done.returncode == 2 and "did you mean corner" in done.stderr
    done = pixguard("--table", "6", "--seed", "1", "--db", database)
    assert done.returncode == 2 and "not made of attempts" in done.stderr
    done = pixguard("--list", "--seed", "1", "--db", database)
    assert done.returncode == 2 and "--table, --figure or --all" in done.stderr
    done = pixguard("--table", "24", "--model", "1,4", "--db", database)
    assert done.returncode == 2 and "1" in done.stderr
    done = pixguard("--figure", "success", "--model", "1,4", "--db", database)
    assert done.returncode == 2 and "about one classifier" in done.stderr


def test_a_selection_reaches_the_files(tmp_path: Path) -> None:
    path = str(tmp_path / "small.db")
    engine = open_engine(path, create=True)
    with engine.begin() as connection:
        connection.execute(insert(t.Dataset), DATASET)
        for statement in filter(str.strip, A_TRAINING.split(";")):
            connection.exec_driver_sql(statement)
        for number, name in enumerate(("differential-evolution", "corner"), 1):
            connection.exec_driver_sql(AN_ATTACK.format(number=number, name=name))
        connection.exec_driver_sql(AN_IMAGE)
        for number in (1, 2):
            connection.exec_driver_sql(AN_ATTEMPT.format(number=number))
    engine.dispose()
    done = pixguard("--table", "cost", "--attack", "corner", "--json", "--db", path)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["tables"]
    assert found["selection"] == {"attack": ["corner"]}
    assert [row["attack"] for row in found["rows"]] == ["corner"]
    sql = pixguard("--table", "cost", "--attack", "corner", "--sql", "--db", path).stdout
    assert [row[0] for row in sqlite3.connect(path).execute(sql.rstrip().rstrip(";"))] == ["corner"]
    out = tmp_path / "tables"
    done = pixguard("--all", "--pixels", "2", "--format", "csv", "--out", str(out), "--db", path)
    assert done.returncode == 2 and "selected by 2 pixels" in done.stderr
    done = pixguard("--all", "--pixels", "1", "--format", "csv", "--out", str(out), "--db", path)
    assert done.returncode == 0, done.stderr
    written = {file.stem.removeprefix("table-") for file in out.iterdir()}
    assert {"24", "cost"} <= written and not {"6", "26", "certified"} & written
