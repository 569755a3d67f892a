from collections.abc import Iterator

import pytest

from pixguard.store import tables as t
from reports.reports_miniature import Miniature, fill, make_engine


@pytest.fixture
def empty() -> Iterator[Miniature]:
    """A database with a run and an environment, and nothing else."""
    engine = make_engine()
    db = Miniature(engine)
    db.start()
    yield db
    engine.dispose()


@pytest.fixture
def mini(empty: Miniature) -> Miniature:
    """The database that the head of reports_miniature.py describes."""
    fill(empty)
    return empty


@pytest.fixture
def full(mini: Miniature) -> Miniature:
    """The miniature with changed pixels for every success on oct's resnet50 #2, and epochs.

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
    return mini


def _defend(mini: Miniature, dae: int) -> None:
    """Add scores of dae, a detector and certificates, on oct's resnet50 #2.

    Restored by dae: the successes of attack 1, seed 0, which are of images 21, 27, 28 and 29; PSNR
    30, 31, 32 and infinite. Detector: normal images (27 to 30) score 0 to 3, others (21 to 26) 2.5
    and more; of the four attacked images, each scores 1 above its clean one. Certificates: images
    21 and 22, right up to 0 and 2 pixels, 23, wrong, up to 5, and 27 to 30, right, up to 1.
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
