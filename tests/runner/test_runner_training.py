"""The one verb that trains: keys that databases hold, from whoever asks; what is begun goes on."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixguard.config import (
    DatasetRequest,
    DenoiserSettings,
    DetectorSettings,
    TrainSettings,
    VoteSettings,
)
from pixguard.datasets.base import ImageDataset
from pixguard.defences.denoisers.registry import DAEOptions
from pixguard.defences.detectors.registry import DETECTORS, DetectorEntry, OneClassSVMOptions
from pixguard.errors import DataError, InterruptedRunError, PixguardError, UsageError
from pixguard.models.training_loop import DivergedError, Fit, Made, Workplace
from pixguard.progress import Silent
from pixguard.records import NATIVE_SIZE, ClassInfo, DatasetInfo
from pixguard.runner.classifier_training import ClassifierTraining, VoteTraining
from pixguard.runner.denoiser_training import DenoiserTraining
from pixguard.runner.denoisers import is_default, load_denoiser
from pixguard.runner.detector_training import detector_trainings, train_detectors
from pixguard.runner.detectors import find_detectors, label, load_detector
from pixguard.runner.session import Session
from pixguard.runner.subject import Watch, open_stored
from pixguard.runner.training import Training, train
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.lock import WriterLock
from pixguard.store.reader import StoredModel
from support import by_name

CLASSES = (ClassInfo(0, "flat"), ClassInfo(1, "round"))
INFO = DatasetInfo("shapes", "folder", 28, "v", "paper", 0, "m" * 64, "multi-class", 1, CLASSES)


def make_dataset(info: DatasetInfo = INFO) -> ImageDataset:
    """Return 60 images of noise, two classes in turn."""
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28, info.channels), dtype=np.uint8)
    splits = np.repeat(np.array([0, 1, 2], np.uint8), [40, 10, 10])
    labels = np.arange(60) % 2
    if info.task == "multi-label":
        labels = np.eye(2, dtype=np.uint8)[labels]
    sizes = np.full((60, 2), 28, np.int32) if info.is_native else None
    return ImageDataset(info, labels, splits, lambda i: images[i], original_sizes=sizes)


DATASET = make_dataset()
LABELS = make_dataset(replace(INFO, task="multi-label"))
NATIVE = make_dataset(replace(INFO, size=NATIVE_SIZE))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(
        str(tmp_path / "x.db"),
        tmp_path / "x-files",
        torch.device("cpu"),
        Silent(),
        Silent(),
        "pixguard train",
    )


def detector(**settings: Any) -> Training[Any]:
    where = Session("", Path(), torch.device("cpu"), Silent(), Silent(), "")
    (training,) = detector_trainings(where, DATASET, DetectorSettings(**settings))
    return training


TRAININGS: dict[str, tuple[Training[Any], str]] = {
    "a classifier": (
        ClassifierTraining(DATASET, TrainSettings("small-cnn", epochs=3)),
        "812d09f7be02a0f1",
    ),
    "of several labels": (
        ClassifierTraining(LABELS, TrainSettings("small-cnn")),
        "284ea7f148bad35d",
    ),
    "a vote": (VoteTraining(DATASET, VoteSettings(stride=2)), "6816bd7770ce57a5"),
    "a denoiser": (DenoiserTraining(DATASET, DenoiserSettings("noise2noise")), "e7e2392e0786085b"),
    "a variant": (
        DenoiserTraining(
            DATASET,
            DenoiserSettings("dae", noise=0.2, only_class="round", options=DAEOptions("depth-3")),
        ),
        "9283a86920363c18",
    ),
    "of native images": (DenoiserTraining(NATIVE, DenoiserSettings()), "1a760a8b4b193f8d"),
    "a detector": (detector(), "77fb71b9f062d94c"),
    "of another class": (
        detector(normal="round", epochs=2, limit=12, options=OneClassSVMOptions(0.1)),
        "a21495ac57178c37",
    ),
}
"""Trainings, and the keys that the command line gave them when it filled in what was left open."""


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_has_the_key_that_it_always_had(name: str) -> None:
    training, key = TRAININGS[name]
    assert training.key[:16] == key
    assert training.key_of(training.settings.seed + 1) != training.key


def test_a_file_of_weights_identifies_a_training_by_its_content(tmp_path: Path) -> None:
    def key(pretrained: str | None) -> str:
        return ClassifierTraining(DATASET, TrainSettings(pretrained=pretrained)).key

    for name, content in [("a.pth", b"1"), ("b.pth", b"1"), ("c.pth", b"2")]:
        (tmp_path / name).write_bytes(content)
    a, b, c = (key(str(tmp_path / name)) for name in ("a.pth", "b.pth", "c.pth"))
    assert a == b and len({a, c, key(None), key("torchvision")}) == 4
    # What it was when it was a switch.
    assert key("torchvision")[:16] == "aafb9560ae087293"
    with pytest.raises(PixguardError, match=r"none\.pth cannot be read"):
        key(str(tmp_path / "none.pth"))


def test_what_is_left_open_and_what_is_said_are_the_same_training() -> None:
    for open_, said in [
        (TrainSettings("small-cnn"), TrainSettings("small-cnn", loss="ce")),
        (TrainSettings("small-cnn", loss="focal"), TrainSettings("small-cnn", loss="focal")),
    ]:
        assert ClassifierTraining(DATASET, open_).key == ClassifierTraining(DATASET, said).key
    assert detector().key == detector(normal="flat", options=OneClassSVMOptions()).key
    plain = DenoiserTraining(DATASET, DenoiserSettings()).key
    assert plain == DenoiserTraining(DATASET, DenoiserSettings(options=DAEOptions())).key


@pytest.mark.parametrize("dataset", [DATASET, NATIVE], ids=["28 pixels", "native"])
def test_a_fresh_seed_is_one_that_no_training_has(session: Session, dataset: ImageDataset) -> None:
    settings = DenoiserSettings("autoencoder", epochs=1, limit=2)
    training = DenoiserTraining(dataset, settings)
    first = train(session, training)
    with pytest.raises(UsageError, match="this training is finished"):
        train(session, training)
    again = train(session, training, resume=True)
    assert again == {"run": None, "model": first["model"], "already_trained": True}
    second = train(session, training, fresh_seed=True)
    session.checkpoint(training.key_of(2)).touch()  # as if begun
    third = train(session, training, fresh_seed=True)
    with reading(session.database) as engine:
        seeds = {m.id: m.record.hyperparameters["seed"] for m in reader.models(engine)}
    assert [seeds[one["model"]] for one in (first, second, third)] == [0, 1, 3]


@pytest.mark.parametrize("kind", ["classifier", "vote", "denoiser", "detector"])
def test_the_same_images_under_a_second_name_make_a_model_of_their_own(
    session: Session, kind: str
) -> None:
    """Their weights are the same, and a finished training was lost for that."""

    def trained(dataset: ImageDataset) -> StoredModel:
        if kind == "detector":
            made = train_detectors(session, dataset, DetectorSettings("flat", epochs=1, limit=12))
            told = by_name(made["detectors"], "normal_class")["flat"]
        else:
            vote = VoteSettings(stride=2, epochs=1, limit=8)
            training: Training[Any] = {
                "classifier": lambda: ClassifierTraining(
                    dataset, TrainSettings("small-cnn", epochs=1, limit=8)
                ),
                "vote": lambda: VoteTraining(dataset, vote),
                "denoiser": lambda: DenoiserTraining(
                    dataset, DenoiserSettings("autoencoder", epochs=1, limit=8)
                ),
            }[kind]()
            told = train(session, training)
        with reading(session.database) as engine:
            return reader.model(engine, told["model"])

    other = make_dataset(replace(INFO, name="forms"))
    first, second = trained(DATASET), trained(other)
    assert (first.dataset_name, second.dataset_name) == ("shapes", "forms")
    assert first.record.weights_file == second.record.weights_file
    assert first.record.weights_sha256 != second.record.weights_sha256
    assert first.record.weights_sha256 == first.record.content_sha256
    assert first.record.content_sha256 == second.record.content_sha256
    if kind == "detector":
        load_detector(session, Watch(second), 1)
    elif kind == "denoiser":
        load_denoiser(session, second, 1)
    else:
        open_stored(session, second, other.info)


def test_what_could_not_be_registered_is_refused_before_the_work(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def training(**other: Any) -> Training[Any]:
        dataset = make_dataset(replace(INFO, **other))
        return DenoiserTraining(dataset, DenoiserSettings("autoencoder", epochs=1, limit=2))

    train(session, training())
    monkeypatch.setattr(DenoiserTraining, "make", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(DataError, match="changed since it was registered"):
        train(session, training(manifest_sha256="n" * 64))
    with pytest.raises(DataError, match="not text in UTF-8"):
        train(session, training(name="b", location=os.fsdecode(b"/images/na\xefve")))


def test_a_default_denoiser_goes_by_its_name_and_a_variant_by_its_id(session: Session) -> None:
    for variant, default in ((None, True), ("depth-and-kernels", False)):
        settings = DenoiserSettings("dae", epochs=1, limit=2, options=DAEOptions(variant))
        told = train(session, DenoiserTraining(DATASET, settings))
        assert told["variant"] == variant
        with reading(session.database) as engine:
            assert is_default(reader.model(engine, told["model"])) is default


class Mean(torch.nn.Module):
    """Scores an image by its distance from the mean brightness that it knows."""

    def __init__(self, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("known", torch.rand(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        known: Any = self.known
        return (images.mean((1, 2, 3)) - known).abs().double() * self.scale


def train_mean(train: Any, val: Any, settings: DetectorSettings, at: Workplace) -> Made:
    return Made(Mean(1, 2.0), Fit((), 0.5, True, len(train)), {"scale": 2.0})


def test_the_detector_that_is_asked_for_is_trained_and_registered(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = DetectorEntry("mean", f"{__name__}:Mean", trainer=f"{__name__}:train_mean")
    monkeypatch.setitem(DETECTORS._entries, "mean", entry)
    settings = DetectorSettings("round", "mean", seed=4)
    known = set()
    for state in (0, 1):
        torch.manual_seed(state)  # what else was drawn in the process must not matter
        at = replace(session, database=str(tmp_path / f"{state}.db"))
        told = train_detectors(at, DATASET, settings)["detectors"][0]
        with reading(at.database) as engine:
            stored = reader.model(engine, told["model"])
        assert stored.record.architecture == stored.record.hyperparameters["name"] == "mean"
        assert (stored.record.epochs, stored.record.parameters) == (0, {"scale": 2.0})
        assert label(stored) == "mean #1 (normal: round)"
        with reading(at.database) as engine:
            assert find_detectors(engine, DatasetRequest("shapes"), []) == [stored]
        network = load_detector(at, Watch(stored), 1)
        assert isinstance(network, Mean) and network.scale == 2.0
        known.add(stored.record.weights_sha256)
    assert len(known) == 1
    with pytest.raises(UsageError, match="no detector 'meen'") as caught:
        detector(name="meen")
    assert "mean" in caught.value.hint
    with pytest.raises(UsageError, match="'mean' does not take"):
        detector(name="mean", options=OneClassSVMOptions())


def small_training() -> Training[Any]:
    return DenoiserTraining(DATASET, DenoiserSettings("autoencoder", epochs=1, limit=2))


class FreesTheLock(Silent):
    """Lets another writer go once it was told that the training waits for it."""

    def __init__(self, other: WriterLock) -> None:
        self.other, self.lines = other, list[str]()

    def say(self, message: str) -> None:
        self.lines.append(message)
        if "waiting" in message:
            self.other.__exit__(None, None, None)


def test_a_busy_database_is_told_at_the_beginning_and_waited_for_at_the_end(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixguard.runner.training.BUSY_POLL_S", 0.01)
    other = WriterLock(Path(session.database), "pixguard attack")
    display = FreesTheLock(other)
    other.__enter__()
    told = train(replace(session, display=display), small_training())
    assert told["model"] == 1
    first, last = (line for line in display.lines if "being written to" in line)
    assert "waits at its end" in first
    assert f"process {os.getpid()}" in last and "pixguard attack" in last


def test_a_stop_while_it_waits_keeps_the_training(session: Session) -> None:
    class Stopping(Silent):
        def say(self, message: str) -> None:
            self.requested = self.requested or "waiting" in message

    stopping = Stopping()
    with WriterLock(Path(session.database), "pixguard attack"):
        with pytest.raises(InterruptedRunError, match="finished training is kept"):
            train(replace(session, display=stopping, stop=stopping), small_training())
    assert train(session, small_training(), resume=True)["model"] == 1


def test_a_folder_that_cannot_be_written_is_told_before_the_work(session: Session) -> None:
    session.files.write_text("in the way")
    with pytest.raises(PixguardError, match="cannot be written"):
        train(session, small_training())


class Diverging(DenoiserTraining):
    """Gives weights that are not finite, or finds a loss that is not."""

    in_a_loss = False

    def make(self, at: Workplace) -> Made:
        made = super().make(at)
        if self.in_a_loss:
            raise DivergedError("the loss is nan")
        for parameter in made.module.parameters():
            parameter.data.fill_(torch.nan)
        return made


@pytest.mark.parametrize("in_a_loss", [False, True])
def test_a_training_that_diverged_leaves_no_checkpoint(session: Session, in_a_loss: bool) -> None:
    """It stayed for ever, and whoever went on with it came to the same end."""
    training = Diverging(DATASET, DenoiserSettings("autoencoder", epochs=1, limit=4))
    training.in_a_loss = in_a_loss
    with pytest.raises(DivergedError, match="not finite" if not in_a_loss else "loss is nan"):
        train(session, training)
    assert list((session.files / "checkpoints").iterdir()) == []
    with reading(session.database) as engine:
        assert reader.models(engine) == []
