"""What is attacked: one classifier and some images, the same for everyone who is measured."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import judge
from pixguard.config import DatasetSettings
from pixguard.datasets.base import ImageDataset, Images
from pixguard.datasets.opening import open_dataset
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.models.weights import load_weights
from pixguard.progress import Silent
from pixguard.runner.session import Session
from pixguard.runner.subject import DatasetRequest
from pixguard.runner.subject import open_subject as open_registered
from pixguard.store.location import files_folder

PHANTOMS = {1: "oct", 3: "derma"}
"""The phantoms that are taken for images of so many channels."""

CALIBRATION_PIXELS = 8 * 224 * 224
"""Image pixels from which an untrained network learns its batch statistics."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where classifier and images come from, as typed.

    Attributes:
        architecture: of the classifier; with ``database`` also an id or ``latest``.
        size: the side of the images in pixels; None with ``database``: as registered.
        channels: 1 or 3; None: as the images have.
        dataset: its name, with ``database`` or ``images_from``.
        images_from: a file or folder of real images; None: phantoms.
        weights: a file of trained weights; None: untrained, from seed 0.
        database: a pixguard database that holds the trained classifier.
    """

    architecture: str = "resnet50"
    size: int | None = 28
    channels: int | None = None
    dataset: str | None = None
    images_from: Path | None = None
    weights: Path | None = None
    database: Path | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A classifier and images that it decides upon.

    Attributes:
        classifier: in evaluation mode, on the device.
        images: uint8 (N, H, W, C).
        labels: int64 (N,), what the classifier says of each: the class that an attack is to leave.
        device: where everybody computes.
        trained: whether the weights are.
        words: what this is, for the reader of the result.
    """

    classifier: Classifier
    images: Images
    labels: NDArray[np.int64]
    device: torch.device
    trained: bool
    words: str

    def first(self, count: int) -> "Subject":
        """Return the subject with its first images only."""
        return replace(self, images=self.images[:count], labels=self.labels[:count])


def open_subject(
    source: Source, count: int, device: torch.device, *, lead: float | None = None
) -> Subject:
    """Return a classifier and ``count`` images, from the test split where it is trained.

    A trained classifier must be right about its images, as in the paper. With ``lead``, all
    attempts are to fail: see :func:`favour`.

    Raises:
        UsageError: the parts do not fit together, or there are too few images.
    """
    dataset, classifier, architecture, trained = _open(source, count, device)
    info = dataset.info
    if info.task != "multi-class":
        raise UsageError(
            f"{info.name!r} is a multi-label dataset, which no peer can attack",
            "a dataset of one class an image, such as oct",
        )
    if source.channels not in (None, info.channels):
        raise UsageError(
            f"the images have {info.channels} channel(s), not {source.channels}",
            "leave --channels out, or take other images",
        )
    if not trained:
        calibrate(classifier, dataset, device)
    images, labels = _choose(dataset, classifier, device, count, trained, lead is not None)
    if lead is not None:
        favour(classifier, Counter(labels.tolist()).most_common(1)[0][0], lead)
        labels = decisions(classifier, images, device)
        if len(set(labels.tolist())) > 1:
            raise UsageError("the lead is too small for these weights", "raise --lead")
    weights = "trained" if trained else "untrained weights, batch statistics from the images"
    words = f"{architecture} ({weights}) on {info.name} ({info.source})"
    return Subject(classifier, images, labels, device, trained, words)


def _open(
    source: Source, count: int, device: torch.device
) -> tuple[ImageDataset, Classifier, str, bool]:
    if source.database is not None:
        return _from_database(source, device)
    size = source.size or 28
    if source.images_from is not None:
        name = source.dataset or source.images_from.stem
        settings = DatasetSettings(name, "auto", size, source.images_from)
    else:
        # A trained classifier is attacked on a fifth of the phantoms: the test split.
        phantoms = max(50, count if source.weights is None else 20 * count)
        name = source.dataset or PHANTOMS[source.channels or 1]
        settings = DatasetSettings(name, "phantom", size, phantom_images=phantoms)
    dataset = open_dataset(settings, Silent())
    classifier = build_classifier(source.architecture, dataset.info, seed=0)
    if source.weights is not None:
        load_weights(classifier, source.weights)
    return dataset, classifier.to(device).eval(), source.architecture, source.weights is not None


def _from_database(
    source: Source, device: torch.device
) -> tuple[ImageDataset, Classifier, str, bool]:
    if source.dataset is None:
        raise UsageError("a database may hold classifiers of many datasets", "--dataset NAME")
    database = str(source.database)
    session = Session(database, files_folder(database), device, Silent(), Silent(), "bench")
    request = DatasetRequest(source.dataset, size=source.size, data_dir=source.images_from)
    found = open_registered(session, request, source.architecture)
    return found.dataset, found.classifier, found.model.record.architecture, True


@torch.no_grad()
def calibrate(classifier: Classifier, dataset: ImageDataset, device: torch.device) -> None:
    """Set the batch statistics of untrained weights from a few images.

    With the statistics that a fresh network begins with, its activations grow layer by layer and
    the probabilities saturate: a search would see only ties.
    """
    norms = [m for m in classifier.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over what it sees
    few = max(2, min(16, len(dataset), CALIBRATION_PIXELS // dataset.info.size**2))
    classifier.train()
    classifier(to_unit_range(dataset.images(range(few)), device))
    classifier.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def favour(classifier: Classifier, label: int, lead: float) -> None:
    """Give one class such a lead that no candidate takes the decision from it, in place.

    The lead is added to the bias of the last layer. The network, its cost and every evaluator stay
    as they are, and so does the order of candidates by the probability of that class, which falls
    and rises with its logit's lead over the others: a search sees the landscape that it would see,
    and its attempts take the whole budget.

    Raises:
        UsageError: the network does not end in a linear layer with a bias.
    """
    layers = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
    if not layers or layers[-1].bias is None or len(layers[-1].bias) != classifier.label_count:
        raise UsageError(
            "this network does not end in a linear layer whose bias could keep the decision",
            "leave --unsuccessful out",
        )
    with torch.no_grad():
        layers[-1].bias[label] += lead


def decisions(classifier: Classifier, images: Images, device: torch.device) -> NDArray[np.int64]:
    """Return int64 (N,), the canonical decisions on uint8 images (N, H, W, C)."""
    found = judge(classifier, images, device=device)
    return np.array([decision.label_set[0] for decision in found], dtype=np.int64)


def _choose(
    dataset: ImageDataset,
    classifier: Classifier,
    device: torch.device,
    count: int,
    trained: bool,
    one_class: bool,
) -> tuple[Images, NDArray[np.int64]]:
    """Return images and decisions; of one class where that class is to be favoured."""
    kept: list[Images] = []
    labels: list[int] = []
    for image, label, decision in _judged(dataset, classifier, device, trained):
        if trained and label != decision:
            continue
        if trained and one_class and labels and decision != labels[0]:
            continue
        kept.append(image)
        labels.append(decision)
        if len(kept) == count:
            return np.stack(kept), np.array(labels, dtype=np.int64)
    raise UsageError(
        f"there are only {len(kept)} such images, not {count}", f"--images {len(kept)}"
    )


def _judged(
    dataset: ImageDataset, classifier: Classifier, device: torch.device, trained: bool
) -> Iterator[tuple[Images, int, int]]:
    indices = dataset.indices("test") if trained else np.arange(len(dataset))
    for start in range(0, len(indices), 16):
        part = indices[start : start + 16]
        images = dataset.images(part)
        found = decisions(classifier, images, device)
        for image, index, decision in zip(images, part, found, strict=True):
            yield image, int(dataset.labels[index]), int(decision)
