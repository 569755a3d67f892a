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

import postgresql
from pixguard.records import Flip, FooledPixel, PixelMap
from pixguard.store import tables as t
from pixguard.store.engine import connect
from pixguard.store.location import locate

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
    if postgresql.STORE != "sqlite":
        return connect(locate(postgresql.with_tables()), writable=True)
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


def complete(mini: Miniature) -> None:
    """Add changed pixels for every success on oct's resnet50 #2, and epochs.

    Ordinal 0 is at (n, 3), n counting from 0; of two pixels the second is at (n, 4).
    """
    attempts = t.Attempt.__table__
    wanted = attempts.select().where(attempts.c.model_id == 2, attempts.c.success == 1)
    with mini.engine.connect() as connection:
        found = connection.execute(wanted.order_by(attempts.c.id)).all()
    for place, attempt in enumerate(found):
        for ordinal in range(2 if attempt.attack_id == 2 else 1):
            at = {"row": place % 28, "col": 3 + ordinal, "before": "[0]", "after": "[255]"}
            mini.add(t.Pixel, attempt_id=attempt.id, ordinal=ordinal, **at)
    dae = mini.model("denoiser", "dae", 1, hyperparameters='{"variant": "conv-16"}')
    unknown = dict.fromkeys(("train_accuracy", "val_accuracy"))
    for model, losses in ((2, (0.9, 0.4, 0.2)), (dae, (0.3, 0.1))):
        for epoch, loss in enumerate(losses, 1):
            values = {"train_loss": loss, "val_loss": loss / 2, "seconds": 1.0, **unknown}
            mini.add(t.TrainingEpoch, model_id=model, epoch=epoch, **values)
    _defend(mini, dae)


SURVEYED = {21: [(3, 4), (5, 6)], 22: [(3, 4)], 23: []}
"""Images of which every pixel was surveyed, and the pixels (row, column) that fool them."""


def _defend(mini: Miniature, dae: int) -> None:
    """Add scores of dae, a detector and certificates, on oct's resnet50 #2.

    Restored by dae: the successes of attack 1, seed 0, which are of images 21, 27, 28 and 29; PSNR
    30, 31, 32 and infinite. Detector: normal images (27 to 30) score 0 to 3, others (21 to 26) 2.5
    and more; of the four attacked images, each scores 1 above its clean one. Certificates: images
    21 and 22, right up to 0 and 2 pixels, 23, wrong, up to 5, and 27 to 30, right, up to 1.
    Surveys:
    :data:`SURVEYED`.
    """
    metrics = mini.metrics()
    with mini.engine.connect() as connection:
        rows = connection.execute(t.Attempt.__table__.select()).all()
    fooled = [
        row
        for row in rows
        if (row.attack_id, row.model_id, row.success, row.seed, row.repeat) == (1, 2, 1, 0, 0)
        and row.target is None
        and row.through_model_id is None
    ]
    for place, attempt in enumerate(fooled):
        restored = mini.restoration(attempt.id, attempt.image_id, 2, dae, 1)
        for name, metric in metrics.items():
            infinite = name == "psnr" and place == 3
            value = 30 + place if name == "psnr" else 0.1 * place
            mini.score(restored, metric, "inf" if infinite else value)
    detector = mini.model(
        "detector",
        "one-class-svm",
        1,
        hyperparameters='{"normal": "Normal", "training_images": 4, "epochs": 1, "seed": 0, '
        '"nu": 0.1, "gamma": 0.2, "pooled": 1}',
    )
    scores = {
        27: 0.0,
        28: 1.0,
        29: 2.0,
        30: 3.0,
        21: 2.5,
        22: 3.0,
        23: 4.0,
        24: 5.0,
        25: 6.0,
        26: 7.0,
    }
    for image, score in scores.items():
        mini.detection(detector, image, score, int(score > 2.75))
    for attempt in fooled:
        score = scores[attempt.image_id] + 1
        mini.detection(detector, attempt.image_id, score, int(score > 2.75), attempt.id)
    radii = {21: ("0", 0), 22: ("0", 2), 23: ("3", 5), **{n: ("3", 1) for n in range(27, 31)}}
    for image, (predicted, radius) in radii.items():
        mini.add(
            t.Certificate,
            model_id=2,
            image_id=image,
            run_id=1,
            method="polyphase-vote",
            predicted=predicted,
            votes="[]",
            radius=radius,
        )
    for image, places in SURVEYED.items():
        flips = (Flip(row, col, (255,), 99, (3,), 0.6) for row, col in places)
        known = PixelMap(0, "", (0,), tuple(FooledPixel(flip, True) for flip in flips))
        votes = [784 - len(places), len(places), 0, 0]
        for method, content in (("pixel-survey 9", votes), ("pixel-map 9", known.content())):
            mini.add(
                t.Certificate,
                model_id=2,
                image_id=image,
                run_id=1,
                method=method,
                predicted="0",
                votes=json.dumps(content),
                radius=known.radius,
            )
