"""Detectors to train on a dataset's classes, one of them or each in turn."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from pixguard.classifiers.classifier import Classifier
from pixguard.config import DetectorSettings
from pixguard.datasets.base import ImageDataset
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.errors import UsageError
from pixguard.models.training_loop import Made, Workplace
from pixguard.records import ANY_CLASS, NO_FINDING_ORDINAL
from pixguard.registry import load_target, suggestion
from pixguard.runner.detectors import find_asked
from pixguard.runner.images import drawn, indices_of_normal
from pixguard.runner.session import Session
from pixguard.runner.subject import open_stored
from pixguard.runner.training import Training, described, train_each
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer
from pixguard.words import shell_word

EVERY_CLASS = "all"
FEWEST_IMAGES = 10
"""Training images of the normal class; with fewer there is no boundary to speak of."""


class DetectorTraining(Training[DetectorSettings]):
    """A detector of images unlike those of the class that ``settings.normal`` names.

    ``classifier`` is the one that it asks, if it asks one.
    """

    kind = "detector"

    def __init__(
        self,
        dataset: ImageDataset,
        settings: DetectorSettings,
        classifier: Classifier | None = None,
    ) -> None:
        super().__init__(dataset, settings)
        self.note = f" ({settings.normal})"
        self._asked = {} if classifier is None else {"classifier": classifier}

    def with_seed(self, seed: int) -> Self:
        """Return the training with another seed, asking the same classifier."""
        return type(self)(self.dataset, replace(self.settings, seed=seed), **self._asked)

    @property
    def identity(self) -> dict[str, Any]:
        """Every setting, the detector's own among them."""
        return self.settings.identity()

    def make(self, at: Workplace) -> Made:
        """Train it on the images of the normal class; a limit draws them."""
        dataset, settings = self.dataset, self.settings
        indices = indices_of_normal(dataset, "train", settings.normal)
        images = dataset.images(drawn(indices, settings.limit, settings.seed))
        validation = dataset.images(indices_of_normal(dataset, "val", settings.normal))
        at.display.say(f"normal: {settings.normal}, {len(images)} training images")
        trainer = load_target(DETECTORS[settings.name].trainer)
        made: Made = trainer(images, validation, settings, at, **self._asked)
        return made

    def conclude(
        self, session: Session, writer: Writer, stored: StoredModel, made: Made | None
    ) -> dict[str, Any]:
        """Nothing is to be written."""
        assert made is not None
        about = described(stored, self.dataset.info)
        return {
            "training_images": made.fit.train_size,
            **made.parameters,
            "epochs": about["epochs"],
            "training_seconds": about["training_seconds"],
        }


def majority_class(dataset: ImageDataset) -> str:
    """Return the class to call normal: no finding, or the one with most training images."""
    for one in dataset.info.classes:
        if one.ordinal == NO_FINDING_ORDINAL:
            return one.name
    counts = dataset.class_counts("train")
    return max(counts, key=lambda name: counts[name])


def detector_trainings(
    session: Session, dataset: ImageDataset, settings: DetectorSettings
) -> list[DetectorTraining]:
    """Return the detectors to train: one, or with ``normal`` all, one a class.

    Of all classes those with fewer than :data:`FEWEST_IMAGES` training images are left out, and
    that is said.

    Raises:
        UsageError: no such detector or class, or too few images of it.
    """
    entry = DETECTORS[settings.name]
    options, asked = entry.settled(settings.options), None
    if entry.of_classifier:
        stored = find_asked(session, dataset.info, options.classifier)
        session.display.say(f"it asks classifier {stored.id} ({stored.record.architecture})")
        options = replace(options, classifier=stored.record.weights_sha256)
        asked = open_stored(session, stored, dataset.info)
    if settings.normal is None and not entry.of_class:
        own = replace(settings, normal=ANY_CLASS, options=options)
        return [DetectorTraining(dataset, own, asked)]
    normal = settings.normal or majority_class(dataset)
    there = dataset.class_counts("train")
    limit = settings.limit
    counts = {name: n if limit is None else min(n, limit) for name, n in there.items()}
    enough = [name for name, count in counts.items() if count >= FEWEST_IMAGES]
    names = [normal]
    if normal == EVERY_CLASS and EVERY_CLASS not in counts:
        rare = [f"{name} ({counts[name]})" for name in counts if name not in enough]
        if rare:
            session.display.say(f"too few training images to be normal: {', '.join(rare)}")
        names = enough
    elif normal not in counts:
        raise UsageError(
            f"{dataset.info.name!r} has no class {normal!r}",
            suggestion(normal, [*counts, EVERY_CLASS]),
        )
    if not names or not set(names) <= set(enough):
        raise _too_few(counts, repr(*names) if names else "any class")
    # A limit that leaves nothing out makes no other detector.
    return [
        DetectorTraining(
            dataset,
            replace(
                settings,
                normal=name,
                limit=None if counts[name] == there[name] else limit,
                options=options,
            ),
            asked,
        )
        for name in names
    ]


def _too_few(counts: Mapping[str, int], whose: str) -> UsageError:
    most = max(counts, key=lambda name: counts[name])
    return UsageError(
        f"a detector needs {FEWEST_IMAGES} training images of its normal class, and there are not "
        f"as many of {whose}",
        f"`normal={shell_word(most)}` has the most: {counts[most]}; or more images, or a larger "
        "`limit=...`",
    )


def train_detectors(
    session: Session,
    dataset: ImageDataset,
    settings: DetectorSettings,
    *,
    resume: bool = False,
    fresh_seed: bool = False,
) -> dict[str, Any]:
    """Train detectors on the images of a class, or of each in turn, and register them.

    Returns:
        What ``pixguard detect train --json`` prints.

    Raises:
        UsageError: as :func:`detector_trainings` and :func:`~pixguard.runner.training.train_each`.
        InterruptedRunError: a stop was requested; finished epochs and detectors are kept.
    """
    trainings = detector_trainings(session, dataset, settings)
    told = train_each(session, trainings, resume=resume, fresh_seed=fresh_seed)
    return {
        "dataset": dataset.info.name,
        "source": dataset.info.source,
        "size": dataset.info.size,
        "detectors": [
            {"normal_class": t.settings.normal, **own}
            for t, own in zip(trainings, told, strict=True)
        ],
    }
