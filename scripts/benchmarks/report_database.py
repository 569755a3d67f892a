"""A large database of synthetic rows for ``bench_reports.py``: no image, no network."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, text

from pixguard.store import tables as t
from pixguard.store.engine import open_engine

CHUNK = 20_000
DATASETS = (("derma", 3, 7), ("pathology", 3, 9), ("oct", 1, 4), ("chest", 1, 5))
CLASSIFIERS = ("resnet50", "densenet121")
DENOISERS = ("identity", "median", "autoencoder", "dae", "noise2noise", "median-cnn")
DE = {"generations": 100, "goal": "non-targeted", "population": 100}
# name, pixels, parameters, seed, through a denoiser, share of successes
PLANS = (
    ("differential-evolution", 1, DE, 0, False, 0.2),
    ("differential-evolution", 1, DE, 1, False, 0.2),
    ("differential-evolution", 2, DE, 0, False, 0.3),
    ("differential-evolution", 1, DE, 0, True, 0.15),
    ("exhaustive", 1, {"goal": "non-targeted", "space": "all-values"}, 0, False, 0.25),
    ("corner", 1, {"goal": "non-targeted", "order": "gradient"}, 0, False, 0.22),
    ("random", 1, {"goal": "non-targeted", "queries": 10_100}, 0, False, 0.05),
)
METRICS = ("psnr", "ssim", "mse", "gmsd", "fsim")
SIZE = 224
RESTORED = ((0, 2), 4)
"""Plans and how many of the denoisers restored their successes."""

Values = dict[str, Any]


def key(*parts: object) -> str:
    """Return 64 hex digits that stand for some parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Filler:
    """Writes rows in bulk; ids count from 1 in every table."""

    def __init__(self, connection: Connection, attempts: int, restorations: int) -> None:
        self.connection = connection
        self.random = np.random.default_rng(0)
        self.ids = dict[str, int]()
        self.per_plan = attempts // (len(DATASETS) * len(CLASSIFIERS) * len(PLANS))
        plans, denoisers = RESTORED
        groups = len(DATASETS) * len(CLASSIFIERS) * len(plans) * denoisers
        self.restored_per_plan = restorations // groups

    def add(self, table: type[t.Base], **values: Any) -> int:
        """Insert one row; return its id."""
        (number,) = self.number(table, 1)
        self.connection.execute(insert(table), {"id": number, **values})
        return number

    def number(self, table: type[t.Base], count: int) -> range:
        """Return the next ids of a table."""
        first = self.ids.get(table.__tablename__, 0) + 1
        self.ids[table.__tablename__] = first + count - 1
        return range(first, first + count)

    def bulk(
        self, table: type[t.Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert rows given as the values of some columns."""
        names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})"
        chunk: list[Sequence[Any]] = []
        for row in rows:
            chunk.append(tuple(row))
            if len(chunk) == CHUNK:
                self.connection.exec_driver_sql(statement, chunk)
                chunk = []
        if chunk:
            self.connection.exec_driver_sql(statement, chunk)

    def fill(self) -> None:
        """Write everything."""
        environment = self.add(
            t.Environment,
            fingerprint="bench",
            pixguard_version="0",
            python_version="3",
            torch_version="2",
            cpu="synthetic CPU",
            cpu_threads=1,
            memory_mib=1024,
            packages="{}",
        )
        self.run = self.add(
            t.Run,
            uuid="bench",
            command="bench_reports",
            config="{}",
            config_hash="",
            seed=0,
            environment_id=environment,
            host="bench",
            pid=1,
            status="finished",
            started_ms=0,
            heartbeat_ms=0,
        )
        self.attacks = [self.attack(*plan[:3]) for plan in PLANS]
        self.metrics = [self.add(t.Metric, name=n, version=1, parameters="{}") for n in METRICS]
        for name, channels, classes in DATASETS:
            self.dataset(name, channels, classes)

    def attack(self, name: str, pixels: int, parameters: Values) -> int:
        """Register an attack once."""
        words = json.dumps(parameters, separators=(",", ":"))
        known = self.connection.execute(
            text("SELECT id FROM attack WHERE name = :name AND pixels = :pixels"),
            {"name": name, "pixels": pixels},
        ).scalar()
        if known is not None:
            return int(known)
        values = {"parameters": words, "parameters_hash": key(words)}
        return self.add(t.Attack, name=name, version=1, pixels=pixels, **values)

    def dataset(self, name: str, channels: int, classes: int) -> None:
        """Write a dataset with its images, classifiers, attempts and restorations."""
        dataset = self.add(
            t.Dataset,
            name=name,
            source="synthetic",
            size=SIZE,
            version="1",
            split_scheme="paper",
            split_seed=0,
            manifest_sha256="",
            task="multi-class",
            channels=channels,
            licence="",
            citation="",
        )
        for ordinal in range(classes):
            values = {"ordinal": ordinal, "code": str(ordinal), "name": f"class {ordinal}"}
            self.add(t.DatasetClass, dataset_id=dataset, **values)
        side = {"least_height": SIZE, "greatest_height": SIZE}
        self.add(
            t.DatasetContent, dataset_id=dataset, **side, least_width=SIZE, greatest_width=SIZE
        )
        images = self.number(t.Image, self.per_plan)
        labels = self.random.integers(0, classes, len(images))
        for ordinal, count in enumerate(np.bincount(labels, minlength=classes)):
            values = {"split": "test", "label_set": str(ordinal), "images": int(count)}
            self.add(t.DatasetCount, dataset_id=dataset, **values)
        self.bulk(
            t.Image,
            (
                "id",
                "dataset_id",
                "split",
                "dataset_index",
                "sha256",
                "height",
                "width",
                "label_set",
            ),
            (
                (image, dataset, "test", n, "s", SIZE, SIZE, str(labels[n]))
                for n, image in enumerate(images)
            ),
        )
        denoisers = [self.model("denoiser", n, dataset) for n in DENOISERS]
        for architecture in CLASSIFIERS:
            classifier = self.model("classifier", architecture, dataset)
            self.bulk(
                t.Prediction,
                ("model_id", "image_id", "predicted", "confidence"),
                ((classifier, image, str(labels[n]), 0.9) for n, image in enumerate(images)),
            )
            for number, plan in enumerate(PLANS):
                through = denoisers[1] if plan[4] else None
                succeeded = self.attempts(
                    number, classifier, images, labels, classes, channels, through
                )
                if number in RESTORED[0]:
                    self.restorations(classifier, denoisers[: RESTORED[1]], succeeded)
            self.clean(classifier, denoisers[1], images[:500])

    def model(self, kind: str, architecture: str, dataset: int) -> int:
        """Register a model."""
        return self.add(
            t.Model,
            kind=kind,
            architecture=architecture,
            dataset_id=dataset,
            weights_file="",
            weights_sha256=key(kind, architecture, dataset),
            run_id=self.run,
            parameters="{}",
            hyperparameters='{"training_images":7000}',
            trainable_parameters=1,
            frozen_parameters=0,
            training_seconds=100.0,
            epochs=10,
            train_accuracy=0.9 if kind == "classifier" else None,
            created_ms=1,
        )

    def attempts(
        self,
        number: int,
        classifier: int,
        images: range,
        labels: np.ndarray,
        classes: int,
        channels: int,
        through: int | None,
    ) -> list[tuple[int, int]]:
        """Write the attempts of a plan; return (attempt, image) of those that succeeded."""
        _, pixels, _, seed, _, share = PLANS[number]
        ids, count = self.number(t.Attempt, len(images)), len(images)
        success = (self.random.random(count) < share).astype(int)
        after = (labels + success * self.random.integers(1, classes, count)) % classes
        queries = np.where(success, self.random.integers(100, 10_100, count), 10_100)
        confidence = self.random.random(count)
        columns = (
            "id", "attempt_key", "attack_id", "model_id", "image_id", "run_id", "through_model_id",
            "repeat", "seed", "success", "predicted_before", "predicted_after",
            "confidence_before", "confidence_after", "true_confidence_after", "queries",
            "distinct_queries", "generations", "elapsed_ms", "evaluator", "precision",
        )  # fmt: skip
        self.bulk(
            t.Attempt,
            columns,
            (
                (
                    attempt, key(attempt), self.attacks[number], classifier, images[n], self.run,
                    through, 0, seed, int(success[n]), str(labels[n]), str(after[n]), 0.9,
                    float(confidence[n]), 0.1, int(queries[n]), int(queries[n]) // 2,
                    100, float(queries[n]) / 10, "delta", "bfloat16",
                )
                for n, attempt in enumerate(ids)
            ),
        )  # fmt: skip
        self.bulk(
            t.Pixel,
            ("attempt_id", "ordinal", "row", "col", "before", "after"),
            self.changed(ids, pixels, channels),
        )
        return [(ids[n], images[n]) for n in np.flatnonzero(success).tolist()]

    def changed(self, attempts: range, pixels: int, channels: int) -> Iterator[Sequence[Any]]:
        """Yield the pixels of attempts."""
        for ordinal in range(pixels):
            places = self.random.integers(0, SIZE, (len(attempts), 2)).tolist()
            colours = self.random.integers(0, 256, (len(attempts), 2, channels)).tolist()
            for attempt, (row, col), (before, after) in zip(attempts, places, colours, strict=True):
                words = (json.dumps(c, separators=(",", ":")) for c in (before, after))
                yield attempt, ordinal, row, col, *words

    def restorations(
        self, classifier: int, denoisers: Sequence[int], succeeded: Sequence[tuple[int, int]]
    ) -> None:
        """Write what denoisers make of some of the successes, with all metrics."""
        chosen = succeeded[: self.restored_per_plan]
        for place, denoiser in enumerate(denoisers):
            ids = self.number(t.Restoration, len(chosen))
            recovered = (self.random.random(len(chosen)) < 0.2 * place).astype(int).tolist()
            columns = (
                "id", "restoration_key", "attempt_id", "image_id", "classifier_id", "denoiser_id",
                "run_id", "predicted", "confidence", "recovered", "elapsed_ms",
            )  # fmt: skip
            self.bulk(
                t.Restoration,
                columns,
                (
                    (one, key("r", one), attempt, image, classifier, denoiser, self.run, "0", 0.9,
                     right, 1.0)
                    for one, (attempt, image), right in zip(ids, chosen, recovered, strict=True)
                ),
            )  # fmt: skip
            values = self.random.random((len(ids), len(METRICS))) + np.array(
                [35 + place, 0, 0, 0, 0]
            )
            self.bulk(
                t.Score,
                ("restoration_id", "metric_id", "value", "value_kind"),
                (
                    (one, metric, value, "finite")
                    for one, own in zip(ids, values.tolist(), strict=True)
                    for metric, value in zip(self.metrics, own, strict=True)
                ),
            )

    def clean(self, classifier: int, denoiser: int, images: Sequence[int]) -> None:
        """Write what a denoiser makes of clean images."""
        ids = self.number(t.Restoration, len(images))
        columns = (
            "id", "restoration_key", "image_id", "classifier_id", "denoiser_id", "run_id",
            "predicted", "confidence", "recovered", "elapsed_ms",
        )  # fmt: skip
        self.bulk(
            t.Restoration,
            columns,
            (
                (one, key("r", one), image, classifier, denoiser, self.run, "0", 0.9, 1, 1.0)
                for one, image in zip(ids, images, strict=True)
            ),
        )


def make(path: Path, attempts: int, restorations: int) -> None:
    """Make the database."""
    engine = open_engine(str(path), create=True)
    try:
        with engine.begin() as connection:
            Filler(connection, attempts, restorations).fill()
    finally:
        engine.dispose()
