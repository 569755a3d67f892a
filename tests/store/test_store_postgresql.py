"""What is otherwise on a server: schema, locks, many writers, faults of connections, passwords."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, inspect, text

import postgresql
from pixguard.errors import DatabaseBusyError, PixguardError, SchemaMismatchError, UsageError
from pixguard.store import leftovers, maintenance, outcomes, reader, schema
from pixguard.store.asking import ask
from pixguard.store.engine import is_there, open_engine, reading
from pixguard.store.location import files_folder, locate
from pixguard.store.tables import Base
from pixguard.store.writer import Writer
from store.store_samples import ENVIRONMENT, Filled, attempt, image
from support import run

FROZEN = Path(__file__).parent / "frozen"
PASSWORD = postgresql.PASSWORD


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database of the server; its files lie in the working folder, which is its own."""
    monkeypatch.chdir(tmp_path)
    return postgresql.server().url("u" + re.sub(r"\W", "", str(tmp_path))[-40:])


@pytest.fixture
def plain(url: str) -> Iterator[Engine]:
    """The same, for SQL that is not pixguard's."""
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()


def writer(url: str, command_line: str = "pixguard test") -> Writer:
    return Writer(url, command=command_line, config={}, seed=7, environment=ENVIRONMENT)


def test_a_new_database_has_the_declared_schema_in_the_order_of_bytes(
    url: str, plain: Engine
) -> None:
    assert not is_there(url)
    with pytest.raises(PixguardError, match="is empty"):
        open_engine(url)
    open_engine(url, create=True).dispose()
    assert is_there(url)
    with plain.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        unsorted = """SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS NULL"""
        assert connection.execute(text(unsorted)).all() == []
        assert connection.scalar(text("SELECT 'a' < 'B'"))  # the server's own order is another


@pytest.mark.parametrize("revision", ["0001", "0006"])
def test_an_old_schema_is_upgraded_as_on_sqlite(
    url: str, plain: Engine, tmp_path: Path, revision: str
) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.executescript((FROZEN / f"{revision}.sql").read_text())
        inserts = [line for line in old.iterdump() if line.startswith("INSERT")]
    with plain.begin() as connection:
        command.upgrade(schema.alembic_config(connection), revision)
        connection.exec_driver_sql("SET session_replication_role = replica")  # in any order
        for insert in inserts:
            if "alembic_version" not in insert:
                connection.execute(text(insert.replace(":", r"\:")))
    with pytest.raises(SchemaMismatchError) as caught:
        open_engine(url)
    assert "pg_dump" in caught.value.hint and PASSWORD not in caught.value.hint
    assert maintenance.upgrade(url).before == revision
    maintenance.upgrade(str(path))
    now = re.compile(r"created_ms|finished_ms")
    with plain.connect() as server, sqlite3.connect(path) as file:
        for table in Base.metadata.sorted_tables:
            names = ", ".join(f'"{c.name}"' for c in table.columns if not now.fullmatch(c.name))
            query = f"SELECT {names} FROM {table.name} ORDER BY id"
            assert list(map(tuple, server.execute(text(query)))) == file.execute(query).fetchall()


def test_a_run_is_seen_at_work_and_seen_killed(url: str) -> None:
    code = f"""
import sys
from store.test_store_postgresql import writer
with writer({url!r}, "pixguard attack --there") as one:
    print("writing", flush=True)
    sys.stdin.read()
"""
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes)
    try:
        assert child.stdout.readline() == b"writing\n"
        with writer(url, "pixguard attack --here"):  # a second one may write too
            summary = maintenance.info(url)
            assert summary.being_written and summary.size_bytes > 100_000
            assert [one.status for one in summary.runs] == ["running", "running"]
            with pytest.raises(DatabaseBusyError, match=f"process {child.pid} on .*--there"):
                maintenance.upgrade(url)
    finally:
        child.kill()
        child.communicate()
    summary = maintenance.info(url)
    assert [one.status for one in summary.runs] == ["finished", "killed"]
    assert not summary.being_written and maintenance.upgrade(url).backup is None


def test_many_writers_register_everything_once(url: str) -> None:
    open_engine(url, create=True).dispose()

    def write(number: int) -> Filled:
        with writer(url) as one:
            database = Filled(url, one)
            ids = one.images(database.dataset_id, [image(i) for i in range(300)])
            database.images = ids
            for index in range(150):
                database.attempt(one, attempt(f"key-{(index + number * 50) % 300}", index))
            return database

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(write, range(4)))
    assert all(vars(one) == vars(found[0]) for one in found)
    engine = open_engine(url)
    assert len(reader.datasets(engine)) == 1 and len(reader.models(engine)) == 2
    made = outcomes.successes(engine, found[0].model_id)
    assert {one.attempt_key for one in made} == {f"key-{n}" for n in range(300)}
    assert all(len(one.pixels) == 2 for one in made) and len(made) == 300
    engine.dispose()
    assert maintenance.check(url) == []


def test_a_server_that_is_started_anew_loses_nothing(url: str) -> None:
    server = postgresql.server()
    with pytest.raises(PixguardError, match="cannot be reached, or the connection was lost") as e:
        with writer(url) as one:
            database = Filled(url, one)
            database.attempt(one, attempt("first", 0))
            server.stop()
            server.start()
            one.flush()
            database.attempt(one, attempt("second", 1))
            server.stop()
            one.flush()
    server.start()
    assert "`resume=True`" in e.value.hint and PASSWORD not in str(e.value) + e.value.hint
    engine = open_engine(url)
    keys = reader.attempt_outcomes(engine, database.model_id, database.dataset_id)
    engine.dispose()
    assert set(keys) == {"first"}
    assert maintenance.info(url).runs[0].status == "killed"


def test_who_only_reads_can_change_nothing(url: str) -> None:
    open_engine(url, create=True).dispose()
    engine = open_engine(url)
    with pytest.raises(PixguardError, match="cannot be written"), engine.begin() as connection:
        connection.execute(text("DELETE FROM pixel"))
    engine.dispose()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM run",
        "UPDATE run SET status = 'x' RETURNING id",
        "CREATE TABLE x(y int)",
        "SELECT 1; DELETE FROM run",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "SELECT nothing FROM nowhere",
        "",
    ],
)
def test_a_query_of_the_user_s_can_only_read(url: str, plain: Engine, sql: str) -> None:
    with writer(url):
        pass
    with reading(url) as engine:
        assert ask(engine, "SELECT status, '100 %' AS \"n %\" FROM run") == (
            ["status", "n %"],
            [("finished", "100 %")],
        )
        with pytest.raises(UsageError, match="quer"):
            ask(engine, sql)
    with plain.connect() as connection:
        assert connection.execute(text("SELECT status FROM run")).all() == [("finished",)]


def test_a_transaction_that_does_not_end_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixguard.store.engine.BUSY_TIMEOUT_MS", 50)
    with writer(url) as one, one.engine.begin():
        with pytest.raises(DatabaseBusyError, match="is locked"), writer(url):
            pass


def test_what_only_files_have_names_the_server_s_own_tool(url: str) -> None:
    for job in (maintenance.vacuum, maintenance.backup, lambda url: leftovers.clean(url, [])):
        with pytest.raises(UsageError, match="on a server") as caught:
            job(url)
        assert "pg_dump -Fc" in caught.value.hint
        assert PASSWORD not in caught.value.hint
    assert leftovers.find(url) is None
    assert files_folder("postgresql://host/results") == Path("results-files")


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"password": "wrong"}, "does not let you in", "~/.pgpass"),
        ({"password": None}, "does not let you in", "~/.pgpass"),
        ({"database": "nothing"}, 'database "nothing" does not exist', "createdb nothing"),
        ({"query": {"host": "/nowhere"}}, "cannot be reached", "pg_isready"),
        ({"drivername": "postgresql+asyncpg"}, "driver", "postgresql+psycopg://"),
        ({"drivername": "mysql"}, "neither SQLite nor PostgreSQL", "postgresql+psycopg://"),
        ({"database": ""}, "names no database", "/pixguard"),
    ],
)
def test_a_url_that_leads_nowhere_says_what_to_do(
    url: str, change: dict[str, str], message: str, hint: str
) -> None:
    wrong = locate(url).url.set(**change)
    if change == {"password": None}:  # which `set` takes for unchanged
        wrong = wrong._replace(password=None)
    for job in (open_engine, lambda one: writer(one).__enter__()):
        with pytest.raises(PixguardError, match=message) as caught:
            job(wrong.render_as_string(hide_password=False))
        told = caught.value.message + caught.value.hint
        assert hint in caught.value.hint and not re.search(f"{PASSWORD}|wrong", told)


@pytest.mark.parametrize("end", ["port/db", "5432/db?host=a&password=secret", "@more@5/db"])
def test_a_url_that_cannot_be_read_keeps_its_password(end: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(f"postgresql://ann:secret@h:{end}" if end != "" else "")
        raise UsageError(locate(f"postgresql://ann:secret@h:{end}").name, "")
    assert "secret" not in caught.value.message + caught.value.hint


def test_commands_take_a_url_and_never_show_its_password(
    url: str, in_an_empty_folder: None, capfd: pytest.CaptureFixture[str]
) -> None:
    train = "train --dataset oct --source phantom --images 60 --model small-cnn --epochs 1"
    attack = "attack --dataset oct --limit 2 --attack random --queries 50"
    shown = ""
    for words, code in (
        ("doctor", 0),
        (train, 0),
        (attack, 0),
        (attack, 2),
        (f"{attack} --resume --json", 0),
        ("db check", 0),
        ("db check --json", 0),
        ("db info --json", 0),
        ("db backup", 2),
        ("models list", 0),
        ("report --table success --json", 0),
        ("report --html page", 0),
    ):
        result = run(f"{words} --db {url}", code=code)
        shown += result.output
    shown += "".join(p.read_text(errors="replace") for p in Path("page").rglob("*.*"))
    engine = open_engine(url)
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            shown += str(connection.execute(text(f"SELECT * FROM {name}")).all())
    engine.dispose()
    shown += "".join(capfd.readouterr())
    assert "attempts of this plan are in postgresql" in shown and "***" in shown
    assert f":{PASSWORD}@" not in shown
    assert [p.name for p in Path().iterdir() if p.name.endswith("-files")]
