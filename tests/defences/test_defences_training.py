import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import nn

from conformance import rows
from pixguard.config import DenoiserSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.denoisers.median_cnn import MedianCNNRecipe
from pixguard.defences.denoisers.noise2noise import annealed_l0
from pixguard.defences.denoisers.registry import TO_CLEAN, DenoiserEntry
from pixguard.defences.noise import impulse_noise
from pixguard.defences.restoring import restore
from pixguard.defences.training import train_denoiser
from pixguard.errors import UsageError
from pixguard.metrics import METRICS
from pixguard.models.training_loop import Fit, Workplace
from pixguard.progress import Silent, StopSignal
from pixguard.registry import Registry
from support import StopAfter

TRAINED = [entry.name for entry in DENOISERS if entry.trained]
CPU = torch.device("cpu")
SMALL: dict[str, dict[str, Any]] = {
    **rows.DENOISERS,
    "dae": {"widths": (32, 64)},
    "noise2noise": {"blocks": 1, "width": 8},
    "median-cnn": {"blocks": 2, "width": 8},
}


def smooth_images(count: int, side: int = 16, channels: int = 1, seed: int = 0) -> Images:
    """Return shaded blobs, each in one hue."""
    draw = np.random.default_rng(seed)
    noise = draw.random((count, side, side, 1))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 3, 3, 0), mode="wrap")
    low, high = smooth.min((1, 2), keepdims=True), smooth.max((1, 2), keepdims=True)
    hues = draw.uniform(0.5, 1, (count, 1, 1, channels))
    images: Images = np.round(255 * hues * (smooth - low) / (high - low)).astype(np.uint8)
    return images


def train(
    name: str,
    images: Images,
    checkpoint: Path | None = None,
    stop: StopSignal | None = None,
    **settings: Any,
) -> tuple[nn.Module, Fit]:
    made = train_denoiser(
        DenoiserSettings(name, **({"batch_size": 4} | settings)),
        images,
        smooth_images(8, images.shape[1], images.shape[-1], seed=1),
        Workplace(CPU, checkpoint, stop=stop or Silent()),
        SMALL[name],
    )
    return made.module, made.fit


def test_the_annealed_loss_follows_its_formula() -> None:
    difference = torch.tensor([0.5, -0.25, 0.0])
    assert annealed_l0(difference, 2.0).item() == pytest.approx((0.25 + 0.0625) / 3)
    assert annealed_l0(difference, 1.0).item() == pytest.approx(0.75 / 3)
    assert annealed_l0(difference, 0.0).item() == 1
    # Just above zero it counts the differences: (1e-8) ** 0.1 is 10 ** -0.8.
    assert annealed_l0(difference, 0.1).item() == pytest.approx(
        (0.5**0.1 + 0.25**0.1 + 10**-0.8) / 3
    )


def test_only_the_end_of_the_annealing_is_free_of_bias() -> None:
    # One pixel of value x; its targets are x, replaced by a uniform value one time in ten.
    value = 0.3
    clean = torch.full((1, 1, 200, 200), value)
    targets = impulse_noise(clean, 0.1, torch.Generator().manual_seed(0))
    answers = torch.linspace(0, 1, 1001)

    def best(gamma: float) -> float:
        losses = torch.stack([annealed_l0(answer - targets, gamma) for answer in answers])
        return answers[losses.argmin()].item()

    assert best(2.0) == pytest.approx(0.9 * value + 0.05, abs=0.003)
    assert best(0.05) == pytest.approx(value, abs=1e-6)

    # And annealing leads there from the biased answer. The steps are small, because near a hit
    # the gradient grows like 1 / |difference| and throws Adam about by some thirty of them.
    answer = torch.tensor(0.9 * value + 0.05, requires_grad=True)
    optimizer = torch.optim.Adam([answer], lr=1e-4)
    for step in range(1000):
        optimizer.zero_grad()
        annealed_l0(answer - targets[..., :50, :50], 2 * (1 - step / 1000)).backward()
        optimizer.step()
    assert answer.item() == pytest.approx(value, abs=0.005)


@pytest.mark.parametrize(
    ("name", "epochs", "rate"),
    [
        ("autoencoder", 40, 0.005),  # eight features wide at its narrowest, it starts late
        ("dae", 12, 0.001),
        ("noise2noise", 12, 0.001),
        ("median-cnn", 12, 0.001),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_training_brings_the_loss_down(name: str, epochs: int, rate: float, channels: int) -> None:
    images = smooth_images(16, channels=channels)
    _, fit = train(name, images, epochs=epochs, learning_rate=rate)
    assert fit.finished and len(fit.epochs) == epochs
    losses = [record.val_loss for record in fit.epochs]
    assert losses[0] is not None and losses[-1] is not None
    assert losses[-1] < 0.7 * losses[0]
    assert all(record.train_accuracy is None for record in fit.epochs)


@pytest.mark.parametrize("name", TRAINED)
def test_a_resumed_training_equals_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    images = smooth_images(10)
    whole, fit = train(name, images, epochs=3)
    path = tmp_path / "checkpoint.pt"
    _, stopped = train(name, images, path, StopAfter(5), epochs=3)
    assert not stopped.finished and len(stopped.epochs) == 1
    torch.manual_seed(123)
    resumed, rest = train(name, images, path, epochs=3)
    assert rest.finished
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
    assert [(r.train_loss, r.val_loss) for r in rest.epochs] == [
        (r.train_loss, r.val_loss) for r in fit.epochs
    ]


@pytest.mark.parametrize("name", TRAINED)
def test_early_stopping_is_decided_by_the_epochs_before_a_resume_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No epoch changes the weights; the median CNN sees other noise, and Noise2Void hides others.
    monkeypatch.setattr("torch.optim.Adam.step", lambda self: None)
    still: dict[str, Any] = {"epochs": 20, "patience": 3}
    images = smooth_images(10)
    whole, fit = train(name, images, **still)
    assert fit.finished and len(fit.epochs) < 20
    losses = [record.val_loss or 0 for record in fit.epochs]
    assert len(losses) == 1 + losses.index(min(losses)) + 3
    path = tmp_path / "checkpoint.pt"
    _, stopped = train(name, images, path, StopAfter(8), **still)
    assert not stopped.finished and len(stopped.epochs) == 2
    resumed, rest = train(name, images, path, **still)
    assert [r.val_loss for r in rest.epochs] == losses and rest.finished
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


def test_early_stopping_needs_validation_images() -> None:
    images = smooth_images(4)
    with pytest.raises(UsageError, match="needs validation images"):
        train_denoiser(
            DenoiserSettings("autoencoder", patience=2), images, images[:0], Workplace(CPU)
        )


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize(("kind", "level"), [("gaussian", 0.2), ("k-pixel", 3), ("impulse", 0)])
def test_every_denoiser_trains_on_every_noise(name: str, kind: str, level: float) -> None:
    _, fit = train(name, smooth_images(4), epochs=1, noise_kind=kind, noise=level)
    assert fit.finished and all(np.isfinite(record.train_loss) for record in fit.epochs)


def test_a_level_that_the_noise_does_not_have_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match="is a number of pixels"):
        train("dae", smooth_images(4), epochs=1, noise_kind="k-pixel")


def test_the_noise_is_of_the_kind_asked_for() -> None:
    images = smooth_images(6)
    losses = {
        kind: train("autoencoder", images, epochs=1, noise_kind=kind)[1].epochs[0].val_loss
        for kind in ("impulse", "gaussian", "poisson", "salt-and-pepper")
    }
    assert len(set(losses.values())) == len(losses)


def test_a_trained_denoiser_has_the_plain_layout_of_loaded_weights() -> None:
    denoiser, _ = train("dae", smooth_images(4), epochs=1)
    assert all(p.is_contiguous() for p in denoiser.parameters())


def test_the_seed_decides_the_weights_and_nothing_else_does() -> None:
    images = smooth_images(6)
    first, _ = train("autoencoder", images, epochs=1, seed=1)
    second, _ = train("autoencoder", images, epochs=1, seed=1)
    third, _ = train("autoencoder", images, epochs=1, seed=2)
    weights = [next(m.parameters()) for m in (first, second, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_leaves_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    train("noise2noise", smooth_images(4), epochs=1, batch_size=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_gamma_falls_linearly_with_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    gammas = []

    def noting(difference: torch.Tensor, gamma: float) -> torch.Tensor:
        gammas.append(gamma)
        return annealed_l0(difference, gamma)

    monkeypatch.setattr("pixguard.defences.denoisers.noise2noise.annealed_l0", noting)
    train("noise2noise", smooth_images(4), epochs=2, batch_size=2)
    assert gammas == pytest.approx([2.0, 1.5, 1.0, 0.5])


def test_every_level_is_met_in_turn() -> None:
    images = smooth_images(9)
    recipe = MedianCNNRecipe(
        build_denoiser("autoencoder", 1), images, images, DenoiserSettings("median-cnn"), CPU
    )
    every = torch.arange(9)
    levels = torch.stack([torch.as_tensor(recipe._levels(every, epoch)) for epoch in range(9)])
    ladder = [round(0.1 * step, 1) for step in range(1, 10)]
    for row in (*levels, *levels.T):
        assert sorted(row.tolist()) == pytest.approx(ladder)


def test_a_limit_draws_from_all_images_and_no_images_are_refused() -> None:
    images = smooth_images(12)
    _, few = train("autoencoder", images, epochs=1, limit=5, batch_size=5)
    _, more = train("autoencoder", images[:5], epochs=1, limit=5, batch_size=5)
    assert few.epochs[0].train_loss != more.epochs[0].train_loss
    with pytest.raises(UsageError):
        train("autoencoder", images[:0], epochs=1)
    with pytest.raises(UsageError, match="identity"):
        train("identity", images, epochs=1)


def test_a_trained_dae_restores_real_images(real_data: Path) -> None:
    archive = np.load(real_data / "pneumoniamnist.npz")
    denoiser = train_denoiser(
        DenoiserSettings("dae", epochs=4, limit=320),
        archive["train_images"][..., None],
        archive["val_images"][:0, ..., None],
        Workplace(CPU),
        SMALL["dae"],
    ).module
    clean = torch.from_numpy(archive["test_images"][:32, None]).float() / 255
    noisy = impulse_noise(clean, 0.1, torch.Generator().manual_seed(0))
    psnr = METRICS.load("psnr").function
    gained = psnr(restore(denoiser, noisy, batch=16), clean) - psnr(noisy, clean)
    assert gained.mean() > 5


def test_the_end_of_the_annealing_does_not_unlearn() -> None:
    """With a constant rate the last epochs cost 20 dB; see the recipe's docstring."""
    images = smooth_images(96, seed=3)
    settings = DenoiserSettings("noise2noise", epochs=12)
    fit = train_denoiser(
        settings, images, images[:16], Workplace(CPU), {"blocks": 2, "width": 16}
    ).fit
    losses = [epoch.val_loss for epoch in fit.epochs if epoch.val_loss is not None]
    assert losses[-1] < 2 * min(losses)
    assert losses[-1] < losses[0] / 2


WEIGHTS = {
    ("autoencoder", 1): "4bf84e72622784e9",
    ("autoencoder", 3): "23aa5f75871106a8",
    ("dae", 1): "cd01a606ec89f5f6",
    ("dae", 3): "182881bbf98df507",
    ("noise2noise", 1): "d6ab98569b0dfb29",
    ("noise2noise", 3): "0aae85c7636c544b",
    ("median-cnn", 1): "897d7e1f838b528a",
    ("median-cnn", 3): "b72ececf4f14e7a5",
}
"""Digests of the first weights from seed 7, taken when three kinds of layers were drawn by name."""


def digest_of(module: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()[:16]


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training end before its first step."""
    monkeypatch.setattr("pixguard.defences.training.fit", lambda *_, **__: Fit((), 0.0, True, 1))


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(("name", "channels"), WEIGHTS)
def test_a_seed_draws_the_weights_that_it_always_drew(name: str, channels: int) -> None:
    images = smooth_images(2, channels=channels)
    settings = DenoiserSettings(name, seed=7)
    denoiser = train_denoiser(settings, images, images, Workplace(CPU)).module
    assert digest_of(denoiser) == WEIGHTS[name, channels]


class ManyLayers(nn.Module):
    """Layers and parameters of many kinds, some drawn by the network itself; it blurs nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, 4, 3)
        self.down = nn.Linear(4, channels)
        self.attention = nn.MultiheadAttention(4, 2)
        self.norm = nn.GroupNorm(2, 4)
        self.scale = nn.Parameter(torch.randn(4))
        nn.init.trunc_normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


@pytest.mark.usefixtures("untrained")
def test_weights_of_any_layer_come_from_the_seed_and_as_the_network_draws_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(
        "denoiser", [DenoiserEntry("many", f"{__name__}:ManyLayers", recipe=TO_CLEAN)]
    )
    monkeypatch.setattr("pixguard.defences.training.DENOISERS", registry)
    monkeypatch.setattr("pixguard.defences.denoisers.DENOISERS", registry)
    images, digests = smooth_images(2), set()
    for state, seed in ((0, 3), (1, 3), (1, 4)):
        torch.manual_seed(state)  # what else was drawn in the process must not matter
        settings = DenoiserSettings("many", seed=seed)
        denoiser = train_denoiser(settings, images, images, Workplace(CPU)).module
        digests.add(digest_of(denoiser))
        assert denoiser.get_parameter("down.weight").abs().max() < 0.1
        assert not denoiser.get_parameter("up.bias").any()
    assert len(digests) == 2
