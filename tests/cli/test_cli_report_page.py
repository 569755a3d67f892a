"""``pixguard report --html`` at the command line: what it writes, refuses and survives."""

import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pixguard import files
from pixguard.reports import write_page
from support import pixguard_command, run, run_json

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
make_database = importlib.import_module("benchmarks.page_database").make_database

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_database(folder / "p.db", 40)
    with sqlite3.connect(folder / "p.db") as database:
        database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    return folder / "p.db"


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "p.db"
    path.write_bytes(made.read_bytes())
    return path


def data(page: Path) -> dict[str, dict[str, list[object]]]:
    text = (page / "index.html").read_text()
    start = text.index('id="data">') + len('id="data">')
    value: dict[str, dict[str, list[object]]] = json.loads(
        text[start : text.index("</script", start)]
    )
    return value


def test_it_tells_what_it_wrote_and_a_former_page_is_replaced(database: Path) -> None:
    first = run_json(f"report --db {database} --html new/page")
    assert first["page"] == "new/page/index.html" and first["attempts_in_gallery"] == 40
    assert {p.name for p in Path("new/page").iterdir()} == {
        "index.html", "tables", "images", "figures",
    }  # fmt: skip
    assert [p.name for p in Path("new").iterdir()] == ["page"]
    Path("new/page/tables/left-over.csv").write_text("old")
    again = run(f"report --db {database} --html new/page --gallery 7 --dataset oct")
    assert "attempts in gallery      7" in again.stdout
    assert not Path("new/page/tables/left-over.csv").exists()
    assert [p.name for p in Path("new").iterdir()] == ["page"]
    shown = data(Path("new/page"))
    assert len(shown["attempts"]["id"]) == 7 and [d["name"] for d in shown["datasets"]] == ["oct"]  # type: ignore[call-overload,index]
    text = Path("new/page/index.html").read_text()
    assert "7 of the 20 attempts" in text


def test_python_writes_the_same_page(database: Path) -> None:
    told = run_json(f"report --db {database} --html typed --gallery 5 --dataset oct")
    called = write_page(str(database), Path("called"), gallery=5, dataset="oct")
    assert {**told, "page": "called/index.html"} == called
    assert data(Path("typed")) == data(Path("called"))
    files = {p.relative_to("typed"): p.read_bytes() for p in Path("typed").rglob("*.*")}
    for path, content in files.items():
        assert path.name == "index.html" or (Path("called") / path).read_bytes() == content


def test_a_database_without_results_makes_a_page(tmp_path: Path) -> None:
    from pixguard.store.engine import open_engine

    open_engine(str(tmp_path / "e.db"), create=True).dispose()
    result = run_json("report --db e.db --html page")
    assert result["attempts"] == result["restored_images"] == result["figures"] == 0
    assert data(Path("page"))["attempts"] == {}


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        ("mkdir d && touch d/thesis.tex", "", "holds 'thesis.tex'"),
        ("mkdir d && touch d/index.html", "", "holds no page of pixguard"),
        ("mkdir -p d/tables", "", "holds no page of pixguard"),
        ("touch d", "", "is a file"),
        ("true", "--table 32", "every table"),
        ("true", "--list", "every table"),
        ("true", "--data-dir /tmp", "does not say which dataset"),
        ("true", "--figure 9", "every table"),
        ("true", "--data-dir oct=/no/such", "/no/such does not exist"),
        ("true", "--data-dir brain=/tmp", "no dataset 'brain'"),
        ("true", "--dataset brain", "there is no dataset 'brain'"),
    ],
)
def test_mistakes_change_nothing_and_say_what_to_do(
    database: Path, prepare: str, options: str, message: str
) -> None:
    subprocess.run(prepare, shell=True, check=True)
    before = sorted(map(str, Path().rglob("*")))
    result = run(f"report --db {database} --html d {options}", code=2)
    assert message in result.stderr and "next: " in result.stderr
    assert sorted(map(str, Path().rglob("*"))) == before


def test_a_page_tells_nothing_of_the_computer_that_made_it(database: Path, tmp_path: Path) -> None:
    secrets = "bench-host", "/home/ann/scans", "/srv/patients"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE run SET host = ?", secrets[:1])
        connection.execute(f"UPDATE run SET command = 'pixguard train --data-dir {secrets[1]}'")
        connection.execute(
            "UPDATE dataset SET source = 'folder', location = ? WHERE name = 'oct'", secrets[2:]
        )
        connection.execute("UPDATE model SET parameters = '{}', weights_file = 'gone.safetensors'")
    connection.close()
    run(f"report --db {database} --html page")
    for path in filter(Path.is_file, Path("page").rglob("*")):
        text = path.read_bytes().decode(errors="replace")
        assert [word for word in (*secrets, str(tmp_path)) if word in text] == [], path
    assert "pixguard train" in Path("page/index.html").read_text()


def test_a_page_at_a_link_is_written_where_the_link_points(database: Path) -> None:
    Path("link").symlink_to("real")
    for _ in ("nothing there yet", "a page there"):
        run(f"report --db {database} --html link --gallery 2")
        assert Path("link").is_symlink() and Path("real/index.html").is_file()
        assert sorted(p.name for p in Path().iterdir() if p.name.startswith(".")) == []


def test_images_that_are_gone_are_said_with_the_option_that_helps(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE dataset SET source='folder', location='/gone' WHERE name='oct'")
    connection.close()
    result = run(f"report --db {database} --html page")
    assert "no images of oct: /gone does not exist" in result.stderr
    shown = data(Path("page"))
    missing = {d["name"]: d["missing"] for d in shown["datasets"]}  # type: ignore[call-overload,index]
    assert missing["derma"] is None and "--data-dir oct=FOLDER" in missing["oct"][1]
    assert len(shown["attempts"]["id"]) == 40


def test_a_killed_run_leaves_the_old_page_whole_and_the_next_cleans_up(database: Path) -> None:
    run(f"report --db {database} --html site/page")
    before = {p: p.read_bytes() for p in Path("site").rglob("*") if p.is_file()}
    command = [*pixguard_command(), "report", "--db", str(database), "--html", "site/page"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(list(Path("site").iterdir())) == 1:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {p: p.read_bytes() for p in Path("site/page").rglob("*") if p.is_file()} == before
    # Whose process is on another machine of a shared disk may still write: for an hour it stays.
    (left,) = (p for p in Path("site").iterdir() if p.name != "page")
    os.utime(left, (0, 0))
    files._remove_left.cache_clear()
    run(f"report --db {database} --html site/page")
    assert [p.name for p in Path("site").iterdir()] == ["page"]
