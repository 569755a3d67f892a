"""Networks from elsewhere: torchvision's weights as a start, and timm's names."""

import importlib.util
import re
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from pixguard.classifiers.builders import build_classifier, canonical_name
from pixguard.config.training import TORCHVISION
from pixguard.datasets.base import ImageDataset
from pixguard.errors import PixguardError, UsageError
from pixguard.records import DatasetInfo

# The published file's name; its content here is made up.
FILE = Path(torchvision.models.ResNet18_Weights.DEFAULT.url).name


@pytest.fixture
def info(stripes: ImageDataset) -> DatasetInfo:
    return replace(stripes.info, size=32, channels=3)


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("there is no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def published(checkpoints: Path) -> dict[str, torch.Tensor]:
    state = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(state, checkpoints / FILE)
    return state


def test_pretrained_weights_are_loaded_all_but_the_last_layer(
    info: DatasetInfo, published: dict[str, torch.Tensor]
) -> None:
    said: list[str] = []
    classifier = build_classifier("resnet18", info, pretrained=TORCHVISION, say=said.append)
    own = classifier.network.state_dict()
    body = [name for name in own if not name.startswith("fc.")]
    assert all(torch.equal(own[name], published[name]) for name in body) and len(body) > 100
    fresh = build_classifier("resnet18", info).network.state_dict()
    assert torch.equal(own["fc.weight"], fresh["fc.weight"])
    torch.testing.assert_close(classifier.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(classifier.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))
    assert "IMAGENET1K_V1" in said[0]


def test_pretrained_weights_on_grayscale_are_summed_over_the_colours(
    info: DatasetInfo, published: dict[str, torch.Tensor]
) -> None:
    classifier = build_classifier("resnet18", replace(info, channels=1), pretrained=TORCHVISION)
    summed = published["conv1.weight"].sum(1, keepdim=True)
    assert torch.equal(classifier.network.conv1.weight, summed)
    assert classifier.mean.item() == pytest.approx((0.485 + 0.456 + 0.406) / 3)


def test_without_a_network_the_error_names_the_file_and_its_place(
    info: DatasetInfo, checkpoints: Path
) -> None:
    with pytest.raises(PixguardError, match="no network") as error:
        build_classifier("resnet18", info, pretrained=TORCHVISION)
    assert FILE in error.value.hint and str(checkpoints) in error.value.hint


class Code:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.path,))


def test_a_larger_network_or_integers_are_no_pretrained_weights(
    info: DatasetInfo, published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    larger = torchvision.models.resnet34(weights=None).state_dict()
    whole = {n: t.round().long() if n == "conv1.weight" else t for n, t in published.items()}
    for state, told in ((larger, "has layers that it lacks"), (whole, "is of integers")):
        torch.save(state, tmp_path / "other.pth")
        with pytest.raises(UsageError, match=told):
            build_classifier("resnet18", info, pretrained=str(tmp_path / "other.pth"))


def test_a_pretrained_file_is_not_unpickled_into_code(
    info: DatasetInfo, checkpoints: Path, tmp_path: Path
) -> None:
    torch.save({"fc.weight": Code(tmp_path / "unpickled")}, checkpoints / FILE)
    with pytest.raises(PixguardError, match="could not be read"):
        build_classifier("resnet18", info, pretrained=TORCHVISION)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", ["squeezenet1_0", "densenet121"])
def test_a_file_of_weights_is_loaded_all_but_the_last_layer(
    info: DatasetInfo, tmp_path: Path, name: str, prefix: str
) -> None:
    torch.manual_seed(5)
    published = torchvision.models.get_model(name, weights=None, num_classes=5).state_dict()
    # torchvision's own files of DenseNets hold the names of an older version of itself.
    old = {re.sub(r"(\.norm|\.conv)([12])\.", r"\1.\2.", n): t for n, t in published.items()}
    assert (old.keys() != published.keys()) == (name == "densenet121")
    torch.save({prefix + n: t for n, t in old.items()}, tmp_path / "w.pth")
    said: list[str] = []
    built = build_classifier(
        name, replace(info, size=64), pretrained=str(tmp_path / "w.pth"), say=said.append
    )
    own = built.network.state_dict()
    body = [n for n in own if not n.startswith("classifier.")]
    assert all(torch.equal(own[n], published[n]) for n in body) and len(body) > 30
    assert "w.pth" in said[0]
    torch.testing.assert_close(built.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))


def test_a_file_of_another_network_is_refused(info: DatasetInfo, tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "w.pth")
    with pytest.raises(UsageError, match="fit resnet34 of") as error:
        build_classifier("resnet34", info, pretrained=str(tmp_path / "w.pth"))
    assert "another file" in error.value.hint
    torch.save({"fc.weight": Code(tmp_path / "unpickled")}, tmp_path / "w.pth")
    with pytest.raises(PixguardError, match="cannot be read"):
        build_classifier("resnet18", info, pretrained=str(tmp_path / "w.pth"))
    assert not (tmp_path / "unpickled").exists()


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with two networks: one convolutional, one for a fixed size."""

    def create_model(name: str, num_classes: int, in_chans: int, **more: int) -> nn.Module:
        if name == "tinyconv":
            if more:
                raise TypeError("unexpected keyword argument")
            return nn.Sequential(
                nn.Conv2d(in_chans, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                nn.Linear(4, num_classes),
            )  # fmt: skip
        side = more.get("img_size", 224)
        return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * side**2, num_classes))

    module = ModuleType("timm")
    module.__spec__ = ModuleSpec("timm", None)
    names = ["tinyconv", "tinyvit", "resnet18"]
    module.create_model = create_model  # type: ignore[attr-defined]
    module.is_model = names.__contains__  # type: ignore[attr-defined]
    module.list_models = lambda: names  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["timm/tinyconv", "tinyconv", "timm/tinyvit"])
def test_timm_networks_get_the_datasets_channels_classes_and_size(
    info: DatasetInfo, timm: None, name: str, channels: int
) -> None:
    classifier = build_classifier(name, replace(info, channels=channels))
    with torch.inference_mode():
        assert classifier(torch.rand(2, channels, 32, 32)).shape == (2, 2)


def test_a_name_that_only_timm_has_gets_its_prefix(timm: None) -> None:
    assert canonical_name("tinyconv") == "timm/tinyconv"
    assert canonical_name("timm/resnet18") == "timm/resnet18"
    assert canonical_name("resnet18") == "resnet18"
    with pytest.raises(UsageError, match="tinyconf") as error:
        canonical_name("timm/tinyconf")
    assert "tinyconv" in error.value.hint


@pytest.mark.parametrize("name", ["small-cnn", "timm/tinyconv"])
def test_pretrained_weights_are_torchvisions_only(info: DatasetInfo, timm: None, name: str) -> None:
    with pytest.raises(UsageError, match="torchvision's networks"):
        build_classifier(name, info, pretrained=TORCHVISION)


@pytest.mark.parametrize("name", ["timm/resnet18", "vit_tiny_patch16_224"])
def test_without_timm_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "timm" else find(name)
    )
    with pytest.raises(UsageError, match=name) as error:
        canonical_name(name)
    assert "pip install timm" in error.value.hint


def test_the_real_timm(info: DatasetInfo) -> None:
    pytest.importorskip("timm", exc_type=ImportError)
    for name in ("timm/resnet10t", "timm/vit_tiny_patch16_224"):
        classifier = build_classifier(name, replace(info, channels=1))
        with torch.inference_mode():
            assert classifier(torch.rand(2, 1, 32, 32)).shape == (2, 2)
