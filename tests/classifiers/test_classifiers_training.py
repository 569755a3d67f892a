from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits, predict
from pixguard.classifiers.training import train_classifier
from pixguard.config import TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import DataError, PixguardError
from pixguard.models.inputs import to_unit_range
from pixguard.models.training_loop import Fit, Workplace
from pixguard.progress import Silent, StopSignal
from support import StopAfter

CPU = torch.device("cpu")
SETTINGS = TrainSettings(
    "small-cnn", epochs=3, batch_size=8, learning_rate=0.05, stop_train_accuracy=1.0
)


def train(
    dataset: ImageDataset,
    settings: TrainSettings = SETTINGS,
    checkpoint: Path | None = None,
    stop: StopSignal | None = None,
) -> tuple[Classifier, Fit]:
    classifier = build_classifier("small-cnn", dataset.info, seed=settings.seed)
    fit = train_classifier(
        classifier,
        dataset,
        settings,
        Workplace(CPU, checkpoint, stop=stop or Silent()),
    )
    return classifier, fit


def accuracy(classifier: Classifier, dataset: ImageDataset, split: str = "test") -> float:
    records = predict(classifier, dataset, dataset.indices(split), device=CPU)
    return float(np.mean([r.predicted == dataset.label_set(r.image_index) for r in records]))


def test_loss_falls_and_stripes_are_learnt(stripes: ImageDataset) -> None:
    classifier, fit = train(stripes)
    losses = [epoch.train_loss for epoch in fit.epochs]
    assert losses[-1] < losses[0] / 2
    assert fit.finished and not classifier.training
    assert accuracy(classifier, stripes) == 1.0


def test_validation_agrees_with_the_canonical_evaluation(stripes: ImageDataset) -> None:
    classifier, fit = train(stripes, replace(SETTINGS, epochs=1, learning_rate=0.005))
    assert fit.epochs[-1].val_accuracy == accuracy(classifier, stripes, "val")
    losses = []
    for index in stripes.indices("val"):
        logits = canonical_logits(classifier, to_unit_range(stripes.images([index]), CPU))
        losses.append(-float(classifier.probabilities(logits)[0, stripes.labels[index]].log()))
    assert fit.epochs[-1].val_loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_resumed_training_is_bitwise_the_uninterrupted_one(
    stripes: ImageDataset, tmp_path: Path
) -> None:
    whole, _ = train(stripes)
    _, stopped = train(stripes, checkpoint=tmp_path / "c.pt", stop=StopAfter(7))
    resumed, fit = train(stripes, checkpoint=tmp_path / "c.pt")
    assert not stopped.finished and len(stopped.epochs) == 1
    assert fit.finished and len(fit.epochs) == 3
    expected = whole.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.state_dict().items())


def test_checkpoint_of_other_images_is_refused(stripes: ImageDataset, tmp_path: Path) -> None:
    train(stripes, checkpoint=tmp_path / "c.pt")
    changed = replace(stripes, info=replace(stripes.info, manifest_sha256="1" * 64))
    with pytest.raises(PixguardError, match="another training"):
        train(changed, checkpoint=tmp_path / "c.pt")


@pytest.fixture
def leaky(stripes: ImageDataset) -> ImageDataset:
    """Stripes whose validation labels are all wrong, and whose test labels are right."""
    labels = stripes.labels.copy()
    validation = stripes.indices("val")
    labels[validation] = 1 - labels[validation]
    return replace(stripes, labels=labels)


def test_early_stop_needs_both_accuracies(stripes: ImageDataset, leaky: ImageDataset) -> None:
    settings = replace(SETTINGS, epochs=6, stop_train_accuracy=0.95)
    _, stopped = train(stripes, settings)
    last = stopped.epochs[-1]
    assert stopped.finished and len(stopped.epochs) < 6
    assert last.train_accuracy > 0.95 and last.val_accuracy > 0.90
    assert all(e.train_accuracy <= 0.95 or e.val_accuracy <= 0.90 for e in stopped.epochs[:-1])
    _, misjudged = train(leaky, settings)
    assert len(misjudged.epochs) == 6
    assert misjudged.epochs[-1].train_accuracy > 0.95 and misjudged.epochs[-1].val_accuracy < 0.5


def test_paper_early_stop_judges_on_test_images(leaky: ImageDataset) -> None:
    settings = replace(SETTINGS, epochs=6, stop_train_accuracy=0.95, paper_early_stop=True)
    _, fit = train(leaky, settings)
    assert len(fit.epochs) < 6 and fit.epochs[-1].val_accuracy > 0.90


def test_without_validation_images_training_goes_to_the_end(stripes: ImageDataset) -> None:
    dataset = replace(stripes, splits=np.where(stripes.splits == 1, 2, stripes.splits))
    _, fit = train(dataset, replace(SETTINGS, stop_train_accuracy=0.0))
    assert len(fit.epochs) == 3 and fit.epochs[-1].val_loss is None


def test_limit_caps_the_images_that_are_read(stripes: ImageDataset) -> None:
    read: list[int] = []

    def watch(indices: np.ndarray) -> np.ndarray:
        read.extend(indices.tolist())
        return stripes.images(indices)

    train(replace(stripes, read=watch), replace(SETTINGS, epochs=2, limit=10))
    training = [index for index in read if index < 40]
    assert len(set(training)) == 10 and len(training) == 20


def _findings(make_dataset: Callable[..., ImageDataset]) -> ImageDataset:
    """A bright left half is finding 0, a bright right half finding 1; many images have none."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, (90, 2)).astype(np.uint8)
    images = generator.integers(0, 60, (90, 12, 12, 1)).astype(np.uint8)
    images[:, :, :6] += 120 * labels[:, 0, None, None, None]
    images[:, ::2, 6:] += 120 * labels[:, 1, None, None, None]
    splits = np.repeat(np.array([0, 1, 2], dtype=np.uint8), [60, 15, 15])
    return make_dataset(images, labels, splits, label_count=2, task="multi-label")


def test_multi_label_trains_on_images_with_findings_only(
    make_dataset: Callable[..., ImageDataset],
) -> None:
    dataset = _findings(make_dataset)
    read: set[int] = set()

    def watch(indices: np.ndarray) -> np.ndarray:
        read.update(indices.tolist())
        return dataset.images(indices)

    classifier, fit = train(replace(dataset, read=watch), replace(SETTINGS, epochs=15))
    with_findings = {int(i) for i in np.flatnonzero(dataset.labels.any(axis=1)) if i < 75}
    assert read == with_findings and len(with_findings) < 75
    # Right means the whole label set is: chance among the three sets is a third.
    assert fit.epochs[-1].train_accuracy > 0.9
    assert classifier.task == "multi-label"


def test_multi_label_accuracy_counts_whole_label_sets(
    make_dataset: Callable[..., ImageDataset],
) -> None:
    dataset = _findings(make_dataset)
    classifier, fit = train(dataset, replace(SETTINGS, epochs=1, learning_rate=0.005))
    validation = dataset.indices("val")
    validation = validation[dataset.labels[validation].any(axis=1)]
    records = predict(classifier, dataset, validation, device=CPU)
    truths = [set(dataset.label_set(r.image_index)) for r in records]
    right = [set(r.predicted) == truth for r, truth in zip(records, truths, strict=True)]
    half = [len(set(r.predicted) ^ truth) == 1 for r, truth in zip(records, truths, strict=True)]
    assert any(right) and any(half)
    assert fit.epochs[-1].val_accuracy == np.mean(right)


def test_nothing_to_train_on_is_told(stripes: ImageDataset) -> None:
    with pytest.raises(DataError, match="no images to train on"):
        train(replace(stripes, splits=np.full_like(stripes.splits, 2)))


def test_small_cnn_learns_pneumonia(
    real_data: Path, make_dataset: Callable[..., ImageDataset]
) -> None:
    images, labels, sizes = [], [], []
    with np.load(real_data / "pneumoniamnist.npz", allow_pickle=False) as arrays:
        for part, per_class in [("train", 300), ("val", 50), ("test", 150)]:
            given = arrays[f"{part}_labels"][:, 0].astype(np.int64)
            chosen = np.concatenate([np.flatnonzero(given == c)[:per_class] for c in (0, 1)])
            images.append(arrays[f"{part}_images"][chosen, ..., None])
            labels.append(given[chosen])
            sizes.append(len(chosen))
    dataset = make_dataset(
        np.concatenate(images),
        np.concatenate(labels),
        np.repeat(np.array([0, 1, 2], dtype=np.uint8), sizes),
        label_count=2,
    )
    classifier, _ = train(dataset, replace(SETTINGS, epochs=2, learning_rate=0.005))
    assert accuracy(classifier, dataset) > 0.5 + 0.15  # half of the images are of each class
