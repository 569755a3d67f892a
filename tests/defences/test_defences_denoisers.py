from typing import Any

import pytest
import torch
from torch import nn

from conformance import rows
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.denoisers.variants import variant_parameters
from pixguard.defences.restoring import restore
from pixguard.models.weights import parameter_counts

SMALL = rows.DENOISERS

# Of the DAE, with one channel: trainable, and two a feature of every BatchNorm, its mean and its
# variance. There is one in every encoder and decoder level and two in every residual block.
COUNTS = {
    None: (3_024_545, 3_840),
    "depth-and-kernels": (1_365_505, 0),
    "batch-norm": (1_367_425, 1_920),
    "attention": (1_454_945, 1_920),
    "residual": (3_024_545, 3_840),
    "depth-3": (743_841, 1_792),
    "depth-5": (12_140_705, 7_936),
}


@pytest.mark.parametrize(
    ("name", "channels", "parameters", "counts"),
    [
        ("identity", 1, {}, (0, 0)),
        ("median", 3, {}, (0, 0)),
        ("autoencoder", 1, {}, (7_009, 0)),
        ("autoencoder", 3, {}, (8_163, 0)),
        ("dae", 1, {"skips": "concatenated"}, (3_411_905, 3_840)),
        *(("dae", 1, variant_parameters(name), counts) for name, counts in COUNTS.items()),
    ],
)
def test_parameters_are_counted_as_published(
    name: str, channels: int, parameters: dict[str, Any], counts: tuple[int, int]
) -> None:
    assert parameter_counts(build_denoiser(name, channels, **parameters)) == counts


@pytest.mark.parametrize("name", DENOISERS.names)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (27, 45), (28, 28), (64, 32)])
def test_any_size_comes_back_as_it_went_in(
    name: str, channels: int, height: int, width: int
) -> None:
    denoiser = build_denoiser(name, channels, **SMALL[name])
    images = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    restored = restore(denoiser, images, batch=2)
    assert restored.shape == images.shape and restored.dtype == torch.float32
    assert 0 <= restored.min() and restored.max() <= 1


@pytest.mark.parametrize("widths", [[4, 8, 4], [4, 8, 16, 32], [2, 4, 8, 16, 32]])
@pytest.mark.parametrize("skips", ["none", "additive", "concatenated"])
def test_every_arrangement_of_the_dae_runs_and_learns(widths: list[int], skips: str) -> None:
    denoiser = build_denoiser("dae", 1, widths=widths, skips=skips)
    denoiser(torch.rand(2, 1, 28, 28)).mean().backward()
    assert all(p.grad is not None for p in denoiser.parameters())


def test_skips_carry_detail_past_the_bottleneck() -> None:
    # With the deepest level's decoder silenced, only skips can tell one image from another.
    first, second = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for skips, told_apart in (("none", False), ("additive", True), ("concatenated", True)):
        denoiser = build_denoiser("dae", 1, skips=skips).eval()
        for parameter in denoiser.get_submodule("decoder.0").parameters():
            nn.init.zeros_(parameter)
        assert torch.equal(denoiser(first), denoiser(second)) is not told_apart


def test_restoring_goes_batch_by_batch_and_keeps_the_mode() -> None:
    denoiser = build_denoiser("median", 1)
    images = torch.rand(5, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(restore(denoiser, images, batch=2), denoiser(images))
    assert denoiser.training
    normalised = nn.BatchNorm2d(1)
    restore(normalised, images, batch=5)
    assert normalised.running_mean is not None and normalised.running_mean.item() == 0


def test_restored_images_are_clipped() -> None:
    assert restore(nn.Threshold(9.0, 7.0), torch.rand(2, 1, 8, 8), batch=1).unique().tolist() == [1]


def test_the_median_cnn_is_clipped_only_where_it_is_not_trained() -> None:
    denoiser = build_denoiser("median-cnn", 1, **SMALL["median-cnn"])
    nn.init.constant_(next(reversed(list(denoiser.parameters()))), 5.0)
    images = torch.rand(2, 1, 8, 8)
    assert denoiser(images).max() > 1
    assert denoiser.eval()(images).max() == 1


@pytest.mark.parametrize("parameters", [{"widths": []}, {"widths": [8, 0]}, {"skips": "some"}])
def test_the_dae_refuses_what_it_cannot_build(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"level|skips"):
        build_denoiser("dae", 1, **parameters)
