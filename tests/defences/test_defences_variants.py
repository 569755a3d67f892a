"""The variants of Tables 4 and 5: labels as printed, names, and what they are made of."""

import json
from pathlib import Path

import pytest
import torch

from pixguard.config import DenoiserSettings
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.dae import DenoisingAutoencoder
from pixguard.defences.denoisers.registry import DAEOptions
from pixguard.defences.denoisers.variants import TABLE_4, TABLE_5, Variant, variant_parameters
from pixguard.defences.training import with_own_options
from pixguard.errors import UsageError
from pixguard.models.weights import load_weights, save_weights
from pixguard.reports.published import published_table

NAMED = [variant for variant in (*TABLE_4, *TABLE_5) if variant.name]


@pytest.mark.parametrize(("number", "table"), [(4, TABLE_4), (5, TABLE_5)])
def test_rows_are_labelled_as_published(number: int, table: tuple[Variant, ...]) -> None:
    assert [v.label for v in table] == [row[0] for row in published_table(number)["rows"]]


def test_all_rows_are_configurations_of_one_module() -> None:
    modules = [build_denoiser(v.denoiser, 1, **v.parameters) for v in (*TABLE_4, *TABLE_5)]
    assert {type(module) for module in modules} == {DenoisingAutoencoder}
    assert sum(v.denoiser == "dae" and v.name is None for v in (*TABLE_4, *TABLE_5)) == 2


def test_names_tell_variants_apart() -> None:
    assert [v.name for v in NAMED] == [
        "depth-and-kernels",
        "batch-norm",
        "attention",
        "residual",
        "depth-3",
        "depth-5",
    ]
    assert variant_parameters(None) == {}
    for variant in NAMED:
        assert variant_parameters(variant.name) == variant.parameters


def test_unknown_variants_are_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="no variant 'depth-4'") as caught:
        variant_parameters("depth-4")
    assert all(str(v.name) in caught.value.hint for v in NAMED)


def test_a_variant_of_another_denoiser_is_refused() -> None:
    with pytest.raises(UsageError, match="'autoencoder' does not take"):
        with_own_options(DenoiserSettings("autoencoder", options=DAEOptions("depth-3")))


@pytest.mark.parametrize("variant", NAMED, ids=lambda v: v.name)
def test_a_variant_is_rebuilt_from_what_the_registry_keeps(
    variant: Variant, tmp_path: Path
) -> None:
    denoiser = build_denoiser("dae", 1, **variant.parameters)
    images = torch.rand(2, 1, 19, 30, generator=torch.Generator().manual_seed(0))
    denoiser(images)  # moves the running statistics from where a fresh model has them
    name, sha256 = save_weights(denoiser, tmp_path)
    parameters = json.loads(json.dumps(variant.parameters))
    rebuilt = build_denoiser("dae", 1, **parameters)
    load_weights(rebuilt, tmp_path / name, sha256)
    assert torch.equal(rebuilt.eval()(images), denoiser.eval()(images))
