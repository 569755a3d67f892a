from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.datasets.base import ImageDataset
from pixguard.errors import PixguardError
from pixguard.models.weights import (
    content_sha256,
    load_weights,
    parameter_counts,
    save_weights,
)


@pytest.fixture
def make(stripes: ImageDataset) -> Callable[[int], Classifier]:
    return lambda seed: build_classifier("small-cnn", stripes.info, seed=seed)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_round_trip(tmp_path: Path, make: Callable[[int], Classifier]) -> None:
    saved, loaded = make(1), make(2)
    saved.network(torch.rand(8, 1, 12, 12))
    name, sha256 = save_weights(saved, tmp_path / "new")
    assert name == f"{sha256[:16]}.safetensors" and len(sha256) == 64
    assert [p.name for p in (tmp_path / "new").iterdir()] == [name]
    assert not same(saved, loaded)
    load_weights(loaded, tmp_path / "new" / name, sha256)
    assert same(saved, loaded)
    assert save_weights(loaded, tmp_path / "new") == (name, sha256)


def test_hash_is_of_the_content_in_any_order_and_layout() -> None:
    weight, bias = torch.rand(2, 3, 4, 4), torch.rand(2)
    expected = content_sha256({"weight": weight, "bias": bias})
    layout = weight.contiguous(memory_format=torch.channels_last)
    assert content_sha256({"bias": bias, "weight": layout}) == expected
    differing = [
        {"weight": weight, "other": bias},
        {"weight": weight.reshape(2, 3, 2, 8), "bias": bias},
        {"weight": weight.nextafter(torch.tensor(9.0)), "bias": bias},
        {"weight": weight.view(torch.int32), "bias": bias},
    ]
    hashes = {content_sha256(state) for state in differing}
    assert len(hashes) == 4 and expected not in hashes


def test_channels_last_and_shared_weights_are_saved(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3))
    module[1].weight = module[0].weight
    module.to(memory_format=torch.channels_last)
    name, sha256 = save_weights(module, tmp_path)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3))
    load_weights(other, tmp_path / name, sha256)
    assert same(module, other)


def test_plain_state_dict_is_read(tmp_path: Path, make: Callable[[int], Classifier]) -> None:
    saved, loaded = make(1), make(2)
    torch.save(saved.state_dict(), tmp_path / "mine.pt")
    load_weights(loaded, tmp_path / "mine.pt")
    assert same(saved, loaded)


def test_a_checkpoint_of_a_parallel_training_is_read(
    tmp_path: Path, make: Callable[[int], Classifier]
) -> None:
    saved, loaded = make(1), make(2)
    state = nn.DataParallel(saved).state_dict()
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "checkpoint.pt")
    load_weights(loaded, tmp_path / "checkpoint.pt")
    assert same(saved, loaded)


def test_pickled_module_is_not_unpickled(tmp_path: Path, make: Callable[[int], Classifier]) -> None:
    torch.save(make(1), tmp_path / "whole.pt")
    with pytest.raises(PixguardError, match=r"whole\.pt cannot be read"):
        load_weights(make(2), tmp_path / "whole.pt")


def test_missing_file_is_told(tmp_path: Path, make: Callable[[int], Classifier]) -> None:
    with pytest.raises(PixguardError, match=r"none\.safetensors are missing"):
        load_weights(make(1), tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 7, 3000])
def test_truncated_file_is_told(
    tmp_path: Path, make: Callable[[int], Classifier], kept: int
) -> None:
    name, sha256 = save_weights(make(1), tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PixguardError, match="cannot be read"):
        load_weights(make(1), path, sha256)


def test_flipped_bit_is_told_and_loads_nothing(
    tmp_path: Path, make: Callable[[int], Classifier]
) -> None:
    name, sha256 = save_weights(make(1), tmp_path)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    module, untouched = make(2), make(2)
    with pytest.raises(PixguardError, match="damaged or has been replaced"):
        load_weights(module, path, sha256)
    assert same(module, untouched)


def test_weights_of_another_network_are_told(
    tmp_path: Path, make: Callable[[int], Classifier]
) -> None:
    name, sha256 = save_weights(nn.Linear(2, 2), tmp_path)
    with pytest.raises(PixguardError, match="does not fit the model"):
        load_weights(make(1), tmp_path / name, sha256)


def test_running_statistics_count_as_non_trainable() -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2))
    module[2].bias.requires_grad = False
    assert parameter_counts(module) == ((9 * 8 + 8) + 16 + 16, 16 + 2)
