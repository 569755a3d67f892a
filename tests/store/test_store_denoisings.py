"""Denoisings: stored once with their scores, found again, and a database from before them."""

import math
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from pixguard.records import DenoisingRecord, ScoreRecord
from pixguard.store import maintenance
from pixguard.store.denoisings import scored_images
from postgresql import INFINITY
from store.store_samples import DATASET, Filled, change, model, open_writer, rows

NOISE = {"noise": "impulse", "level": 0.1, "seed": 3}


def record(index: int, *scores: ScoreRecord, **values: object) -> DenoisingRecord:
    chosen = {**NOISE, "elapsed_ms": 2.0, **values}
    return DenoisingRecord(image_index=index, scores=scores, **chosen)  # type: ignore[arg-type]


def test_a_denoising_is_kept_once_and_takes_the_scores_that_it_lacks(filled: Filled) -> None:
    finite = ScoreRecord("psnr", 31.5, "finite")
    infinite = ScoreRecord("ssim", math.inf, "inf")
    with open_writer(filled.path) as writer:
        metrics = {name: writer.metric(name, 1, {}) for name in ("psnr", "ssim")}

        def store(one: DenoisingRecord) -> None:
            ids = {"image_id": filled.images[one.image_index], "denoiser_id": filled.denoiser_id}
            writer.denoising(one, metrics, **ids)
            writer.flush()

        store(record(0, finite))
        store(record(0, ScoreRecord("psnr", 1.0, "finite"), infinite, elapsed_ms=9.0))
        store(record(1, finite, infinite, seed=4))
        found = {
            seed: scored_images(
                writer.engine,
                filled.denoiser_id,
                list(metrics.values()),
                noise="impulse",
                level=0.1,
                seed=seed,
            )
            for seed in (3, 4, 5)
        }
    assert found == {3: {filled.images[0]}, 4: {filled.images[1]}, 5: set()}
    assert rows(filled.path, "SELECT elapsed_ms FROM denoising ORDER BY id") == [(2.0,), (2.0,)]
    assert rows(filled.path, "SELECT value, value_kind FROM denoising_score ORDER BY id") == [
        (31.5, "finite"),
        (None, "inf"),
        (31.5, "finite"),
        (None, "inf"),
    ]


def test_what_tells_denoisings_apart(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        other = writer.model(model("e" * 64, "median", "denoiser"), filled.dataset_id)
        ids = {"image_id": filled.images[0], "denoiser_id": filled.denoiser_id}
        writer.denoising(record(0), {}, **ids)
        writer.denoising(record(0, elapsed_ms=7.0), {}, **ids)
        writer.denoising(record(0, seed=4), {}, **ids)
        writer.denoising(record(0, level=0.2), {}, **ids)
        writer.denoising(record(0, noise="gaussian"), {}, **ids)
        writer.denoising(record(1), {}, **{**ids, "image_id": filled.images[1]})
        writer.denoising(record(0), {}, **{**ids, "denoiser_id": other})
    keys = {key for (key,) in rows(filled.path, "SELECT denoising_key FROM denoising")}
    assert len(keys) == 6


def test_what_must_not_be_is_found(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        other = writer.dataset(replace(DATASET, name="other"))
        stranger = writer.model(model("f" * 64, "dae", "denoiser"), other)
        ids = {"image_id": filled.images[0], "denoiser_id": stranger}
        metric_ids = {"psnr": writer.metric("psnr", 1, {})}
        writer.denoising(record(0, ScoreRecord("psnr", 1.0, "finite")), metric_ids, **ids)
    change(filled.path, f"UPDATE denoising_score SET value = {INFINITY}")
    told = " ".join(maintenance.check(filled.database))
    assert "denoising_score 1 is called finite" in told
    assert f"another dataset than its denoiser {stranger}" in told


@pytest.mark.parametrize(("value", "kind"), [("NULL", "finite"), ("1.0", "inf"), ("1.0", "many")])
def test_a_score_agrees_with_its_kind(filled: Filled, value: str, kind: str) -> None:
    with open_writer(filled.path) as writer:
        writer.metric("psnr", 1, {})
        ids = {"image_id": filled.images[0], "denoiser_id": filled.denoiser_id}
        writer.denoising(record(0), {}, **ids)
    statement = f"INSERT INTO denoising_score VALUES (1, 1, 1, {value}, '{kind}')"
    with pytest.raises(IntegrityError):
        change(filled.path, statement)
