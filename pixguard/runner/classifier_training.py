"""Classifiers and votes to train, and to judge on the test images."""

from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pixguard.attacks.hardening import with_found_pixels
from pixguard.classifiers.builders import build_classifier, canonical_name
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.training import default_loss, train_classifier
from pixguard.config import TrainSettings, VoteSettings
from pixguard.datasets.base import ImageDataset
from pixguard.defences.certificates.polyphase_vote import (
    as_classifier,
    build_voter,
    phase_dataset,
)
from pixguard.defences.certificates.randomised_ablation import (
    SAMPLES,
    as_trainee,
    build_asked,
)
from pixguard.defences.certificates.randomised_ablation import as_classifier as as_smoothed
from pixguard.models.training_loop import Made, Workplace
from pixguard.records import CONFIDENCE, POLYPHASE_VOTE, RANDOMISED_ABLATION
from pixguard.runner.judging import judge_test_images
from pixguard.runner.removing import removed_without_answers
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject, open_stored
from pixguard.runner.training import Training, described, require_one_size
from pixguard.store import reader
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer

TrainSettingsT = TypeVar("TrainSettingsT", bound=TrainSettings)


class _JudgedTraining(Training[TrainSettingsT]):
    """What classifiers and votes share: the paper's loss by default, and the test images.

    ``name`` is what the model is called in the end, also where it was trained before; None: nothing
    is changed.
    """

    kind = "classifier"
    concludes_again = True

    def __init__(
        self, dataset: ImageDataset, settings: TrainSettingsT, name: str | None = None
    ) -> None:
        require_one_size(dataset.info, "training a classifier")
        if name is not None:
            reader.refuse_selector(name)
        self._name = name
        settled = replace(
            settings,
            architecture=canonical_name(settings.architecture),
            loss=settings.loss or default_loss(dataset.info.task),
        )
        super().__init__(dataset, settled)

    def with_seed(self, seed: int) -> Self:
        """Return the training with another seed, of the same name."""
        return type(self)(self.dataset, replace(self.settings, seed=seed), self._name)

    @property
    def identity(self) -> dict[str, Any]:
        """Every setting; a file of weights by its content."""
        return self.settings.identity()

    def conclude(
        self, session: Session, writer: Writer, stored: StoredModel, made: Made | None
    ) -> dict[str, Any]:
        """Judge the test images; a training that was stopped while it did so goes on from there."""
        dataset = self.dataset
        if self._name is not None:
            writer.name_model(stored.id, self._name)
        if made is None:
            classifier = open_stored(session, stored, dataset.info)
        else:
            assert isinstance(made.module, Classifier)
            classifier = made.module.eval()
        # Where it was trained before, its images may have been moved: their new place is noted.
        subject = Subject(dataset, writer.dataset(dataset.info), stored, classifier)
        again = session.again(self.settings.seed)
        with removed_without_answers(session, writer, stored):
            predictions = judge_test_images(session, writer, subject, again)
        tested = dataset.indices("test").tolist()
        correct = sum(predictions[i].predicted == dataset.label_set(i) for i in tested)
        return {
            "architecture": stored.record.architecture,
            "name": self._name or stored.record.name,
            **described(stored, dataset.info),
            "train_accuracy": stored.record.train_accuracy,
            "test_images": len(tested),
            "test_correct": correct,
            "test_accuracy": correct / len(tested) if tested else None,
            "weights": str(session.weights / stored.record.weights_file),
        }


class ClassifierTraining(_JudgedTraining[TrainSettings]):
    """A classifier of a dataset's images.

    Raises:
        UsageError: there is no such architecture, or images have many sizes.
    """

    @property
    def architecture(self) -> str:
        """The network's name."""
        return self.settings.architecture

    def make(self, at: Workplace) -> Made:
        """Train it on the training images."""
        settings = self.settings
        classifier = build_classifier(
            settings.architecture,
            self.dataset.info,
            seed=settings.seed,
            pretrained=settings.pretrained,
            say=at.display.say,
        )
        change = None
        if settings.adversarial_search != "random":
            search, pixels = settings.adversarial_search, settings.adversarial
            change = partial(with_found_pixels, search=search, pixels=pixels)
        return Made(classifier, train_classifier(classifier, self.dataset, settings, at, change))


class VoteTraining(_JudgedTraining[VoteSettings]):
    """A polyphase vote: a voter on the phases of a dataset's images.

    What is told of it is what is told of a classifier; ``train_accuracy`` is the voter's.

    Raises:
        UsageError: the stride does not fit the images, or the dataset is multi-label.
    """

    def __init__(
        self, dataset: ImageDataset, settings: VoteSettings, name: str | None = None
    ) -> None:
        super().__init__(dataset, settings, name)
        own = self.settings
        self._voter = build_voter(own.architecture, own.stride, dataset.info, own.seed)

    @property
    def architecture(self) -> str:
        """That of every vote, whatever the voter's is."""
        return POLYPHASE_VOTE

    def make(self, at: Workplace) -> Made:
        """Train the voter.

        Raises:
            DataError: there are no images to train on.
        """
        settings, stride = self.settings, self.settings.stride
        at.display.say(f"{stride**2} sub-images an image, {stride} x {stride} interleaved")
        images = phase_dataset(self.dataset, stride, self._members())
        fit = train_classifier(self._voter, images, replace(settings, limit=None), at)
        whole = replace(fit, train_size=fit.train_size // stride**2)
        parameters = {"voter": settings.architecture, "stride": stride}
        return Made(as_classifier(self._voter, stride), whole, parameters)

    def _members(self) -> NDArray[np.int64]:
        """Return the images whose phases are trained on, as many as the limit says, or judged."""
        dataset, settings = self.dataset, self.settings
        drawn = np.random.default_rng(settings.seed).permutation(dataset.indices("train"))
        return np.sort(np.concatenate([drawn[: settings.limit], dataset.indices("val")]))

    def conclude(
        self, session: Session, writer: Writer, stored: StoredModel, made: Made | None
    ) -> dict[str, Any]:
        """As of a classifier, with the number of votes."""
        told = super().conclude(session, writer, stored, made)
        stride = self.settings.stride
        return {**told, "stride": stride, "votes": stride**2}


class AblationTraining(_JudgedTraining[VoteSettings]):
    """A randomised ablation: a classifier of a dataset's images of which few pixels are seen.

    What is told of it is what is told of a classifier; ``train_accuracy`` is that of single
    ablations.

    Raises:
        UsageError: there are no more pixels than are kept, or the dataset is multi-label.
    """

    def __init__(
        self, dataset: ImageDataset, settings: VoteSettings, name: str | None = None
    ) -> None:
        super().__init__(dataset, settings, name)
        own = self.settings
        self._asked = build_asked(own.architecture, own.keep, dataset.info, own.seed)

    @property
    def architecture(self) -> str:
        """That of every randomised ablation, whatever it asks."""
        return RANDOMISED_ABLATION

    def make(self, at: Workplace) -> Made:
        """Train what sees the ablations."""
        settings, info = self.settings, self.dataset.info
        at.display.say(f"{settings.keep} of {info.size**2} pixels are seen at a time")
        trainee = as_trainee(self._asked, settings.keep)
        fit = train_classifier(trainee, self.dataset, settings, at)
        parameters = {"network": settings.architecture, "keep": settings.keep, "samples": SAMPLES}
        whole = as_smoothed(self._asked, settings.keep, info.size, SAMPLES)
        return Made(whole, fit, parameters)

    def conclude(
        self, session: Session, writer: Writer, stored: StoredModel, made: Made | None
    ) -> dict[str, Any]:
        """As of a classifier, with what a certificate rests on."""
        told = super().conclude(session, writer, stored, made)
        about = {"keep": self.settings.keep, "votes": SAMPLES, "confidence": CONFIDENCE}
        return {**told, **about}


def certified_training(
    dataset: ImageDataset, settings: VoteSettings, name: str | None = None
) -> VoteTraining | AblationTraining:
    """Return the training of the certificate that the settings name.

    Raises:
        UsageError: the settings do not fit the dataset.
    """
    kind = VoteTraining if settings.certificate == POLYPHASE_VOTE else AblationTraining
    return kind(dataset, settings, name)
