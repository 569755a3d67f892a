import pytest
import torch

from pixguard.defences.noise import impulse_noise


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_share_and_the_colours_are_those_asked_for() -> None:
    clean = torch.full((4, 3, 200, 200), 2.0)  # outside [0, 1]: whatever is inside is noise
    noisy = impulse_noise(clean, 0.1, generator())
    replaced = noisy != 2.0
    # Standard deviation of the share over 160,000 pixels: 0.00075.
    assert replaced[:, 0].double().mean().item() == pytest.approx(0.1, abs=0.004)
    colours = noisy[replaced]
    assert 0 <= colours.min() < 0.001 and 0.999 < colours.max() < 1
    assert colours.mean().item() == pytest.approx(0.5, abs=0.01)
    assert colours.var().item() == pytest.approx(1 / 12, abs=0.003)


def test_channels_are_replaced_together_with_colours_of_their_own() -> None:
    noisy = impulse_noise(torch.full((2, 3, 64, 64), 2.0), 0.3, generator())
    replaced = noisy != 2.0
    assert torch.equal(replaced[:, 0], replaced[:, 1])
    assert torch.equal(replaced[:, 0], replaced[:, 2])
    assert not torch.equal(noisy[:, 0][replaced[:, 0]], noisy[:, 1][replaced[:, 0]])


def test_per_channel_noise_decides_for_every_channel_apart() -> None:
    noisy = impulse_noise(torch.full((2, 3, 200, 200), 2.0), 0.1, generator(), per_channel=True)
    replaced = noisy != 2.0
    both = (replaced[:, 0] & replaced[:, 1]).double().mean().item()
    assert both == pytest.approx(0.01, abs=0.002)


def test_levels_may_differ_from_image_to_image() -> None:
    levels = torch.tensor([0.0, 0.1, 0.9, 1.0])
    noisy = impulse_noise(torch.full((4, 1, 200, 200), 2.0), levels, generator())
    shares = (noisy != 2.0).double().mean(dim=(1, 2, 3))
    assert shares[0] == 0 and shares[3] == 1
    assert shares.tolist() == pytest.approx(levels.tolist(), abs=0.01)


def test_the_generator_alone_decides_and_the_images_are_kept() -> None:
    clean = torch.full((2, 1, 16, 16), 0.5)
    first = impulse_noise(clean, 0.2, generator(1))
    torch.manual_seed(99)
    assert torch.equal(first, impulse_noise(clean, 0.2, generator(1)))
    assert not torch.equal(first, impulse_noise(clean, 0.2, generator(2)))
    assert torch.equal(clean, torch.full((2, 1, 16, 16), 0.5))
    assert first.dtype == torch.float32
