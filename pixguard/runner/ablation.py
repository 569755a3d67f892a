"""Tables 3 to 5: denoisers trained and judged alike, on the same test images and noise."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.config import DenoiserSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.overview import content
from pixguard.defences.denoisers.registry import ALWAYS, DAEOptions
from pixguard.defences.denoisers.variants import (
    PAPER_CLASS,
    PAPER_DATASET,
    TABLE_4,
    TABLE_5,
    Variant,
)
from pixguard.defences.noise import IMPULSE, check_noise, impulse_noise
from pixguard.defences.restoring import restore
from pixguard.errors import UsageError
from pixguard.metrics import METRICS
from pixguard.models.inputs import to_unit_range
from pixguard.records import DenoisingRecord, digest
from pixguard.runner.chunks import in_chunks, mixed
from pixguard.runner.denoiser_training import DenoiserTraining
from pixguard.runner.denoisers import load_denoiser, register_untrained
from pixguard.runner.images import CHUNK, drawn, indices_of_class
from pixguard.runner.scoring import metric_values, score_record
from pixguard.runner.session import Session
from pixguard.runner.training import require_one_size, train
from pixguard.runner.training_checks import begun, finished_trainings
from pixguard.store import reader
from pixguard.store.denoisings import scored_images
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

PLANS: Mapping[str, Sequence[Variant]] = {
    "validate": (TABLE_4[0], TABLE_4[-1]),
    "ablation": TABLE_4,
    "depth": TABLE_5,
}
"""The denoisers of Tables 3, 4 and 5, by command."""


def run_plan(
    session: Session,
    dataset: ImageDataset,
    plan: str,
    settings: DenoiserSettings,
    test_limit: int | None,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Train every denoiser of a plan, and score what each makes of the noisy test images.

    Denoisers without weights are judged too. What the database holds already is left out, so a
    plan that was interrupted goes on.

    Args:
        session: where to work.
        dataset: its training images train, its test images judge.
        plan: one of :data:`PLANS`.
        settings: of all denoisers alike; each takes the place of ``name`` and ``options``. Of the
            paper's dataset, ``only_class`` None is the paper's class.
        test_limit: judge on at most that many test images, drawn with the seed; None for all.
        resume: go on with a plan that was begun.

    Returns:
        What ``pixguard denoise ablation --json`` prints.

    Raises:
        UsageError: the plan was begun and ``resume`` is not set, there is no such class, it has
            no test images, or images have many sizes.
        InterruptedRunError: a stop was requested; what is finished is kept.
    """
    require_one_size(dataset.info, "a comparison of denoisers")
    check_noise(IMPULSE, settings.noise)
    if settings.only_class is None and dataset.info.name == PAPER_DATASET:
        settings = replace(settings, only_class=PAPER_CLASS)
    indices = _test_indices(dataset, settings, test_limit)
    trainings = {
        v.label: DenoiserTraining(
            dataset,
            replace(settings, name=v.denoiser, options=DAEOptions(v.name) if v.name else None),
        )
        for v in PLANS[plan]
    }
    if not resume:
        _refuse_to_go_on(session, list(trainings.values()))
    done: list[dict[str, Any]] = []

    def judge(models: Mapping[str, StoredModel], writer: Writer) -> None:
        for label, stored in models.items():
            judged = _judge(session, writer, dataset, stored, indices, settings)
            done.append({"id": stored.id, "name": label, "run": writer.run_id, **judged})

    with session.writer(_config(plan, settings, test_limit), settings.seed) as writer:
        dataset_id = writer.dataset(dataset.info)
        writer.content(dataset_id, content(dataset))
        judge({n: register_untrained(writer, n, dataset.info, dataset_id) for n in ALWAYS}, writer)
    for label, training in trainings.items():
        session.display.say(f"{plan}: {label}")
        trained = train(session, training, resume=True)
        session.honour_stop("the finished denoisers are kept", session.again(settings.seed))
        with session.writer(_config(plan, training.settings, test_limit), settings.seed) as writer:
            stored = reader.model(writer.engine, trained["model"])
            judge({label: stored}, writer)
    return {
        "plan": plan,
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size_name,
        "only_class": settings.only_class,
        "epochs": settings.epochs,
        "noise": settings.noise,
        "seed": settings.seed,
        "test_images": len(indices),
        "denoisers": done,
    }


def _config(plan: str, settings: DenoiserSettings, test_limit: int | None) -> dict[str, Any]:
    return {"plan": plan, "settings": settings, "test_limit": test_limit}


def _test_indices(
    dataset: ImageDataset, settings: DenoiserSettings, limit: int | None
) -> NDArray[np.int64]:
    """Return the dataset indices to judge on, ascending."""
    indices = indices_of_class(dataset, "test", settings.only_class)
    if not len(indices):
        whose = f" of class {settings.only_class!r}" if settings.only_class else ""
        raise UsageError(
            f"{dataset.info.name!r} has no test images{whose}",
            "`split=paper` keeps one image in five for the test",
        )
    return drawn(indices, limit, settings.seed)


def _refuse_to_go_on(session: Session, trainings: Sequence[DenoiserTraining]) -> None:
    finished = finished_trainings(session)
    found = [t for t in trainings if begun(session, finished, t.key)]
    if found:
        raise UsageError(
            f"{len(found)} of the {len(trainings)} denoisers of this plan are trained or begun",
            f"to go on: {session.again(trainings[0].settings.seed)}",
        )


def noisy_images(clean: Tensor, indices: Sequence[int], level: float, seed: int) -> Tensor:
    """Return images under impulse noise that depends on (seed, index) and the level alone.

    The noise is drawn on the CPU, image by image, so that it is the same on every device and in
    every batch.

    Args:
        clean: float32 (N, C, H, W) in [0, 1], on any device.
        indices: the dataset indices (N,).
        level: probability that a pixel is replaced.
        seed: not negative.

    Returns:
        float32 (N, C, H, W), on the device of ``clean``.
    """
    noisy = [
        impulse_noise(image[None], level, torch.Generator().manual_seed(_noise_seed(seed, index)))
        for image, index in zip(clean.cpu(), indices, strict=True)
    ]
    return torch.cat(noisy).to(clean.device)


def _noise_seed(seed: int, index: int) -> int:
    return int(digest(["denoising", IMPULSE, seed, int(index)])[:8], 16)


def _judge(
    session: Session,
    writer: Writer,
    dataset: ImageDataset,
    stored: StoredModel,
    indices: NDArray[np.int64],
    settings: DenoiserSettings,
) -> dict[str, int]:
    """Restore and score the test images that a denoiser has not restored from this noise."""
    metrics = {n: METRICS.load(n) for n in METRICS.names}
    metric_ids = {n: writer.metric(n, m.version, m.parameters) for n, m in metrics.items()}
    image_ids = writer.images(stored.dataset_id, dataset.records(indices))
    present = scored_images(
        writer.engine,
        stored.id,
        list(metric_ids.values()),
        noise=IMPULSE,
        level=settings.noise,
        seed=settings.seed,
    )
    found = sum(image_ids[int(i)] in present for i in indices)
    denoiser = load_denoiser(session, stored, dataset.info.channels)
    # Batches are cut from the whole list: a result does not depend on where a run stopped.
    batches = np.array_split(indices, range(CHUNK, len(indices), CHUNK))
    missing = [[int(i) for i in batch if image_ids[int(i)] not in present] for batch in batches]
    for own, _ in in_chunks(
        session,
        f"judging {stored.record.architecture}",
        mixed([own for own in missing if own]),
        len(indices),
        kept="the finished images are committed",
        again=session.again(settings.seed),
        writer=writer,
        done=found,
    ):
        records = _restored(session, dataset, denoiser, batches[missing.index(list(own))], settings)
        for index in own:
            writer.denoising(
                records[index], metric_ids, image_id=image_ids[index], denoiser_id=stored.id
            )
    return {"model": stored.id, "found": found, "judged": len(indices) - found}


def _restored(
    session: Session,
    dataset: ImageDataset,
    denoiser: nn.Module,
    chunk: NDArray[np.int64],
    settings: DenoiserSettings,
) -> dict[int, DenoisingRecord]:
    """Return the records of a batch by dataset index."""
    clean = to_unit_range(dataset.images(chunk), session.device)
    noisy = noisy_images(clean, chunk.tolist(), settings.noise, settings.seed)
    started = time.perf_counter()
    restored = restore(denoiser, noisy, batch=CHUNK)
    values = {n: metric_values(n, restored, clean) for n in METRICS.names}
    elapsed_ms = (time.perf_counter() - started) * 1000 / len(chunk)
    return {
        int(index): DenoisingRecord(
            image_index=int(index),
            noise=IMPULSE,
            level=settings.noise,
            seed=settings.seed,
            elapsed_ms=elapsed_ms,
            scores=tuple(score_record(name, values[name][place]) for name in METRICS.names),
        )
        for place, index in enumerate(chunk)
    }
