"""Every denoiser, detector and certificate through the same checks."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conformance import rows
from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.config import DatasetSettings, DenoiserSettings, DetectorSettings, VoteSettings
from pixguard.datasets.opening import open_dataset
from pixguard.defences.certificates import (
    masked_consensus,
    polyphase_vote,
    randomised_ablation,
    run_off,
)
from pixguard.defences.certificates.registry import CERTIFICATES
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.detectors.scoring import score_images
from pixguard.defences.restoring import restore
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.models.seeding import seeded
from pixguard.models.training_loop import Made, Workplace
from pixguard.progress import Silent
from pixguard.records import DatasetInfo
from pixguard.registry import load_target

CPU = torch.device("cpu")
every_denoiser = pytest.mark.parametrize("name", DENOISERS.names)
every_detector = pytest.mark.parametrize("name", DETECTORS.names)
every_certificate = pytest.mark.parametrize("name", CERTIFICATES.names)


def built(name: str, channels: int = 1) -> nn.Module:
    if DENOISERS[name].reads:
        pytest.importorskip("spandrel", reason="pixguard[spandrel] is not installed")
    with seeded(5):
        return build_denoiser(name, channels, **rows.DENOISERS[name]).eval()


def smooth(count: int, channels: int = 1, side: int = 16) -> np.ndarray:
    """Images uint8 (N, H, W, C) of slow waves, alike and not the same."""
    rng = np.random.default_rng(2)
    rows_, cols = np.mgrid[:side, :side] / side
    phase = rng.random((count, 1, 1, channels))
    waves = np.sin(4 * (rows_ + cols)[None, ..., None] + 6 * phase)
    return np.round(127 + 100 * waves).astype(np.uint8)


def tensors(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


@every_denoiser
@pytest.mark.parametrize("channels", [1, 3])
def test_a_restoration_depends_on_nothing_but_the_image(name: str, channels: int) -> None:
    denoiser, images = built(name, channels), tensors(smooth(5, channels))
    together = restore(denoiser, images, batch=5)
    assert together.shape == images.shape and 0 <= together.min() <= together.max() <= 1
    alone = torch.cat([restore(denoiser, images[i : i + 1], batch=1) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    assert torch.equal(restore(denoiser, images, batch=5), together)
    assert torch.equal(together, images) == DENOISERS[name].changes_nothing


@every_denoiser
def test_weights_go_through_a_state_dict(name: str) -> None:
    one = built(name)
    fresh = build_denoiser(name, 1, **rows.DENOISERS[name]).eval()
    fresh.load_state_dict(one.state_dict())
    images = tensors(smooth(2))
    assert torch.equal(restore(fresh, images, batch=2), restore(one, images, batch=2))
    assert bool(list(one.parameters())) == bool(DENOISERS[name].trained or DENOISERS[name].reads)


@every_denoiser
def test_gradients_reach_the_image(name: str) -> None:
    """White-box attacks go through the denoiser."""
    images = tensors(smooth(2)).requires_grad_()
    built(name)(images).square().sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


@every_denoiser
def test_training_is_that_of_its_recipe_or_refused(name: str) -> None:
    settings = DenoiserSettings(name, epochs=1, batch_size=4, seed=3)
    images, parameters = smooth(8), rows.DENOISERS[name]
    if not DENOISERS[name].trained:
        with pytest.raises(UsageError, match=r"no training|not trained here"):
            train_denoiser(settings, images, images, Workplace(CPU), parameters)
        return
    states = []
    for chance in (0, 1):
        torch.manual_seed(chance)  # what else was drawn in the process must not matter
        made = train_denoiser(settings, images, images, Workplace(CPU), parameters)
        assert made.fit.finished and np.isfinite(made.fit.epochs[0].train_loss)
        states.append(made.module.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def trained_detector(name: str, seed: int = 0) -> Made:
    options = DETECTORS[name].options
    own = options(**rows.DETECTORS[name]) if options else None
    settings = DetectorSettings("waves", name, epochs=1, seed=seed, options=own)
    images = smooth(40)
    made: Made = load_target(DETECTORS[name].trainer)(
        images[:32], images[32:], settings, Workplace(CPU), **asked_by(name)
    )
    return made


def asked_by(name: str) -> dict[str, Classifier]:
    """The classifier that a detector asks, if it does."""
    if not DETECTORS[name].of_classifier:
        return {}
    with seeded(6):
        network = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    return {"classifier": Classifier(network, "multi-class", 3, (0.5,), (0.5,)).eval()}


@every_detector
def test_a_detector_is_rebuilt_from_parameters_and_state_dict(name: str) -> None:
    trained = trained_detector(name)
    again = DETECTORS.load(name)(1, **{**trained.parameters, **asked_by(name)})
    again.load_state_dict(trained.module.state_dict())
    images = tensors(smooth(6))
    scores = score_images(trained.module.eval(), images)
    assert scores.dtype == torch.float64 and scores.shape == (6,) and scores.isfinite().all()
    assert torch.equal(score_images(again.eval(), images), scores)
    assert torch.equal(score_images(again, images[[4, 1]]), scores[[4, 1]])


@every_detector
def test_a_detector_s_training_comes_from_the_seed(name: str) -> None:
    first, second = (trained_detector(name, seed=3).module.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def certified(name: str, info: DatasetInfo) -> Classifier:
    """Return a certified classifier of untrained weights."""
    entry, row = CERTIFICATES[name], rows.CERTIFICATES[name]
    if name == "masked-consensus":
        asked = build_classifier("small-cnn", info, seed=1)
        return masked_consensus.as_classifier(asked, entry.options(**row))  # type: ignore[misc]
    if name == "randomised-ablation":
        asked = randomised_ablation.build_asked("small-cnn", row["keep"], info, seed=1)
        return randomised_ablation.as_classifier(asked, row["keep"], info.size, row["samples"])
    voter = polyphase_vote.build_voter("small-cnn", VoteSettings(**row).stride, info, seed=1)
    kind = run_off.RunOffVote if name == "run-off" else polyphase_vote.PolyphaseVote
    return polyphase_vote.as_classifier(voter, row["stride"], kind)


@every_certificate
def test_a_certificate_is_of_the_decision_and_holds_for_random_pixels(name: str) -> None:
    """The exhaustive form stands in tests/defences."""
    dataset = open_dataset(
        DatasetSettings("oct", source="phantom", size=28, phantom_images=50), Silent()
    )
    classifier = certified(name, dataset.info)
    certify: Any = load_target(CERTIFICATES[name].certifier)
    stream = torch.Generator().manual_seed(0)
    for image in tensors(dataset.images([0, 1, 2])):
        predicted, votes, radius = certify(classifier, image[None])
        assert predicted == classifier.decide(classifier(image[None]))[0].label_set
        assert radius >= 0 and (not radius or votes[predicted[0]] == max(votes))
        for _ in range(20):
            changed = image[None].clone()
            for _ in range(radius):
                row, col = torch.randint(0, 28, (2,), generator=stream).tolist()
                changed[0, :, row, col] = torch.rand((), generator=stream).round()
            assert certify(classifier, changed)[0] == predicted
