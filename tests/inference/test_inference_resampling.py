"""A resize on windows is the resize of the whole image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from inference.inference_networks import agreement, candidates, clean_images, delta, dense_logits
from pixguard.classifiers.behind import behind
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.resizing import at_native_size, resampling_matrix
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.inference.choice import choose_evaluator
from pixguard.inference.geometry import Windows
from pixguard.inference.operations import Resampling
from pixguard.inference.resampling import Weights

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_reach_and_patches_are_what_the_resize_needs(extent, size, width):
    """Windows of one pixel, and wider ones as they stand behind a convolution."""
    matrix = resampling_matrix(extent, size)
    weights = Weights(matrix)
    places = torch.arange(extent)
    windows = Windows(extent, (places - width).clamp(min=0), (places + width).clamp(max=extent - 1))
    reached = weights.reach(windows, size)
    needed, between = weights.needed(reached, extent), weights.between(reached)
    assert ((needed >= 0) & (needed < extent)).all()
    line = torch.rand(extent, dtype=torch.float64)
    for place in range(extent):
        inputs = slice(int(windows.first[place]), int(windows.last[place]) + 1)
        changed = line.clone()
        changed[inputs] += 1
        differs = ((matrix @ changed) != (matrix @ line)).nonzero().flatten().tolist()
        start = int(reached.starts[place])
        assert set(differs) <= set(range(start, start + reached.size))
        window = between[place] @ changed[needed[place]]
        assert torch.allclose(window, (matrix @ changed)[start : start + reached.size])


def network(channels: int) -> Classifier:
    torch.manual_seed(0)
    mean, std = (0.4,) * channels, (0.2,) * channels
    return Classifier(SmallCNN(channels, 3), "multi-class", 3, mean, std).eval()


@pytest.mark.parametrize("pixels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (9, 90), (61, 40), (130, 200)])
def test_delta_is_dense_through_a_resize(size, pixels):
    model = at_native_size(network(3), 28)
    found = agreement(model, clean_images(2, 3, size), pixels)
    assert found.error < 1e-12
    assert found.change > 1e-4


def test_delta_is_dense_behind_a_denoiser_and_a_resize():
    """Then windows of many pixels are resized, and may overlap."""
    torch.manual_seed(1)
    denoiser = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 5, padding=2)
    )
    model = behind(at_native_size(network(1), 28), denoiser)
    images = clean_images(2, 1, (50, 77))
    assert agreement(model, images, 2).error < 1e-12
    plan = delta(model, images, 2)._plan
    assert any(s.place is not None for s in plan.steps if isinstance(s.operation, Resampling))


@pytest.mark.parametrize("evaluator", ["delta", "dense"])
def test_pixels_are_not_rounded_before_the_first_weights(evaluator):
    """In bfloat16 two gray levels would be one if the resize were computed in it."""
    model = at_native_size(network(1), 28)
    chosen = choose_evaluator(
        model, 40, 60, CPU, evaluator=evaluator, precision="bfloat16", batch=8
    )
    assert chosen.name == evaluator
    chosen.allocate(1, 40, 60, 1)
    image = clean_images(1, 1, (40, 60))
    chosen.load(0, image[0])
    given_ = candidates(image, 1)
    found = chosen.logits(given_.owners, given_.positions, given_.colours)
    expected = dense_logits(model, image, given_)
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
