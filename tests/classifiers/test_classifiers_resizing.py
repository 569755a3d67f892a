"""The resize inside a classifier is the loader's, less its rounding."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.resizing import Resize, at_native_size, resampling_matrix
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.datasets.decode import decode

SHAPES = [(26, 331, 64), (332, 98, 64), (8, 9, 28), (450, 600, 224), (64, 30, 64), (17, 64, 64)]


@pytest.mark.parametrize(("height", "width", "size"), SHAPES)
def test_it_is_pillows_on_floats(height, width, size):
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    found = Resize(size)(images)
    for image, resized in zip(images.flatten(0, 1), found.flatten(0, 1), strict=True):
        oracle = Image.fromarray(image.numpy()).resize((size, size), Image.Resampling.BICUBIC)
        assert np.abs(resized.numpy() - np.asarray(oracle)).max() < 2e-6
    torchs = F.interpolate(images, (size, size), mode="bicubic", antialias=True)
    assert (found - torchs).abs().max() < 1e-4


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 90), st.integers(1, 90))
def test_outputs_are_means_and_equal_extents_change_nothing(extent, size):
    matrix = resampling_matrix(extent, size)
    assert matrix.shape == (size, extent)
    assert torch.allclose(matrix.sum(1), torch.ones(size, dtype=torch.float64))
    assert torch.equal(resampling_matrix(extent, extent), torch.eye(extent).double())


@pytest.mark.parametrize(("height", "width", "size"), SHAPES)
def test_it_is_the_loaders_up_to_rounding(height, width, size):
    """Pillow rounds to 8 bits after each direction; bright and dark edges it clips in between.

    The first rounding is amplified by the second pass, by at most the sum of its weights' sizes.
    """
    rng = np.random.default_rng(0)
    grid = rng.integers(70, 186, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
    smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    smooth.save(file, "PNG")
    loaded = decode(file.getvalue(), size, 3)
    native = torch.from_numpy(np.array(smooth)).permute(2, 0, 1)[None] / 255
    ours = Resize(size)(native).clamp(0, 1)[0].permute(1, 2, 0) * 255
    amplified = 0.5 * float(resampling_matrix(height, size).abs().sum(1).max())
    assert (ours - torch.tensor(loaded)).abs().max() < 0.5 + amplified + 0.01


def test_gradients_pass_even_where_the_first_images_had_none():
    torch.manual_seed(0)
    inner = Classifier(SmallCNN(1, 3), "multi-class", 3, (0.5,), (0.2,)).eval()
    whole = at_native_size(inner, 28)
    image = torch.rand(1, 1, 41, 37)
    with torch.inference_mode():
        logits = whole(image)
        assert torch.equal(logits, inner(Resize(28)(image).clamp(0, 1)))
    leaf = (0.25 + 0.5 * image).double().requires_grad_()
    part = leaf[:, :, :6, :7].detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(Resize(5), part)
    (gradient,) = torch.autograd.grad(whole.double()(leaf)[0, 0], leaf)
    assert gradient.abs().max() > 0


def test_thresholds_and_task_are_kept():
    inner = Classifier(SmallCNN(1, 4), "multi-label", 4, (0.5,), (0.2,), threshold=0.3)
    whole = at_native_size(inner, 28)
    assert (whole.task, whole.label_count, whole.channels) == ("multi-label", 4, 1)
    assert torch.equal(whole.thresholds, inner.thresholds)
