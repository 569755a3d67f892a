"""Databases of several machines become one: the same rows in any order, and nothing silently."""

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from pixguard.errors import PixguardError, UsageError
from pixguard.records import FailureRecord, PlannedAttempt, PlanRecord, RestorationRecord
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.lock import WriterLock
from pixguard.store.maintenance import check
from pixguard.store.merging import merge as merging
from pixguard.store.merging import plans as merging_plans
from pixguard.store.merging.rules import RULES
from pixguard.store.tables import Base
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, attempt, image, open_writer

pytestmark = SQLITE_ONLY
ORDER = (3, 1, 0, 2)


def machine(path: Path, indices: Sequence[int], planned: Sequence[int] = ORDER) -> Path:
    """Make a database that planned some attempts and made others, with what came of them."""
    with open_writer(path) as writer:
        database = Filled(path, writer)
        ids = {
            "attack_id": database.attack_id,
            "model_id": database.model_id,
            "dataset_id": database.dataset_id,
        }
        order = [PlannedAttempt(f"key-{place}", place, None, 0) for place in planned]
        record = PlanRecord(
            seed=7,
            target=None,
            attempts=order,
            settings={},
            command=f"pixguard attack --shard 1/2 --db {path} --resume",
        )
        plan = writer.plan(record, **ids)
        for index in indices:
            database.attempt(writer, attempt(f"key-{index}", index, success=index != 3))
        writer.flush()
        numbers = rows(path, "SELECT id, attempt_key FROM attempt ORDER BY attempt_key")
        for number, key in numbers:
            restored = RestorationRecord(int(key[-1]), number, (0,), 0.5, True, 1.0)
            writer.restoration(
                restored,
                image_id=database.images[int(key[-1])],
                classifier_id=database.model_id,
                denoiser_id=database.denoiser_id,
            )
        writer.close_plan(plan)
    weights = path.with_name(f"{path.stem}-files") / "weights"
    weights.mkdir(parents=True)
    for name in "cd":
        (weights / f"{name * 64}.safetensors").write_bytes(name.encode())
    return path


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute(query).fetchall()


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows by table, without ids and what tells one run from another."""
    results = {
        "attempt": "attempt_key, success, queries, predicted_after",
        "pixel": '(SELECT attempt_key FROM attempt WHERE id = attempt_id), ordinal, "row", col',
        "restoration": "restoration_key, (SELECT attempt_key FROM attempt WHERE id = attempt_id)",
        "image": "dataset_index, sha256",
        "model": "weights_sha256, name",
        "plan": "planned, finished_ms IS NULL, settings",
        "planned_attempt": "place, attempt_key, dataset_index",
    }
    return {t: sorted(rows(path, f"SELECT {what} FROM {t}")) for t, what in results.items()}


def counts(path: Path) -> dict[str, object]:
    tables = Base.metadata.tables
    return {name: rows(path, f'SELECT COUNT(*) FROM "{name}"')[0][0] for name in tables}


def merge(into: Path, *others: Path, **options: object) -> list[merging.Merge]:
    return list(merging.merge(str(into), [str(o) for o in others], **options))  # type: ignore[arg-type]


def test_parts_make_the_whole_in_any_order(tmp_path: Path) -> None:
    whole = machine(tmp_path / "whole.db", ORDER)
    for order in ([0, 1, 2], [2, 0, 1]):
        folder = tmp_path / "".join(map(str, order))
        folder.mkdir()
        parts = [
            machine(folder / f"part-{n}.db", own) for n, own in enumerate([[3], [1, 2], [0, 2]])
        ]
        first, *others = (parts[n] for n in order)
        merged = merge(first, *others)
        assert content(first) == content(whole) and not check(str(first))
        assert all(one.done and not one.conflicts for one in merged)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", [3, 1]), machine(tmp_path / "b.db", [0])
    merge(here, there)
    before = here.read_bytes()
    (again,) = merge(here, there)
    assert not again.added and again.weights == 0
    go_on = f"pixguard attack --resume --db {here}"
    assert rows(here, "SELECT planned, finished_ms, command FROM plan") == [(4, None, go_on)]
    assert len(before) == here.stat().st_size


def test_a_larger_plan_goes_on_behind_the_smaller(tmp_path: Path) -> None:
    small = machine(tmp_path / "small.db", [3, 1], planned=ORDER[:2])
    large = machine(tmp_path / "large.db", [], planned=ORDER)
    assert rows(small, "SELECT finished_ms IS NULL FROM plan") == [(0,)]
    (merged,) = merge(small, large)
    assert merged.added["planned_attempt"] == 2
    assert rows(small, "SELECT attempt_key FROM planned_attempt ORDER BY place") == [
        (f"key-{index}",) for index in ORDER
    ]
    assert rows(small, "SELECT planned, finished_ms FROM plan") == [(4, None)]
    merge(small, machine(tmp_path / "rest.db", [0, 2]))
    assert rows(small, "SELECT planned, finished_ms IS NULL FROM plan") == [(4, 0)]


def test_a_failed_attempt_does_not_hold_a_plan_open(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", [3, 1]), machine(tmp_path / "b.db", [0])
    with open_writer(there) as writer:
        writer.failure(FailureRecord("key-2", "NonFiniteLogits", "nan"))
    merge(here, there)
    assert rows(here, "SELECT planned, finished_ms IS NULL FROM plan") == [(4, 0)]


@pytest.mark.parametrize("prefer", ["ours", "theirs"])
def test_of_other_results_the_preferred_counts_with_all_that_was_made_of_it(
    tmp_path: Path, prefer: str
) -> None:
    here, there = machine(tmp_path / "a.db", [3, 1, 0]), machine(tmp_path / "b.db", [1, 0, 2])
    with sqlite3.connect(there) as database:
        database.execute("UPDATE attempt SET queries = 999 WHERE attempt_key = 'key-1'")
        database.execute(
            "UPDATE pixel SET col = 9 WHERE attempt_id = "
            "(SELECT id FROM attempt WHERE attempt_key = 'key-0')"
        )
        database.execute("UPDATE restoration SET elapsed_ms = 77")
    before = counts(here)
    with pytest.raises(PixguardError, match="2 attempt") as caught:
        merge(here, there)
    assert "queries 400 here and 999 there" in caught.value.message
    assert "other pixels" in caught.value.message and "--prefer" in str(caught.value.hint)
    assert counts(here) == before
    (tried,) = merge(here, there, prefer=prefer, dry_run=True)
    assert counts(here) == before and not tried.done and tried.conflicts == {"attempt": 2}
    merge(here, there, prefer=prefer)
    asked = "SELECT queries FROM attempt WHERE attempt_key = 'key-1'"
    assert rows(here, asked) == [(400 if prefer == "ours" else 999,)]
    moved = (
        "SELECT DISTINCT col FROM pixel JOIN attempt a ON a.id = attempt_id "
        "WHERE attempt_key = 'key-0'"
    )
    assert rows(here, moved) == [(5 if prefer == "ours" else 9,)]
    assert rows(here, "SELECT COUNT(*) FROM pixel") == [(8,)]
    # What was made of an image that does not count does not come, and goes.
    made = "SELECT COUNT(*), SUM(r.elapsed_ms = 77) FROM restoration r"
    assert rows(here, made) == [(4, 1 if prefer == "ours" else 3)]
    assert not check(str(here))


def test_other_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", [3]), machine(tmp_path / "b.db", [1])
    with sqlite3.connect(there) as database:
        database.execute("UPDATE image SET sha256 = 'other' WHERE dataset_index = 2")
    with pytest.raises(PixguardError, match="1 image") as caught:
        merge(here, there, prefer="theirs")
    assert "keep them apart" in str(caught.value.hint)


def test_weights_come_along_and_missing_ones_are_told(tmp_path: Path) -> None:
    here = tmp_path / "here.db"
    with open_writer(here):
        pass
    there = machine(tmp_path / "b.db", [1])
    (tmp_path / "b-files" / "weights" / f"{'d' * 64}.safetensors").unlink()
    (tried,) = merge(here, there, dry_run=True)
    assert tried.weights == 1 and not (tmp_path / "here-files").exists()
    (merged,) = merge(here, there)
    assert merged.weights == 1 and len(merged.missing_weights) == 1
    copied = tmp_path / "here-files" / "weights" / f"{'c' * 64}.safetensors"
    assert copied.read_bytes() == b"c"


def test_a_name_stays_with_its_model(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", []), machine(tmp_path / "b.db", [])
    with sqlite3.connect(here) as database:
        database.execute("UPDATE model SET name = 'best' WHERE kind = 'classifier'")
    with sqlite3.connect(there) as database:
        database.execute(
            "UPDATE model SET name = 'best', weights_sha256 = 'e' WHERE kind = 'classifier'"
        )
    (merged,) = merge(here, there)
    assert merged.unnamed == ["best stays the name of model 1"]
    assert rows(here, "SELECT COUNT(*), COUNT(name) FROM model") == [(3, 1)]


def test_the_latest_is_the_one_that_was_made_last(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", []), machine(tmp_path / "b.db", [])
    with sqlite3.connect(there) as database:
        database.execute(
            "UPDATE model SET created_ms = 1, weights_sha256 = 'e' WHERE kind = 'classifier'"
        )
    merge(here, there)
    with reading(str(here)) as engine:
        known = reader.models(engine, "classifier")
        assert [model.record.weights_sha256 for model in known] == ["e", "c" * 64]
        assert reader.find_model(engine, "latest", "classifier").id == known[-1].id == 1


def test_what_breaks_on_the_way_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machine(tmp_path / "a.db", [3]), machine(tmp_path / "b.db", [1])
    before = counts(here)

    def break_down(*_: object) -> int:
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(merging_plans, "merge_places", break_down)
        merge(here, there)
    assert counts(here) == before
    merge(here, there)
    assert counts(here) != before


def test_what_cannot_be_merged_is_told_before_anything_is(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", [3]), machine(tmp_path / "b.db", [1])
    before = counts(here)
    with pytest.raises(UsageError, match="into itself"):
        merge(here, there, here)
    with pytest.raises(PixguardError, match="no database at"):
        merge(here, there, tmp_path / "none.db")
    older = shutil.copy(there, tmp_path / "older.db")
    with sqlite3.connect(older) as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(PixguardError, match="older"):
        merge(here, there, Path(older))
    with pytest.raises(UsageError, match="server"):
        list(merging.merge(str(here), ["postgresql://nowhere/x"]))
    assert counts(here) == before
    with WriterLock(here, "test"), pytest.raises(PixguardError, match="writ"):
        merge(here, there)


def test_every_table_has_its_rule() -> None:
    ruled = {rule.table.__tablename__ for rule in RULES} | {"planned_attempt"}
    assert ruled == set(Base.metadata.tables)
    placed = [rule.table.__tablename__ for rule in RULES]
    for place, rule in enumerate(RULES):
        for column in rule.table.__table__.columns:
            for key in column.foreign_keys:
                assert key.column.table.name in placed[:place]


def test_images_that_one_machine_never_saw_come_along(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "a.db", [3]), machine(tmp_path / "b.db", [1])
    with open_writer(there) as writer:
        writer.images(1, [image(9)])
    (merged,) = merge(here, there)
    assert merged.added["image"] == 1
