"""Robust PCA, Noise2Void and the recurrent residual U-Net: what each promises."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pixguard.config import DenoiserSettings
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.noise2void import STRIDE, Noise2Void, on_grid, patches
from pixguard.defences.denoisers.r2unet import Recurrent
from pixguard.defences.denoisers.rpca import RobustPCA, soft_singular, split
from pixguard.defences.restoring import restore
from pixguard.defences.training import train_denoiser
from pixguard.models.seeding import seeded
from pixguard.models.training_loop import Workplace

AT = Workplace(torch.device("cpu"))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def waves(count: int, side: int = 16) -> np.ndarray:
    """Return uint8 (N, H, W, 1): slow waves."""
    random = np.random.default_rng(0)
    rows, cols = np.mgrid[:side, :side] / 10
    phase = random.uniform(0, 6, (count, 1, 1, 1))
    return np.round(127 + 90 * np.sin((rows + 2 * cols)[None, ..., None] + phase)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(40, 50), (50, 40)])
def test_a_matrix_of_low_rank_and_a_sparse_one_are_told_apart(shape: tuple[int, int]) -> None:
    """The theorem of Candès et al., at the textbook's lambda."""
    height, width = shape
    draw = {"generator": stream(), "dtype": torch.float64}
    low = torch.randn(2, height, 2, **draw) @ torch.randn(2, 2, width, **draw)
    changed = torch.rand(2, height, width, **draw) < 0.03
    sparse = torch.where(changed, 20 * torch.rand(2, height, width, **draw) - 10, 0.0)
    found, rest = split(low + sparse, 1 / math.sqrt(max(shape)))
    assert ((found - low).norm() / low.norm()) < 1e-3
    assert ((rest - sparse).norm() / sparse.norm()) < 1e-3
    assert torch.linalg.matrix_rank(found, atol=1e-2).tolist() == [2, 2]


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
def test_singular_values_are_those_of_a_decomposition(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=stream(1), dtype=torch.float64)
    bars = torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    expected = left @ torch.diag_embed((values - bars[:, None]).clamp(min=0)) @ right
    torch.testing.assert_close(soft_singular(matrices, bars), expected)


def test_a_changed_pixel_is_no_part_of_low_rank_and_lambda_says_how_much_is() -> None:
    row, col = (torch.sin(torch.arange(20) / k) * 0.4 for k in (3, 5))
    image = (0.5 + row[:, None] * col)[None, None]
    attacked = image.clone()
    attacked[..., 4, 9] = 1.0
    restored = restore(RobustPCA(1, weight=1.0), attacked, batch=1)
    assert (restored - image).abs().max() < 0.01 < (attacked - image).abs().max()
    kept = restore(RobustPCA(1, weight=50.0), attacked, batch=1)
    assert (kept - attacked).abs().max() < 0.01
    with pytest.raises(ValueError, match="must be positive"):
        RobustPCA(1, weight=0.0)


def drawn(channels: int = 1) -> Noise2Void:
    with seeded(4):
        denoiser = build_denoiser("noise2void", channels, width=4).eval()
    assert isinstance(denoiser, Noise2Void)
    return denoiser


@pytest.mark.parametrize("shape", [(1, 13, 10), (3, 9, 8)])
def test_no_pixel_has_a_part_in_what_it_becomes(shape: tuple[int, int, int]) -> None:
    """Of every pixel of an image: at borders, at corners and inside."""
    denoiser, image = drawn(shape[0]), torch.rand(1, *shape, generator=stream(2))
    _, height, width = shape
    changed = image.repeat(height * width + 1, 1, 1, 1)
    for place in range(height * width):
        row, col = divmod(place, width)
        changed[place, :, row, col] = 1 - changed[place, :, row, col].round()
    with torch.inference_mode():
        *after, before = denoiser(changed)
    for place, restored in enumerate(after):
        row, col = divmod(place, width)
        assert torch.equal(restored[:, row, col], before[:, row, col])
        assert not torch.equal(restored, before)  # others do see it


def test_the_phases_of_the_grid_hide_every_pixel_once() -> None:
    all_phases = torch.cartesian_prod(torch.arange(STRIDE), torch.arange(STRIDE))
    hidden = on_grid(all_phases, 11, 9)
    assert hidden.shape == (STRIDE**2, 1, 11, 9) and (hidden.sum(0) == 1).all()
    rows, cols = hidden[5, 0].nonzero().T
    assert set(rows.tolist()) == {1, 5, 9} and set(cols.tolist()) == {1, 5}


def test_patches_are_cut_where_they_are_said_to_be() -> None:
    images = torch.rand(3, 2, 9, 12, generator=stream())
    corners = torch.tensor([[0, 0], [4, 7], [2, 3]])
    found = patches(images, corners, 5)
    for image, (row, col), patch in zip(images, corners.tolist(), found, strict=True):
        assert torch.equal(patch, image[:, row : row + 5, col : col + 5])


@pytest.mark.parametrize(
    ("name", "parameters"), [("noise2void", {"width": 4}), ("r2unet", {"widths": [8, 16]})]
)
def test_training_restores_better_than_it_began(name: str, parameters: dict[str, object]) -> None:
    images = waves(40, side=12)
    settings = DenoiserSettings(
        name, epochs=6, batch_size=8, noise=0.02, learning_rate=0.01, seed=1
    )
    made = train_denoiser(settings, images, images[:8], AT, parameters)
    losses = [epoch.train_loss for epoch in made.fit.epochs]
    assert losses[-1] < losses[0] / 2 and losses[-1] < 0.02  # the waves' variance is 0.06


def test_a_recurrent_convolution_sees_its_own_answer_twice() -> None:
    with seeded(1):
        layer = Recurrent(3).eval()
    features = torch.randn(2, 3, 7, 7, generator=stream())

    def once(what: Tensor) -> Tensor:
        return layer.once[1](layer.once[0](what)).relu()

    with torch.inference_mode():
        first = once(features)
        second = once(features + first)
        expected = once(features + second)
        assert torch.equal(layer(features), expected) and not torch.equal(second, expected)


@pytest.mark.parametrize("name", ["noise2void", "r2unet"])
def test_networks_are_of_the_size_that_their_sources_give(name: str) -> None:
    network = build_denoiser(name, 1)
    kernels = [p.shape[0] for p in network.parameters() if p.ndim == 4]
    assert (min(k for k in kernels if k > 1), max(kernels)) == {
        "noise2void": (32, 128),
        "r2unet": (16, 128),
    }[name]
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 1, 8, 11)).shape == (1, 1, 8, 11)
