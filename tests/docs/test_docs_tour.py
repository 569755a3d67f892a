"""The README's tour and its word on the example database are what runs give."""

import re
import sqlite3
import sys
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from docs.docs_pages import DOCS, ROOT
from pixguard.cli.app import app

sys.path.append(str(ROOT / "scripts"))
from tour import OtherOutputError, refreshed, tour

README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(words: list[str]) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.mark.usefixtures("in_an_empty_folder")
def test_the_tour_shows_what_its_commands_print() -> None:
    shown = tour(README)
    assert shown.count("$ pixguard ") >= 8
    made = refreshed(shown, run, by_line=False)
    # Figures differ from one processor to another; what the plan fixes may not.
    assert [line for line in made.splitlines() if "planned" in line] == [
        line for line in shown.splitlines() if "planned" in line
    ]


def prints(text: str) -> Callable[[list[str]], str]:
    return lambda words: text


def test_a_line_that_is_not_printed_is_found() -> None:
    shown = "    $ pixguard attack\n    ...\n    planned    40\n    made   40\n    ...\n"
    fresh = refreshed(shown, prints("dataset  oct\nplanned    8\nmade   8\nseconds 2"))
    assert fresh.splitlines()[2:4] == ["    planned    8", "    made   8"]
    for printed in ("planned 8\nfound 0\nmade 8\nend", "dataset oct\nmade 8", ""):
        with pytest.raises(OtherOutputError):
            refreshed(shown, prints(printed))
    # Broken elsewhere, a line is not found, but its words are.
    broken = prints("dataset  oct\nplanned\n 8\nmade   8\nseconds 2")
    with pytest.raises(OtherOutputError, match="does not print"):
        refreshed(shown, broken)
    assert refreshed(shown, broken, by_line=False) == shown
    with pytest.raises(OtherOutputError):
        refreshed(shown, prints("dataset oct\nmade 8\nend"), by_line=False)
    with pytest.raises(OtherOutputError, match="prints more: seconds"):
        refreshed("    $ pixguard attack\n    made 40", prints("made 8\nseconds 2"))


def test_the_example_database_is_as_it_is_described() -> None:
    words = " ".join(README.split())
    found = re.search(r"(\d+) attempts with one and two pixels, (\d+) of", words)
    assert found is not None
    attempts, fooled = found.groups()
    uri = f"file:{ROOT / 'pixguard.db.example'}?mode=ro"
    with sqlite3.connect(uri, uri=True) as database:

        def one(query: str) -> list[tuple[object, ...]]:
            return database.execute(query).fetchall()

        assert one("SELECT COUNT(*), SUM(success) FROM attempt") == [(int(attempts), int(fooled))]
        assert one("SELECT DISTINCT pixels FROM attack ORDER BY pixels") == [(1,), (2,)]
        kinds = one("SELECT DISTINCT architecture FROM model WHERE kind = 'classifier'")
        assert kinds == [("resnet50",)]
        assert "ResNet50 at 28 pixels on Derma, OCT, Chest, Pathology and" in words
        assert one("SELECT DISTINCT size FROM dataset") == [(28,)]
        names = {name for (name,) in one("SELECT name FROM dataset")}
        assert names == {"derma", "oct", "chest", "pathology", "pneumoniamnist"}
        most = one(
            "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM model WHERE kind = 'denoiser' "
            "AND architecture NOT IN ('identity', 'median') GROUP BY dataset_id)"
        )
    assert most == [(4,)] and "up to four trained denoisers" in words
    assert "up to four trained denoisers" in " ".join(
        (DOCS / "reports.md").read_text(encoding="utf-8").split()
    )
