"""Views: the same in a fresh database and in one that was upgraded, and what they count."""

from pathlib import Path

import pytest

from pixguard.store.tables.views import VIEWS
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, attempt, open_writer, rows


@SQLITE_ONLY
def test_a_fresh_database_has_the_views_as_they_are_declared(filled: Filled) -> None:
    found = dict(rows(filled.path, "SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
    assert found == {view.name: f"CREATE VIEW {view.name} AS\n{view.sql}" for view in VIEWS}
    assert all(view.about.endswith(".") for view in VIEWS)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_can_be_asked(filled: Filled, view: object) -> None:
    rows(filled.path, f"SELECT * FROM {view.name}")  # type: ignore[attr-defined]


def test_what_counts_is_not_targeted_not_repeated_and_on_the_bare_classifier(
    tmp_path: Path,
) -> None:
    path = tmp_path / "counted.db"
    with open_writer(path) as writer:
        database = Filled(path, writer)
        database.attempt(writer, attempt("counts", 0))
        database.attempt(writer, attempt("fails", 1, success=False))
        database.attempt(writer, attempt("targeted", 2, target=1))
        database.attempt(writer, attempt("again", 0, repeat=1))
    counted = rows(path, "SELECT attempt_key, success FROM attempts_that_count ORDER BY id")
    assert counted == [("counts", 1), ("fails", 0)]
    details = rows(path, "SELECT attempt_key, target, repeat FROM attempt_details ORDER BY 1")
    assert details == [("again", None, 1), ("counts", None, 0), ("fails", None, 0),
                       ("targeted", 1, 0)]  # fmt: skip
