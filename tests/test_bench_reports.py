"""``scripts/bench_reports.py``: what it makes fills the tables, and no query reads it all."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from pixguard.reports.evidence import Evidence
from pixguard.reports.specs import families, table_spec, table_specs
from pixguard.reports.tables.request import TableRequest
from pixguard.store import tables as t
from pixguard.store.engine import open_engine

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
bench = importlib.import_module("bench_reports")

WITHOUT_DATA = {"ablation", "certified", "dense", "detection", "least_flips"}
"""What the benchmark's database lacks: tables that do not grow with the number of attempts."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A small database of the benchmark's: without statistics, plans do not depend on the size."""
    path = tmp_path_factory.mktemp("bench") / "bench.db"
    bench.make(path, attempts=2240, restorations=640)
    engine = open_engine(str(path))
    yield engine
    engine.dispose()


def test_it_makes_what_was_asked_for(large: Engine) -> None:
    with large.connect() as connection:
        counts = {
            table: connection.scalar(select(func.count()).select_from(table))
            for table in (t.Attempt, t.Pixel, t.Score, t.DatasetCount)
        }
        fooled = connection.scalar(select(func.avg(t.Attempt.success)))
    assert counts[t.Attempt] == 2240
    assert counts[t.Pixel] == 2240 + 2240 / 7
    assert 5 * 320 < counts[t.Score] <= 5 * 640
    assert counts[t.DatasetCount] == 7 + 9 + 4 + 5
    assert 0.1 < fooled < 0.3


@pytest.mark.parametrize("name", [str(number) for number in table_specs()])
def test_no_table_reads_a_large_table_without_an_index(large: Engine, name: str) -> None:
    spec = table_spec(int(name) if name.isdecimal() else name)
    request = TableRequest(Evidence(large), spec)
    table = families()[spec.family].build(request)
    assert bench.scans(large, request.queries) == set()
    assert table.has_data or spec.family in WITHOUT_DATA


def test_choosing_what_a_table_is_about_reads_indexes(large: Engine) -> None:
    assert bench.scans(large, bench.CHOOSING) == set()


def test_a_scan_is_seen(large: Engine) -> None:
    query = bench.Query("all", "SELECT COUNT(*) FROM attempt t WHERE t.queries > 5", {})
    assert bench.scans(large, [query]) == {"all: SCAN t"}
