from dataclasses import replace

import pytest
import torch
from torch import nn

from pixguard.classifiers.builders import architecture_names, build_classifier
from pixguard.datasets.base import ImageDataset
from pixguard.errors import UsageError
from pixguard.models.weights import parameter_counts
from pixguard.records import ClassInfo, DatasetInfo


@pytest.fixture
def info(stripes: ImageDataset) -> DatasetInfo:
    classes = tuple(ClassInfo(i, f"class {i}") for i in range(7))
    return replace(stripes.info, size=64, classes=classes)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("architecture", ["resnet50", "densenet121", "small-cnn", "squeezenet1_1"])
def test_classifiers_map_images_to_logits(
    info: DatasetInfo, architecture: str, channels: int
) -> None:
    classifier = build_classifier(architecture, replace(info, channels=channels))
    images = torch.rand(2, channels, 64, 64)
    with torch.inference_mode():
        logits = classifier(images)
    assert logits.shape == (2, 7) and logits.dtype == torch.float32
    assert logits.isfinite().all() and not torch.equal(logits[0], logits[1])
    assert classifier.task == "multi-class" and not classifier.training


@pytest.mark.parametrize(
    ("architecture", "published", "features"),
    # What torchvision publishes for 1000 classes, and the width of the last layer.
    [("resnet50", 25_557_032, 2048), ("densenet121", 7_978_856, 1024)],
)
def test_paper_networks_have_their_published_size(
    info: DatasetInfo, architecture: str, published: int, features: int
) -> None:
    trainable, frozen = parameter_counts(build_classifier(architecture, replace(info, channels=3)))
    assert trainable == published - (features + 1) * (1000 - 7)
    assert frozen > 0


def test_small_cnn_is_small(info: DatasetInfo) -> None:
    trainable, frozen = parameter_counts(build_classifier("small-cnn", info))
    # Convolutions 3x3 of 1-32-64-64-64 channels, a scale and a shift a channel, the head.
    assert trainable == 9 * (32 + 32 * 64 + 2 * 64 * 64) + 2 * (32 + 3 * 64) + 65 * 7
    assert frozen == 2 * (32 + 3 * 64)


def test_images_are_normalised_to_plus_minus_one(info: DatasetInfo) -> None:
    classifier = build_classifier("small-cnn", replace(info, channels=3))
    classifier.network = nn.Identity()
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert torch.equal(classifier(ends), ends * 2 - 1)


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121", "mobilenet_v3_small"])
def test_grayscale_network_sees_the_image_repeated_in_three_channels(
    info: DatasetInfo, architecture: str
) -> None:
    colour = build_classifier(architecture, replace(info, channels=3), seed=3)
    gray = build_classifier(architecture, info, seed=3)
    images = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            gray(images), colour(images.expand(1, 3, 64, 64)), rtol=1e-3, atol=1e-4
        )


def test_seed_decides_the_weights_and_leaves_the_global_state_alone(info: DatasetInfo) -> None:
    torch.default_generator.manual_seed(11)
    expected = torch.rand(3)
    torch.default_generator.manual_seed(11)
    heads = [
        build_classifier("small-cnn", info, seed=seed).network.head.weight for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_unknown_name_lists_close_ones(info: DatasetInfo) -> None:
    with pytest.raises(UsageError, match="resnet5O") as error:
        build_classifier("resnet5O", info)
    assert "resnet50" in error.value.hint


def test_images_too_small_are_told_with_a_size_that_fits(info: DatasetInfo) -> None:
    with pytest.raises(UsageError, match="densenet121 cannot take images of 28x28") as error:
        build_classifier("densenet121", replace(info, size=28))
    assert "`size=64`" in error.value.hint


def test_channels_that_are_neither_gray_nor_rgb_are_refused(info: DatasetInfo) -> None:
    with pytest.raises(UsageError, match="has 4"):
        build_classifier("small-cnn", replace(info, channels=4))


def test_names_hold_the_papers_networks() -> None:
    assert {"small-cnn", "resnet50", "densenet121"} <= set(architecture_names())
