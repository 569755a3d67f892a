"""What is deleted takes all with it that rests on it, and nothing else."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from pixguard.store import deleting, tagging
from pixguard.store.engine import open_engine
from pixguard.store.tables import Base
from postgresql import SQLITE_ONLY

pytestmark = SQLITE_ONLY
FROZEN = max((Path(__file__).parent / "frozen").glob("*.sql"))
"""Two rows of every table, each of which refers to the rows of its own number."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "pixguard.db"
    with sqlite3.connect(path) as database:
        database.executescript(FROZEN.read_text())
    engine = open_engine(str(path), create=True)
    yield engine
    engine.dispose()


Rows = dict[str, dict[int, dict[str, object]]]


def rows(engine: Engine) -> Rows:
    """Return the rows of every table, by their ids."""
    with engine.connect() as connection:
        return {
            name: {
                row["id"]: dict(row)
                for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
            }
            for name in Base.metadata.tables
        }


def resting_on(everything: Rows, kind: str, row_id: int) -> set[tuple[str, int]]:
    """Return what rests on a row, found by going round until nothing more is."""
    gone, before = {(kind, row_id)}, 0
    while len(gone) > before:
        before = len(gone)
        for name, table in Base.metadata.tables.items():
            for column in table.c:
                for key in column.foreign_keys:
                    parent = key.column.table.name
                    if (name, parent) == ("plan", "run"):
                        continue
                    for one, row in everything[name].items():
                        if (parent, row[column.name]) in gone:
                            gone.add((name, one))
    return gone


@pytest.mark.parametrize("row_id", [1, 2])
@pytest.mark.parametrize("kind", ["run", "model", "dataset"])
def test_everything_that_rests_on_it_goes_and_nothing_else(
    engine: Engine, kind: str, row_id: int
) -> None:
    before = rows(engine)
    expected = resting_on(before, kind, row_id)
    with engine.begin() as connection:
        found = deleting.doomed(kind, row_id)
        counts = deleting.counts(connection, found)
        deleting.delete_rows(connection, found)
    after = rows(engine)
    gone = {(name, one) for name in before for one in before[name].keys() - after[name].keys()}
    assert sum(counts.values()) == len(expected)
    # A plan that no run is left of goes as well; tags are on what their key says.
    free = {"plan", "planned_attempt", "tag"}
    assert {one for one in gone if one[0] not in free} == {
        one for one in expected if one[0] not in free
    }
    assert expected <= gone
    with engine.connect() as connection:
        assert not connection.execute(text("PRAGMA foreign_key_check")).all()


def test_a_plan_stays_with_the_runs_that_have_a_part_in_it(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM planned_attempt"))
        for place in (1, 2):
            key = connection.execute(
                text(f"SELECT attempt_key FROM attempt WHERE id = {place}")
            ).scalar_one()
            connection.execute(
                text(
                    "INSERT INTO planned_attempt (plan_id, repeat, place, dataset_index, "
                    f"attempt_key) VALUES (1, 0, {place}, {place}, '{key}')"
                )
            )
        connection.execute(text("UPDATE plan SET run_id = id, finished_ms = 5"))
        connection.execute(text("UPDATE attempt SET run_id = id, model_id = 2, image_id = 2"))
        connection.execute(text("UPDATE model SET run_id = 2"))
        deleting.delete_rows(connection, deleting.doomed("run", 1))
        plan = connection.execute(text("SELECT run_id, finished_ms FROM plan WHERE id = 1")).one()
    assert tuple(plan) == (2, None)  # and its first attempt is to do again


def test_tags_are_given_changed_and_taken(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM tag"))
        tagging.tag(connection, "model", 1, ["paper", "paper", tagging.SUPERSEDED], "table 32")
        tagging.tag(connection, "run", 2, ["night"], "")
        tagging.tag(connection, "model", 1, ["paper"], "table 33")
    found = {(t.kind, t.id, t.word): t.note for t in tagging.tags(engine)}
    assert found == {
        ("model", 1, "paper"): "table 33",
        ("model", 1, "superseded"): "table 32",
        ("run", 2, "night"): "",
    }
    with engine.begin() as connection:
        assert tagging.untag(connection, "model", 1, ["paper", "never"]) == 1
        deleting.delete_rows(connection, deleting.doomed("model", 1))
    assert [t.word for t in tagging.tags(engine)] == ["night"]
