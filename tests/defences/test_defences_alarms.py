"""Detectors of changed pixels: the autoencoder, and the trigger that a classifier tells."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.config import DetectorSettings
from pixguard.defences.detectors import trigger, vae
from pixguard.defences.detectors.registry import TriggerOptions, VAEOptions
from pixguard.defences.detectors.scoring import score_images
from pixguard.errors import UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.models.seeding import seeded
from pixguard.models.training_loop import Made, Workplace
from pixguard.progress import Silent
from support import StopAfter

AT = Workplace(torch.device("cpu"))


def waves(count: int, channels: int = 1, side: int = 16) -> np.ndarray:
    """Return uint8 (N, H, W, C): slow waves with a little noise."""
    random = np.random.default_rng(0)
    rows, cols = np.mgrid[:side, :side] / 28
    phase = random.uniform(0, 6, (count, 1, 1, channels))
    smooth = 120 + 70 * np.sin(3 * (rows + cols)[None, ..., None] + phase)
    return (smooth + random.integers(-6, 7, (count, side, side, channels))).astype(np.uint8)


def changed(images: np.ndarray) -> np.ndarray:
    """One pixel of each goes to the far end of its range."""
    attacked = images.copy()
    attacked[:, 7, 3] = np.where(attacked[:, 7, 3] < 128, 255, 0)
    return attacked


def scores(made: Made, images: np.ndarray) -> Tensor:
    return score_images(made.module.eval(), to_unit_range(images, AT.device))


def trained_vae(images: np.ndarray, share: float = 0.05, at: Workplace = AT) -> Made:
    own = VAEOptions(false_alarms=share)
    settings = DetectorSettings("any class", "vae", epochs=6, seed=1, options=own)
    return vae.train(images[:160], images[160:200], settings, at)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_autoencoder_of_clean_images_does_not_give_a_changed_pixel_back(channels: int) -> None:
    images = waves(240, channels)
    made = trained_vae(images)
    clean, attacked = scores(made, images[200:]), scores(made, changed(images[200:]))
    assert (attacked > 0).all() and (clean > 0).double().mean() < 0.2
    assert (scores(made, images[160:200]) > 0).sum() == 2  # one in twenty of the validation images


def test_the_loss_is_the_evidence_lower_bound() -> None:
    images = to_unit_range(waves(5), AT.device)
    with seeded(2):
        detector = vae.VAEDetector(1)
    recipe = vae.VAERecipe.__new__(vae.VAERecipe)
    recipe.module = detector
    moments = detector.moments(images).detach()
    means, logs = moments.chunk(2, dim=1)
    noise = torch.randn(means.shape, generator=torch.Generator().manual_seed(0))
    latent = torch.distributions.Normal(means, (logs / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(means), torch.ones_like(means))
    given = torch.distributions.Normal(detector.decoder(means + noise * latent.scale), vae.SCALE)
    constant = math.log(vae.SCALE * math.sqrt(2 * math.pi))
    divergence = torch.distributions.kl_divergence(latent, prior).sum(dim=(1, 2, 3))
    misfit = -given.log_prob(images).sum(dim=(1, 2, 3))
    expected = (misfit + divergence) / 256 - constant
    torch.testing.assert_close(recipe._bounds(moments, images, noise), expected)


def test_a_training_of_an_autoencoder_that_is_stopped_says_so() -> None:
    made = trained_vae(waves(200), at=Workplace(AT.device, stop=StopAfter(3)))
    assert not made.fit.finished


class Loud(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def asked(channels: int = 1, task: str = "multi-class") -> Classifier:
    with seeded(8):
        network = SmallCNN(channels, 3)
        network.head.weight.data *= 200  # an untrained network hardly cares
    half = (0.5,) * channels
    return Classifier(network, task, 3, half, half).eval()  # type: ignore[arg-type]


def trigger_of(classifier: Classifier, images: np.ndarray, at: Workplace = AT) -> Made:
    own = TriggerOptions(classifier="0" * 64, false_alarms=0.25)
    settings = DetectorSettings("any class", "trigger", options=own)
    return trigger.train(images, images[:8], settings, at, classifier=classifier)


@pytest.mark.parametrize(("channels", "task"), [(1, "multi-class"), (3, "multi-label")])
def test_the_trigger_is_the_pixel_whose_repair_costs_most_confidence(
    channels: int, task: str
) -> None:
    """Every pixel is put right by itself, in a whole image, and the classifier asked."""
    images = changed(waves(12, channels, side=12))
    classifier = asked(channels, task)
    made = trigger_of(classifier, images)
    threshold = made.module.get_buffer("threshold")
    found = scores(made, images[8:]) + threshold
    for image, score in zip(images[8:], found, strict=True):
        around = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect").astype(float)
        candidates = []
        for row in range(12):
            for col in range(12):
                window = around[row : row + 3, col : col + 3].reshape(9, channels)
                repaired = image.copy()
                repaired[row, col] = np.round(np.median(np.delete(window, 4, 0), axis=0))
                candidates.append(repaired)
        with torch.inference_mode():
            logits = classifier(to_unit_range(image[None], AT.device))
            decided = classifier.indicators(logits)
            before = classifier.confidence(logits, decided)
            after = classifier(to_unit_range(np.array(candidates), AT.device))
            fall = before - classifier.confidence(after, decided).amin()
        assert score.item() == pytest.approx(fall.item(), abs=1e-5) and fall > 1e-3
    validation = scores(made, images[:8])
    assert (validation > 0).sum() == 2


def test_a_trigger_keeps_nothing_of_its_classifier() -> None:
    classifier, images = asked(), waves(10, side=12)
    made = trigger_of(classifier, images)
    assert set(made.module.state_dict()) == {"threshold"}
    assert made.parameters == {"classifier": "0" * 64}


def test_an_image_without_a_pixel_to_repair_scores_nothing() -> None:
    flat = np.full((9, 12, 12, 1), 77, np.uint8)
    made = trigger_of(asked(), flat)
    assert (scores(made, flat) == 0).all()


def test_a_decision_that_hangs_on_one_pixel_raises_an_alarm() -> None:
    """The classifier looks for one bright pixel, which the clean images do not have."""

    class Brightest(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            peak = 20 * (images.amax(dim=(1, 2, 3)) - 0.9)
            return torch.stack([-peak, peak], dim=1)

    images = (waves(60) * 0.7).astype(np.uint8)
    classifier = Classifier(Brightest(), "multi-class", 2, (0.0,), (1.0,)).eval()
    made = trigger_of(classifier, images)
    attacked = images[8:].copy()
    attacked[:, 7, 3] = 255
    assert (scores(made, attacked) > 0.5).all()


@pytest.mark.parametrize("train", [vae.train, trigger.train])
def test_without_validation_images_there_is_no_threshold(train: object) -> None:
    images = waves(12)
    name = "vae" if train is vae.train else "trigger"
    more = {"classifier": asked()} if name == "trigger" else {}
    with pytest.raises(UsageError, match="clean validation images"):
        train(images, images[:0], DetectorSettings("any class", name), AT, **more)  # type: ignore[operator]


def test_too_few_validation_images_for_the_share_are_told() -> None:
    told, images = Loud(), waves(20, side=12)
    trigger_of(asked(), images, Workplace(AT.device, display=told))
    assert not any("cannot tell" in said for said in told.said)
    own = TriggerOptions(classifier="0" * 64, false_alarms=0.1)
    settings = DetectorSettings("any class", "trigger", options=own)
    trigger.train(
        images, images[:8], settings, Workplace(AT.device, display=told), classifier=asked()
    )
    assert any("8 validation images cannot tell" in said for said in told.said)
