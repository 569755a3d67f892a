from typing import Any

import pytest
import torch
from torch import nn

from pixguard.defences.denoisers import NAMES, TRAINED, build_denoiser, registry
from pixguard.defences.restoring import restore
from pixguard.errors import UsageError

PLAIN = {"batch_norm": False, "attention": False, "residual": False, "skips": "none"}
SMALL: dict[str, dict[str, Any]] = {
    "dae": {"depth": 3},
    "noise2noise": {"blocks": 2, "width": 8},
    "median-cnn": {"blocks": 2, "width": 8},
}

# Tables 1 and 2 of the paper: height and width, channels and parameters after every layer.
TABLE_1 = [
    (224, 32, 320),
    (112, 32, 0),
    (112, 8, 2312),
    (56, 8, 0),
    (56, 8, 584),
    (28, 8, 0),
    (28, 8, 584),
    (56, 8, 0),
    (56, 8, 584),
    (112, 8, 0),
    (112, 32, 2336),
    (224, 32, 0),
    (224, 1, 289),
]
TABLE_2 = [(224, 32, 896), *TABLE_1[1:-1], (224, 3, 867)]


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "channels", "parameters", "count"),
    [
        ("identity", 1, {}, 0),
        ("median", 3, {}, 0),
        ("autoencoder", 1, {}, 7_009),
        ("autoencoder", 3, {}, 8_163),
        ("dae", 1, PLAIN, 1_365_505),
        ("dae", 1, PLAIN | {"batch_norm": True}, 1_367_425),
        ("dae", 1, PLAIN | {"batch_norm": True, "attention": True}, 1_454_945),
        ("dae", 1, {"skips": "none"}, 3_024_545),
        ("dae", 1, {}, 3_024_545),
        ("dae", 1, {"skips": "concatenated"}, 3_411_905),
        ("dae", 1, {"depth": 3}, 743_841),
        ("dae", 1, {"depth": 5}, 12_140_705),
    ],
)
def test_trainable_parameters_are_counted_as_published(
    name: str, channels: int, parameters: dict[str, Any], count: int
) -> None:
    assert parameter_count(build_denoiser(name, channels, **parameters)) == count


@pytest.mark.parametrize(("channels", "table"), [(1, TABLE_1), (3, TABLE_2)])
def test_the_autoencoder_has_the_layers_of_tables_1_and_2(
    channels: int, table: list[tuple[int, int, int]]
) -> None:
    denoiser = build_denoiser("autoencoder", channels)
    rows: list[tuple[int, int, int]] = []

    def note(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        assert output.shape[2] == output.shape[3]
        rows.append((output.shape[2], output.shape[1], parameter_count(module)))

    for module in denoiser.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.Upsample):
            module.register_forward_hook(note)
    denoiser(torch.zeros(1, channels, 224, 224))
    assert rows == table


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (27, 45), (28, 28), (64, 32)])
def test_any_size_comes_back_as_it_went_in(
    name: str, channels: int, height: int, width: int
) -> None:
    denoiser = build_denoiser(name, channels, **SMALL.get(name, {}))
    images = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    restored = restore(denoiser, images, batch=2)
    assert restored.shape == images.shape and restored.dtype == torch.float32
    assert 0 <= restored.min() and restored.max() <= 1


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("skips", ["none", "additive", "concatenated"])
def test_every_arrangement_of_the_dae_runs_and_learns(depth: int, skips: str) -> None:
    denoiser = build_denoiser("dae", 1, depth=depth, skips=skips)
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


def test_names_are_public_and_unique() -> None:
    assert NAMES == ("identity", "median", "autoencoder", "dae", "noise2noise", "median-cnn")
    assert frozenset(NAMES) - TRAINED == {"identity", "median"}
    with pytest.raises(ValueError, match="two denoisers"):
        registry([("median", nn.Identity), ("median", nn.Identity)])
    with pytest.raises(UsageError, match="'mean'") as caught:
        build_denoiser("mean", 1)
    assert "median-cnn" in caught.value.hint


@pytest.mark.parametrize("parameters", [{"depth": 0}, {"skips": "some"}])
def test_the_dae_refuses_what_it_cannot_build(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"level|skips"):
        build_denoiser("dae", 1, **parameters)
