"""A miniature database whose tables can be worked out by hand; every count is in the text below.

oct (real, 4 classes, resnet50 #2): 10 test images, 8 right. One-pixel attack, seed 0:

    class (ordinal)      test  right  attacked  fooled
    CNV (0)                 3      2         2       1
    DME (1)                 2      1         1       0
    Drusen (2)              1      0         0       0   <- nothing to attack
    Normal (3)              4      4         4       3
                                             7       4
"""

import json
from typing import Any

from sqlalchemy import Engine, create_engine, insert
from sqlalchemy.pool import StaticPool

from pixguard.store import tables as t

DE_PARAMETERS = json.dumps({"population": 100, "generations": 100})


class Miniature:
    """Writes rows with few words; ids count from 1 in every table."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._ids: dict[str, int] = {}

    def add(self, table: type[t.Base], **values: Any) -> int:
        name = table.__tablename__
        self._ids[name] = self._ids.get(name, 0) + 1
        with self.engine.begin() as connection:
            connection.execute(insert(table), {"id": self._ids[name], **values})
        return self._ids[name]

    def start(self) -> None:
        self.add(
            t.Environment,
            fingerprint="f",
            pixguard_version="0",
            python_version="3",
            torch_version="2",
            cpu="c",
            cpu_threads=1,
            memory_mib=1,
            packages="{}",
        )
        self.add(
            t.Run,
            uuid="u",
            command="c",
            config="{}",
            config_hash="h",
            seed=0,
            environment_id=1,
            host="h",
            pid=1,
            status="finished",
            started_ms=0,
            heartbeat_ms=0,
        )

    def dataset(
        self,
        name: str,
        classes: list[tuple[int, str, str | None]],
        *,
        source: str = "medmnist",
        size: int = 28,
        task: str = "multi-class",
    ) -> int:
        dataset = self.add(
            t.Dataset,
            name=name,
            source=source,
            size=size,
            version="3.0",
            split_scheme="paper",
            split_seed=0,
            manifest_sha256="m",
            task=task,
            channels=1,
            licence="",
            citation="",
        )
        for ordinal, label, disease in classes:
            code = "" if ordinal == -1 else str(ordinal)
            self.add(
                t.DatasetClass,
                dataset_id=dataset,
                ordinal=ordinal,
                code=code,
                name=label,
                disease_type=disease,
            )
        return dataset

    def image(self, dataset: int, label_set: str, split: str = "test") -> int:
        return self.add(
            t.Image,
            dataset_id=dataset,
            split=split,
            dataset_index=self._ids.get("image", 0),
            sha256="s",
            height=28,
            width=28,
            label_set=label_set,
        )

    def model(self, kind: str, architecture: str, dataset: int, **values: Any) -> int:
        number = self._ids.get("model", 0) + 1
        return self.add(
            t.Model,
            **{
                "kind": kind,
                "architecture": architecture,
                "dataset_id": dataset,
                "weights_file": "w",
                "weights_sha256": f"{number:064x}",
                "run_id": 1,
                "parameters": "{}",
                "hyperparameters": "{}",
                "trainable_parameters": 1,
                "frozen_parameters": 0,
                "training_seconds": 1.0,
                "epochs": 1,
                "train_accuracy": 0.9651 if kind == "classifier" else None,
                "created_ms": number,
                **values,
            },
        )

    def prediction(self, model: int, image: int, predicted: str, confidence: float = 0.9) -> None:
        values = {"predicted": predicted, "confidence": confidence}
        self.add(t.Prediction, model_id=model, image_id=image, **values)

    def attack(self, pixels: int, name: str = "differential-evolution", **values: Any) -> int:
        parameters = values.get("parameters", DE_PARAMETERS)
        return self.add(
            t.Attack,
            name=name,
            version=1,
            pixels=pixels,
            parameters=parameters,
            parameters_hash=parameters,
        )

    def attempt(self, attack: int, model: int, image: int, success: int, **values: Any) -> int:
        number = self._ids.get("attempt", 0) + 1
        return self.add(
            t.Attempt,
            **{
                "attempt_key": f"{number:064x}",
                "attack_id": attack,
                "model_id": model,
                "image_id": image,
                "run_id": 1,
                "through_model_id": None,
                "target": None,
                "repeat": 0,
                "seed": 0,
                "success": success,
                "predicted_before": "0",
                "predicted_after": "1",
                "confidence_before": 0.9,
                "confidence_after": 0.6,
                "true_confidence_after": 0.4,
                "queries": 100,
                "generations": 0,
                "elapsed_ms": 1.0,
                "evaluator": "dense",
                "precision": "float32",
                **values,
            },
        )

    def pixel(
        self,
        attempt: int,
        row: int,
        col: int,
        before: str = "[10]",
        after: str = "[255]",
        ordinal: int = 0,
    ) -> None:
        colours = {"before": before, "after": after}
        self.add(t.Pixel, attempt_id=attempt, ordinal=ordinal, row=row, col=col, **colours)

    def content(self, dataset: int, counts: dict[tuple[str, str], int], **values: Any) -> None:
        """Record what a dataset holds: (split, label set) -> images."""
        sides = ("least_height", "greatest_height", "least_width", "greatest_width")
        self.add(
            t.DatasetContent,
            dataset_id=dataset,
            **{"modality": None, **dict.fromkeys(sides, 28), **values},
        )
        for (split, label_set), images in counts.items():
            own = {"split": split, "label_set": label_set, "images": images}
            self.add(t.DatasetCount, dataset_id=dataset, **own)

    def metrics(self) -> dict[str, int]:
        names = ("psnr", "ssim", "mse", "gmsd", "fsim")
        return {n: self.add(t.Metric, name=n, version=1, parameters="{}") for n in names}

    def restoration(
        self, attempt: int | None, image: int, classifier: int, denoiser: int, recovered: int
    ) -> int:
        number = self._ids.get("restoration", 0) + 1
        return self.add(
            t.Restoration,
            restoration_key=f"{number:064x}",
            attempt_id=attempt,
            image_id=image,
            classifier_id=classifier,
            denoiser_id=denoiser,
            run_id=1,
            predicted="0",
            confidence=0.9,
            recovered=recovered,
            elapsed_ms=1.0,
        )

    def detection(
        self, detector: int, image: int, score: float, flagged: int, attempt: int | None = None
    ) -> int:
        number = self._ids.get("detection", 0) + 1
        return self.add(
            t.Detection,
            detection_key=f"{number:064x}",
            attempt_id=attempt,
            image_id=image,
            detector_id=detector,
            run_id=1,
            score=score,
            flagged=flagged,
            elapsed_ms=1.0,
        )

    def score(self, restoration: int, metric: int, value: float | str) -> None:
        kind = value if isinstance(value, str) else "finite"
        number = None if isinstance(value, str) else value
        self.add(
            t.Score,
            restoration_id=restoration,
            metric_id=metric,
            value=number,
            value_kind=kind,
        )


def make_engine() -> Engine:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    t.Base.metadata.create_all(engine)
    return engine


OCT_CLASSES = [
    (0, "Choroidal neovascularization", "Disease"),
    (1, "Diabetic macular edema", "Disease"),
    (2, "Drusen", "Disease"),
    (3, "Normal", "Normal"),
]
# (true class, predicted class, attacked, fooled)
OCT_IMAGES = [
    ("0", "0", True, 1),
    ("0", "0", True, 0),
    ("0", "3", False, 0),
    ("1", "1", True, 0),
    ("1", "0", False, 0),
    ("2", "2", False, 0),
    ("3", "3", True, 1),
    ("3", "3", True, 1),
    ("3", "3", True, 1),
    ("3", "3", True, 0),
]


def fill(db: Miniature) -> None:
    """Add oct as above, with rows that must not count; chest; pneumoniamnist; phantom derma."""
    _oct(db)
    _chest(db)
    _pneumonia_and_phantoms(db)


def _oct(db: Miniature) -> None:
    oct_ = db.dataset("oct", OCT_CLASSES)
    for _ in range(20):
        db.image(oct_, "0", "train")
    images = [db.image(oct_, truth) for truth, *_ in OCT_IMAGES]
    old = db.model("classifier", "resnet50", oct_)
    new = db.model("classifier", "resnet50", oct_)
    dense = db.model("classifier", "densenet121", oct_, train_accuracy=None)
    one, two = db.attack(1), db.attack(2)
    other_settings = db.attack(1, parameters='{"population": 10}')
    random = db.attack(1, name="random")
    for image, (truth, predicted, attacked, fooled) in zip(images, OCT_IMAGES, strict=True):
        # Drusen: predicted as class 0, so that nothing of it can be attacked.
        given = "0" if truth == "2" else predicted
        db.prediction(new, image, given)
        db.prediction(old, image, "3")
        if attacked:
            db.attempt(one, new, image, fooled)
            db.attempt(two, new, image, 1)
            db.attempt(two, dense, image, 1 - fooled)
            # What follows must be in no table.
            db.attempt(one, old, image, 1)
            db.attempt(one, new, image, 1, target=2)
            db.attempt(one, new, image, 1, through_model_id=new)
            db.attempt(one, new, image, 1, repeat=1)
            db.attempt(random, new, image, 1)
    db.attempt(one, new, images[0], 0, seed=7)
    db.attempt(other_settings, new, images[0], 1)


def _chest(db: Miniature) -> None:
    chest = db.dataset(
        "chest",
        [
            (-1, "Normal", "Normal"),
            (0, "Atelectasis", "Disease"),
            (1, "Cardiomegaly", None),
            (2, "Effusion", "Disease"),
            (3, "Infiltration", "Disease"),
            (5, "Nodule", "Disease"),
            (10, "Emphysema", None),
        ],
        size=64,
        task="multi-label",
    )
    model = db.model("classifier", "resnet50", chest)
    attack = db.attack(1, parameters='{"population": 100, "chest": true}')
    # (true set, predicted set, attacked, fooled)
    rows = [
        ("", "", True, 1),
        ("", "", True, 0),
        ("", "0", False, 0),
        ("0", "0", True, 1),
        ("2", "2", True, 1),
        ("0,2", "0,2", True, 1),
        ("0,5", "0", False, 0),
        ("5", "", False, 0),
        ("10", "10", False, 0),
    ]
    for truth, predicted, attacked, fooled in rows:
        image = db.image(chest, truth)
        db.prediction(model, image, predicted)
        if attacked:
            db.attempt(attack, model, image, fooled)


def _pneumonia_and_phantoms(db: Miniature) -> None:
    pneumonia = db.dataset("pneumoniamnist", [(0, "normal", None), (1, "pneumonia", None)])
    small = db.model("classifier", "small-cnn", pneumonia)
    derma = db.dataset("derma", [(4, "Melanoma", "Disease")], source="phantom")
    phantom = db.model("classifier", "resnet50", derma)
    for success in (1, 0):
        image = db.image(pneumonia, "1")
        db.prediction(small, image, "1")
        db.attempt(1, small, image, success)
    image = db.image(derma, "4")
    db.prediction(phantom, image, "4")
    db.attempt(1, phantom, image, 1)
