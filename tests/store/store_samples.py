"""A small database's worth of records, and a way to meet real file permissions as root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from pixguard.records import (
    AttackRecord,
    AttemptRecord,
    ClassInfo,
    DatasetInfo,
    ImageRecord,
    ModelRecord,
    PixelRecord,
)
from pixguard.store.writer import Writer
from postgresql import engine_of, place

ENVIRONMENT = {
    "pixguard_version": "0.1.0",
    "git_sha": None,
    "git_dirty": None,
    "python_version": "3.11",
    "torch_version": "2.15",
    "cuda_version": None,
    "cpu": "test",
    "cpu_threads": 1,
    "memory_mib": 1024,
    "gpu": None,
    "driver": None,
    "packages": {"numpy": "2"},
}
DATASET = DatasetInfo(
    name="oct",
    source="medmnist",
    size=28,
    version="1",
    split_scheme="paper",
    split_seed=0,
    manifest_sha256="m" * 64,
    task="multi-class",
    channels=1,
    classes=(ClassInfo(0, "CNV", "neovascular"), ClassInfo(1, "NORMAL", None)),
    location="octmnist.npz",
)
NOBODY = 65534


def open_writer(database: Path, command: str = "pixguard test", **config: object) -> Writer:
    return Writer(place(database), command=command, config=config, seed=7, environment=ENVIRONMENT)


def image(index: int, sha256: str | None = None) -> ImageRecord:
    return ImageRecord(index, "test", sha256 or f"{index:064d}", 28, 28, (index % 2,))


def model(weights: str, architecture: str = "resnet50", kind: str = "classifier") -> ModelRecord:
    return ModelRecord(
        kind=kind,
        architecture=architecture,
        weights_sha256=weights,
        weights_file=f"{weights}.safetensors",
        parameters={"classes": 2},
        hyperparameters={"epochs": 1},
        trainable_parameters=10,
        frozen_parameters=1,
        training_seconds=1.5,
        epochs=1,
        train_accuracy=0.9,
    )


def attack(pixels: int = 2) -> AttackRecord:
    return AttackRecord("de", 1, pixels, {"population": 100})


def attempt(
    key: str,
    index: int,
    *,
    success: bool = True,
    pixels: int = 2,
    target: int | None = None,
    repeat: int = 0,
) -> AttemptRecord:
    return AttemptRecord(
        attempt_key=key,
        image_index=index,
        target=target,
        repeat=repeat,
        seed=7,
        success=success,
        predicted_before=(index % 2,),
        predicted_after=(1 - index % 2,),
        confidence_before=0.9,
        confidence_after=0.6,
        true_confidence_after=0.4,
        queries=400,
        generations=3,
        elapsed_ms=12.5,
        evaluator="dense",
        precision="float32",
        pixels=tuple(PixelRecord(row, 5, (10,), (200 + row,)) for row in range(pixels)),
    )


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Read what is committed, through a connection of its own."""
    with engine_of(path).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def count(path: Path, table: str) -> int:
    return int(rows(path, f"SELECT COUNT(*) FROM {table}")[0][0])


def change(path: Path, statement: str) -> None:
    """Change what is stored, as no pixguard does."""
    with engine_of(path).begin() as connection:
        connection.execute(text(statement))


class Filled:
    """A database with ids of what is in it: 4 images, a classifier, a denoiser, an attack."""

    def __init__(self, path: Path | str, writer: Writer) -> None:
        self.path, self.database = path, place(path)
        self.dataset_id = writer.dataset(DATASET)
        self.images = writer.images(self.dataset_id, [image(i) for i in range(4)])
        self.model_id = writer.model(model("c" * 64), self.dataset_id)
        self.denoiser_id = writer.model(model("d" * 64, "dae", "denoiser"), self.dataset_id)
        self.attack_id = writer.attack(attack())

    def attempt(self, writer: Writer, record: AttemptRecord) -> None:
        writer.attempt(
            record,
            attack_id=self.attack_id,
            model_id=self.model_id,
            image_id=self.images[record.image_index],
        )


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write to a folder, and root's power to write nevertheless."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o777)
