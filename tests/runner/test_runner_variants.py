"""Variants and denoisers of one class: what they are trained on, and who stands for a name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.config import DatasetSettings, DenoiserSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.opening import open_dataset
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.registry import DAEOptions
from pixguard.errors import UsageError
from pixguard.models.weights import parameter_counts
from pixguard.progress import Silent
from pixguard.records import NO_FINDING_ORDINAL, ModelRecord
from pixguard.runner import denoiser_training
from pixguard.runner.denoiser_training import DenoiserTraining
from pixguard.runner.denoisers import choose_denoisers, load_denoiser
from pixguard.runner.images import indices_of_class
from pixguard.runner.layers import layer_table, layers_of_model
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.training import train
from pixguard.store import reader
from pixguard.store.engine import open_engine


def phantoms(name: str) -> ImageDataset:
    settings = DatasetSettings(name, source="phantom", size=28, phantom_images=60)
    return open_dataset(settings, Silent())


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(
        str(tmp_path / "x.db"),
        tmp_path / "x-files",
        torch.device("cpu"),
        Silent(),
        Silent(),
        "pixguard denoise train",
    )


@pytest.mark.parametrize("name", ["oct", "chest"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_images_of_a_class_are_those_that_carry_it(name: str, split: Any) -> None:
    dataset = phantoms(name)  # chest: several labels an image, or none
    assert indices_of_class(dataset, split, None).tolist() == dataset.indices(split).tolist()
    for one in dataset.info.classes:
        indices = indices_of_class(dataset, split, one.name)
        assert len(indices) == dataset.class_counts(split)[one.name]
        assert set(indices) <= set(dataset.indices(split))
        for index in indices:
            assert one.ordinal in (dataset.label_set(index) or (NO_FINDING_ORDINAL,))


def test_an_unknown_class_is_refused_with_the_choices() -> None:
    dataset = phantoms("oct")
    with pytest.raises(UsageError, match="no class 'AbdomenCT'") as caught:
        DenoiserTraining(dataset, DenoiserSettings("dae", only_class="AbdomenCT"))
    assert all(one.name in caught.value.hint for one in dataset.info.classes)


def test_only_images_of_the_class_are_trained_and_validated_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, seen = phantoms("oct"), list[np.ndarray[Any, Any]]()

    def look(settings: object, train: Any, val: Any, *rest: Any) -> None:
        seen.extend([np.asarray(train), np.asarray(val)])
        raise InterruptedError

    monkeypatch.setattr(denoiser_training, "train_denoiser", look)
    rarest = min(dataset.info.classes, key=lambda c: dataset.class_counts("train")[c.name])
    with pytest.raises(InterruptedError):
        settings = DenoiserSettings("autoencoder", only_class=rarest.name)
        train(session, DenoiserTraining(dataset, settings))
    for images, split in zip(seen, ("train", "val"), strict=True):
        indices = [i for i in dataset.indices(split) if dataset.labels[i] == rarest.ordinal]
        assert np.array_equal(images, dataset.images(indices))


def test_a_trained_variant_comes_back_from_the_registry(session: Session) -> None:
    dataset = phantoms("oct")
    settings = DenoiserSettings(
        "dae", epochs=1, batch_size=4, limit=8, options=DAEOptions("batch-norm")
    )
    made = train(session, DenoiserTraining(dataset, settings))
    stored = reader.find_model(open_engine(session.database), str(made["model"]))
    assert stored.record.parameters == {"attention": False, "residual": False, "skips": "none"}
    counts = (stored.record.trainable_parameters, stored.record.frozen_parameters)
    assert counts == (1_367_425, 1_920)
    loaded = load_denoiser(session, stored, 1)
    assert parameter_counts(loaded) == counts
    assert not loaded.training
    expected = build_denoiser("dae", 1, **stored.record.parameters)
    assert layers_of_model(stored, dataset.info) == layer_table(expected, 1, 28)


def record(number: int, parameters: dict[str, Any], only_class: str | None) -> ModelRecord:
    return ModelRecord(
        kind="denoiser",
        architecture="dae",
        weights_sha256=f"{number:064}",
        weights_file=f"{number}.safetensors",
        parameters=parameters,
        hyperparameters={"only_class": only_class},
        trainable_parameters=1,
        frozen_parameters=0,
        training_seconds=1.0,
        epochs=1,
    )


def test_a_name_stands_for_the_newest_default_and_variants_go_by_id(session: Session) -> None:
    dataset = phantoms("oct")
    with session.writer({}, seed=0) as writer:
        dataset_id = writer.dataset(dataset.info)
        old, new, depth, drusen = (
            writer.model(record(number, parameters, only_class), dataset_id)
            for number, (parameters, only_class) in enumerate(
                [({}, None), ({}, None), ({"widths": [32, 64, 128]}, None), ({}, "DRUSEN")]
            )
        )
        model = next(m for m in reader.models(writer.engine) if m.id == old)
        classifier: Any = SmallCNN(1, 4)
        subject = Subject(dataset, dataset_id, model, classifier)
        chosen = choose_denoisers(writer, subject, [])
        assert [m.id for m in chosen if m.record.architecture == "dae"] == [new]
        assert [m.id for m in choose_denoisers(writer, subject, ["dae"])] == [new]
        by_id = choose_denoisers(writer, subject, [str(depth), str(drusen), str(old)])
        assert [m.id for m in by_id] == [depth, drusen, old]
