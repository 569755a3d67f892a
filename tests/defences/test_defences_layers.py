from itertools import product

import numpy as np
import pytest
import scipy.ndimage
import torch

from pixguard.defences.denoisers.layers import median_filter, pad_to_multiple, selection_network


@pytest.mark.parametrize("wires", range(1, 11))
def test_every_rank_is_selected_from_every_input(wires: int) -> None:
    # By the 0-1 principle a comparator network that is right on zeros and ones is right.
    for rank in range(wires):
        network = selection_network(wires, (rank,))
        for bits in product((0, 1), repeat=wires):
            values = list(bits)
            for low, high, smaller, larger in network:
                first, second = values[low], values[high]
                if smaller:
                    values[low] = min(first, second)
                if larger:
                    values[high] = max(first, second)
            assert values[rank] == sorted(bits)[rank]


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", [(2, 3, 27, 45), (1, 1, 8, 8), (1, 2, 2, 3)])
def test_medians_are_those_of_scipy(size: int, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    images = np.where(images < 0.3, 0, images)  # ties
    expected = scipy.ndimage.median_filter(images, size=(1, 1, size, size), mode="nearest")
    np.testing.assert_array_equal(median_filter(torch.from_numpy(images), size), expected)


def test_medians_of_bfloat16_are_exact_and_have_gradients() -> None:
    values = torch.rand(1, 2, 9, 9, generator=torch.Generator().manual_seed(0)).bfloat16()
    images = values.clone().requires_grad_()
    medians = median_filter(images, 3)
    assert medians.dtype is torch.bfloat16
    assert torch.equal(medians.float(), median_filter(values.float(), 3))
    medians.sum().backward()
    assert images.grad is not None and images.grad.sum().item() == 2 * 81


@pytest.mark.parametrize("size", [3, 5])
def test_gradients_are_those_of_finite_differences(size: int) -> None:
    values = torch.randperm(70, generator=torch.Generator().manual_seed(0)).double() / 70
    images = values.view(1, 2, 5, 7).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: median_filter(x, size), images, eps=1e-4)


def test_a_tie_shares_out_no_more_gradient_than_there_is() -> None:
    images = torch.full((1, 1, 9, 9), 0.5, requires_grad=True)
    median_filter(images, 3).sum().backward()
    assert images.grad is not None
    assert images.grad.sum().item() == 81


@pytest.mark.parametrize("size", [0, 2, -1])
def test_windows_have_a_centre(size: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        median_filter(torch.zeros(1, 1, 8, 8), size)


def test_padding_repeats_the_border_and_leaves_multiples_alone() -> None:
    images = torch.arange(6.0).view(1, 1, 2, 3)
    padded = pad_to_multiple(images, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert pad_to_multiple(padded, 4) is padded
