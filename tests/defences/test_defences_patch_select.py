import pytest
import torch
from torch import Tensor, nn

from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.patch_select import PatchSelect, largest_changes, threshold


class Darker(nn.Module):
    """Takes 0.4 off bright pixels and 0.1 off the others."""

    def forward(self, images: Tensor) -> Tensor:
        return images - torch.where(images > 0.8, 0.4, 0.1)


def test_the_patch_around_a_large_change_is_restored_and_nothing_else() -> None:
    images = torch.full((2, 3, 7, 9), 0.5)
    images[0, 1, 3, 4] = 0.9  # one channel of one pixel
    images[1, :, 0, 8] = 0.9  # a corner of the other image
    selected = PatchSelect(Darker(), tau=0.2)(images)
    restored = Darker()(images)
    assert torch.equal(selected[0, :, 2:5, 3:6], restored[0, :, 2:5, 3:6])
    assert torch.equal(selected[1, :, :2, 7:], restored[1, :, :2, 7:])
    changed = (selected != images).any(dim=1).sum(dim=(1, 2))
    assert changed.tolist() == [9, 4]


def test_a_change_equal_to_tau_does_not_count_and_the_range_is_kept() -> None:
    images = torch.full((1, 1, 5, 5), 0.0)
    # Darker leaves the range; what is compared is the clipped image.
    assert torch.equal(PatchSelect(Darker(), tau=0.05)(images), images)
    images += 0.5
    change = largest_changes(images, Darker()(images), 3).max().item()
    assert torch.equal(PatchSelect(Darker(), tau=change)(images), images)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_the_window_decides_how_far_a_change_reaches(window: int) -> None:
    images = torch.full((1, 1, 11, 11), 0.5)
    images[..., 5, 5] = 0.9
    selected = PatchSelect(Darker(), tau=0.2, window=window)(images)
    assert (selected != images).sum() == window**2
    with pytest.raises(ValueError, match="odd"):
        PatchSelect(Darker(), tau=0.2, window=window + 1)


def test_the_threshold_keeps_its_share_of_clean_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((20, 1, 32, 32), generator=generator)
    denoiser = build_denoiser("median", 1)
    tau = threshold(largest_changes(images, denoiser(images), 3))
    # One large change reaches nine pixels, which are above the threshold or not together.
    above = (PatchSelect(denoiser, tau)(images) != images).sum().item()
    assert 20 * 32 * 32 * 0.001 - 18 <= above <= 20 * 32 * 32 * 0.001


def test_the_gradient_passes_where_the_input_is_kept_and_through_the_denoiser() -> None:
    images = torch.full((1, 1, 7, 7), 0.5)
    images[..., 0, 0] = 0.9
    images.requires_grad_()
    scaled = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(scaled.weight, 0.5)
    PatchSelect(scaled, tau=0.3)(images).sum().backward()
    assert images.grad is not None
    assert images.grad[0, 0, 0, 0] == 0.5 and images.grad[0, 0, 6, 6] == 1
