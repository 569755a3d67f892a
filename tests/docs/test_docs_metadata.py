"""The queries of docs/metadata.yml run on the schema, and find something in the example."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from docs.docs_pages import DOCS, ROOT
from pixguard.store import maintenance

QUERIES = dict(
    re.findall(
        r"^      (\w+):\n(?:        .*\n)*?        sql: \|-\n((?:          .*\n)+)",
        (DOCS / "metadata.yml").read_text(),
        re.MULTILINE,
    )
)


def test_every_query_is_found() -> None:
    assert len(QUERIES) == (DOCS / "metadata.yml").read_text().count("sql:") >= 8


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_datasette_runs(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pixguard.db.example", tmp_path / "pixguard.db")
    maintenance.upgrade(str(tmp_path / "pixguard.db"))
    with sqlite3.connect(tmp_path / "pixguard.db") as database:
        assert database.execute(QUERIES[name]).fetchone() is not None
