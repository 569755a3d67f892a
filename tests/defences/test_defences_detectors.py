"""The one-class SVM on latents: scikit-learn as the oracle, and what a score depends on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from pixguard.defences.denoisers.autoencoder import autoencoder
from pixguard.defences.detectors.one_class_svm import (
    GRID,
    OneClassSVMDetector,
    fit_one_class_svm,
    latent_length,
    latents_of,
    pooled_latents,
)
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.detectors.scoring import score_images
from pixguard.errors import PixguardError, UsageError
from pixguard.models.seeding import seeded
from pixguard.models.weights import load_weights, save_weights

CPU = torch.device("cpu")


def drawn(channels: int = 1):
    with seeded(3):
        return autoencoder(channels).eval()


def smooth(count: int, side: int = 28, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return uint8 images (count, side, side, channels) of soft gradients."""
    random = np.random.default_rng(seed)
    corners = random.uniform(60, 190, (count, 2, 2, channels))
    t = np.linspace(0, 1, side)
    weights = np.stack([1 - t, t])
    return np.einsum("nijc,ih,jw->nhwc", corners, weights, weights).astype(np.uint8)


@pytest.mark.parametrize("nu", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_decision_is_scikit_learns(nu: float, channels: int, tmp_path: Path) -> None:
    trained = drawn(channels)
    length = latent_length(trained)
    random = np.random.default_rng(0)
    known = random.gamma(2.0, 3.0, (300, length))
    known[:, 5] = 0.25  # a map that never fires
    new = random.gamma(2.0, 4.0, (80, length))
    fitted = fit_one_class_svm(trained, torch.from_numpy(known), nu)
    name, sha256 = save_weights(fitted, tmp_path)
    detector = DETECTORS.load("one-class-svm")(channels, support_vectors=len(fitted.vectors))
    load_weights(detector, tmp_path / name, sha256)

    scaler = StandardScaler().fit(known)
    oracle = OneClassSVM(kernel="rbf", gamma="scale", nu=nu).fit(scaler.transform(known))
    assert isinstance(detector, OneClassSVMDetector)
    for latents in (known, new):
        expected = oracle.decision_function(scaler.transform(latents))
        got = detector.decision(torch.from_numpy(latents)).numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert set(load_file(tmp_path / name)) == set(detector.state_dict())
    # nu bounds the share of what it was fitted to that lies outside, but for the boundary itself.
    outside = (detector.decision(torch.from_numpy(known)) < -1e-3).double().mean()
    assert outside <= nu + 1 / len(known)


def test_images_unlike_the_normal_ones_score_higher() -> None:
    trained = drawn()
    normal = smooth(120)
    detector = fit_one_class_svm(trained, latents_of(trained, normal[:80], CPU), 0.05)
    noise = np.random.default_rng(1).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
    held_out, strange = (
        score_images(detector, torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
        for images in (normal[80:], noise)
    )
    auc = (strange[:, None] > held_out).double().mean()
    assert auc > 0.95
    assert strange.min() > 0


@pytest.mark.parametrize("shape", [(28, 28), (64, 40), (8, 8), (33, 50)])
def test_latents_have_one_length_and_a_score_no_batch_mates(shape: tuple[int, int]) -> None:
    trained = drawn(3)
    detector = fit_one_class_svm(trained, latents_of(trained, smooth(40, channels=3), CPU), 0.1)
    images = torch.rand((5, 3, *shape), generator=torch.Generator().manual_seed(0))
    assert pooled_latents(trained, images).shape == (5, GRID * GRID * 8)
    together = score_images(detector, images)
    assert together.dtype == torch.float64 and together.shape == (5,)
    alone = torch.cat([score_images(detector, images[i : i + 1]) for i in (4, 2, 0)])
    assert torch.equal(alone, together[[4, 2, 0]])


def test_at_28_pixels_the_latents_are_the_whole_bottleneck() -> None:
    trained = drawn()
    images = torch.rand((2, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    _, bottleneck = trained.encode(images)
    assert torch.equal(pooled_latents(trained, images), bottleneck.flatten(1).double())


def test_latents_that_tell_nothing_are_refused() -> None:
    with pytest.raises(PixguardError, match="same latents") as caught:
        fit_one_class_svm(drawn(), torch.ones(20, 128, dtype=torch.float64), 0.05)
    assert "`epochs=...`" in caught.value.hint


def test_detectors_go_by_name() -> None:
    with pytest.raises(UsageError, match="no detector 'svm'"):
        DETECTORS.load("svm")
