"""The writer: what is registered once, what is buffered, and how a run ends."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pixguard.errors import DataError, InterruptedRunError, PixguardError
from pixguard.records import (
    EpochRecord,
    FailureRecord,
    PixelRecord,
    PredictionRecord,
    RestorationRecord,
    ScoreRecord,
)
from pixguard.store import maintenance, outcomes, reader
from pixguard.store import writer as writer_module
from pixguard.store.writer import Writer
from store.store_samples import (
    DATASET,
    Filled,
    attack,
    attempt,
    count,
    image,
    model,
    open_writer,
    rows,
)


def test_run_and_environment_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    @dataclass
    class Settings:
        folder: Path

    with open_writer(path, "pixguard one", settings=Settings(Path("/x"))) as writer:
        assert rows(path, "SELECT uuid, status, finished_ms FROM run") == [
            (writer.run_uuid, "running", None)
        ]
    with open_writer(path, "pixguard two"):
        pass
    (command, config, seed, status, error, finished), second = rows(
        path, "SELECT command, config, seed, status, error, finished_ms >= started_ms FROM run"
    )
    assert (command, seed, status, error, finished) == ("pixguard one", 7, "finished", None, 1)
    assert json.loads(config) == {"settings": {"folder": "/x"}}
    assert second[0] == "pixguard two"
    assert count(path, "environment") == 1
    assert json.loads(rows(path, "SELECT packages FROM environment")[0][0]) == {"numpy": "2"}


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), "interrupted", None),
        (InterruptedRunError("stopped"), "interrupted", None),
        (ValueError("no such thing"), "failed", "ValueError: no such thing"),
    ],
)
def test_ends_of_a_run_commit_what_waits(
    filled: Filled, error: BaseException, status: str, text: str | None
) -> None:
    with pytest.raises(type(error)), open_writer(filled.path) as writer:
        filled.attempt(writer, attempt("late", 0))
        assert count(filled.path, "attempt") == 4
        raise error
    assert count(filled.path, "attempt") == 5
    assert rows(filled.path, "SELECT status, error FROM run ORDER BY id DESC LIMIT 1") == [
        (status, text)
    ]


def test_everything_registered_twice_is_one(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        again = Filled(filled.path, writer)
        assert vars(again) == vars(filled)
        moved = replace(DATASET, location="/elsewhere/octmnist.npz")
        assert writer.dataset(moved) == filled.dataset_id
        other = writer.dataset(replace(DATASET, split_seed=1))
        assert other != filled.dataset_id
        assert writer.attack(attack(pixels=1)) != filled.attack_id
    stored = reader.datasets(writer.engine, size=28)
    assert [one.info for one in stored] == [moved, replace(DATASET, split_seed=1)]


def test_changed_content_is_refused(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        with pytest.raises(DataError, match=r"oct .* changed since it was registered"):
            writer.dataset(replace(DATASET, manifest_sha256="x" * 64))
        with pytest.raises(DataError, match=r"image 2 .* changed since it was registered"):
            writer.images(filled.dataset_id, [image(7), image(2, "f" * 64)])
        with pytest.raises(DataError, match="belongs to another dataset"):
            writer.model(model("c" * 64), writer.dataset(replace(DATASET, size=64)))
        with pytest.raises(DataError, match=r"image 9 .* not registered"):
            writer.predictions(filled.model_id, filled.dataset_id, [PredictionRecord(9, (1,), 1)])
        metric_id = writer.metric("psnr", 1, {"data_range": 255})
        assert writer.metric("psnr", 1, {"data_range": 255}) == metric_id
        with pytest.raises(PixguardError, match="psnr version 1"):
            writer.metric("psnr", 1, {"data_range": 1})
    assert count(filled.path, "image") == 4


def test_many_images_are_registered_and_found(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        ids = writer.images(filled.dataset_id, [image(i) for i in range(5000)])
        assert {i: ids[i] for i in range(4)} == filled.images
        assert writer.images(filled.dataset_id, [image(4321)]) == {4321: ids[4321]}
        assert reader.image_ids(writer.engine, filled.dataset_id) == ids
    assert len(set(ids.values())) == 5000


def test_models_come_back_as_written(filled: Filled) -> None:
    record = model("e" * 64, "densenet121")
    curve = [
        EpochRecord(1, math.nan, None, None, None, 2.0),
        EpochRecord(2, 0.5, 0.6, 0.7, 0.8, 3.0),
    ]
    with open_writer(filled.path) as writer:
        new = writer.model(record, filled.dataset_id, curve)
        assert writer.model(record, filled.dataset_id, curve) == new
        found = reader.find_model(writer.engine, str(new))
    assert (found.id, found.record, found.dataset_id) == (new, record, filled.dataset_id)
    assert rows(filled.path, "SELECT epoch, train_loss, val_loss FROM training_epoch") == [
        (1, math.inf, None),
        (2, 0.5, 0.6),
    ]


def test_predictions_keep_the_first(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        for confidence in (0.75, 0.25):
            record = PredictionRecord(2, (), confidence)
            writer.predictions(filled.model_id, filled.dataset_id, [record])
        found = reader.predictions(writer.engine, filled.model_id, filled.dataset_id)
    assert found == {2: PredictionRecord(2, (), 0.75)}


def test_attempts_wait_for_64_rows(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        for number in range(64):
            assert count(filled.path, "attempt") == 4
            filled.attempt(writer, attempt(f"new-{number}", number % 4))
        assert count(filled.path, "attempt") == 68
        assert count(filled.path, "pixel") == 2 * 68


def test_attempts_wait_for_2_seconds(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: clock[0])
    heartbeat = "SELECT heartbeat_ms FROM run ORDER BY id DESC LIMIT 1"
    with open_writer(filled.path) as writer:
        monkeypatch.setattr("pixguard.store.runs.now_ms", lambda: 42)
        for seconds, stored, beaten in ((1.9, 4, False), (2.0, 6, False), (11.0, 7, True)):
            clock[0] = 100.0 + seconds
            filled.attempt(writer, attempt(f"at-{seconds}", 0))
            assert count(filled.path, "attempt") == stored
            assert (rows(filled.path, heartbeat) == [(42,)]) is beaten


def test_equal_keys_are_one_attempt_with_its_own_pixels(filled: Filled) -> None:
    other = replace(attempt("key-0", 0), pixels=(PixelRecord(27, 27, (1,), (2,)),))
    with open_writer(filled.path) as writer:
        filled.attempt(writer, other)  # committed by an earlier run
        filled.attempt(writer, attempt("twice", 1))
        filled.attempt(writer, replace(other, attempt_key="twice"))  # still in the buffer
    found = {one.attempt_key: one for one in outcomes.successes(writer.engine, filled.model_id)}
    assert set(found) == {"key-0", "key-1", "key-2", "twice"}
    assert found["key-0"].pixels == attempt("key-0", 0).pixels
    assert found["twice"].pixels == attempt("twice", 1).pixels
    assert maintenance.check(filled.database) == []


def test_numpy_numbers_are_stored_as_numbers(filled: Filled) -> None:
    record = replace(
        attempt("numpy", 1),
        queries=np.int64(5),
        success=np.bool_(True),
        confidence_after=np.float32(0.5),
        pixels=tuple(
            PixelRecord(np.int32(r), np.uint8(2), (np.uint8(3),), (np.uint8(4),)) for r in (0, 1)
        ),
    )
    with open_writer(filled.path) as writer:
        filled.attempt(writer, record)
    query = "SELECT queries, queries / 2 FROM attempt WHERE attempt_key = 'numpy'"
    assert rows(filled.path, query) == [(5, 2)]
    found = outcomes.successes(writer.engine, filled.model_id)[-1]
    assert found.confidence_after == 0.5
    assert found.pixels[1] == PixelRecord(1, 2, (3,), (4,))


def _restore(filled: Filled, writer: Writer, attempt_id: int | None, index: int) -> None:
    record = RestorationRecord(index, attempt_id, (0,), 0.8, True, 1.0)
    writer.restoration(
        record,
        image_id=filled.images[index],
        classifier_id=filled.model_id,
        denoiser_id=filled.denoiser_id,
    )


def test_restorations_and_scores(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        first = outcomes.successes(writer.engine, filled.model_id)[0]
        for _ in range(2):
            _restore(filled, writer, first.id, 0)
            _restore(filled, writer, None, 0)
            _restore(filled, writer, None, 1)
        writer.flush()
        assert count(filled.path, "restoration") == 3
        done = outcomes.restoration_keys(writer.engine, filled.model_id, filled.denoiser_id)
        assert done == {
            (first.id, filled.images[0]),
            (None, filled.images[0]),
            (None, filled.images[1]),
        }
        psnr, ssim = (writer.metric(name, 1, {}) for name in ("psnr", "ssim"))
        waiting = outcomes.restorations_without_scores(writer.engine, [psnr, ssim])
        assert [one.attempt_id for one in waiting] == [first.id, None, None]
        assert [one.pixels for one in waiting] == [first.pixels, (), ()]
        for restoration in waiting[:2]:
            writer.score(restoration.id, psnr, ScoreRecord("psnr", math.inf, "inf"))
            writer.score(restoration.id, psnr, ScoreRecord("psnr", 3.0, "finite"))
        writer.score(waiting[0].id, ssim, ScoreRecord("ssim", 0.5, "finite"))
        writer.flush()
        left = outcomes.restorations_without_scores(
            writer.engine, [psnr, ssim], dataset_id=filled.dataset_id, classifier_id=filled.model_id
        )
        assert [one.id for one in left] == [one.id for one in waiting[1:]]
        assert not outcomes.restorations_without_scores(writer.engine, [psnr], classifier_id=99)
        with pytest.raises(ValueError, match="called finite"):
            writer.score(waiting[0].id, ssim, ScoreRecord("ssim", math.nan, "finite"))
    assert rows(filled.path, "SELECT value, value_kind FROM score ORDER BY id") == [
        (None, "inf"),
        (None, "inf"),
        (0.5, "finite"),
    ]


def test_restoration_keys_are_the_same_in_every_database(filled: Filled, tmp_path: Path) -> None:
    second = tmp_path / "second.db"
    with open_writer(second) as writer:
        writer.dataset(replace(DATASET, split_seed=5))  # shifts every id
        other = Filled(second, writer)
        other.attempt(writer, attempt("padding", 3))
        for index in range(4):
            other.attempt(writer, attempt(f"key-{index}", index))
    for database, key in ((filled, "key-1"), (other, "key-1")):
        with open_writer(database.path) as writer:
            found = {
                a.attempt_key: a.id for a in outcomes.successes(writer.engine, database.model_id)
            }
            _restore(database, writer, found[key], 1)
            _restore(database, writer, None, 1)
    query = "SELECT restoration_key FROM restoration ORDER BY id"
    assert rows(filled.path, query) == rows(second, query)
    assert len(set(rows(second, query))) == 2


def test_failures_are_kept_and_the_attempt_stays_to_be_done(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        for _ in range(2):
            writer.failure(FailureRecord("bad", "RuntimeError", "out of memory"))
    keys = reader.attempt_outcomes(writer.engine, filled.model_id, filled.dataset_id)
    assert keys.keys() == {f"key-{index}" for index in range(4)}
    assert (
        rows(filled.path, "SELECT attempt_key, error_type FROM failure")
        == [("bad", "RuntimeError")] * 2
    )
