import pytest
import torch

from pixguard.defences.noise import NOISES, add_noise, check_noise, impulse_noise
from pixguard.errors import UsageError


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


HIGH = {"impulse": 0.9, "salt-and-pepper": 0.9, "gaussian": 0.9, "poisson": 0.9, "k-pixel": 7}


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_noise_is_seeded_and_keeps_the_range_and_its_input(kind: str, channels: int) -> None:
    clean = torch.rand((3, channels, 9, 12), generator=generator(5))
    kept = clean.clone()
    noisy = add_noise(kind, clean, HIGH[kind], generator(1))
    torch.manual_seed(99)
    assert torch.equal(noisy, add_noise(kind, clean, HIGH[kind], generator(1)))
    assert not torch.equal(noisy, add_noise(kind, clean, HIGH[kind], generator(2)))
    assert torch.equal(clean, kept) and noisy.dtype == torch.float32
    assert noisy.shape == clean.shape and noisy.min() >= 0 and noisy.max() <= 1


@pytest.mark.parametrize("kind", NOISES)
def test_level_zero_is_no_noise_and_every_image_has_its_own(kind: str) -> None:
    clean = torch.rand((2, 3, 8, 8), generator=generator(5))
    noisy = add_noise(kind, clean, torch.tensor([0.0, HIGH[kind]]), generator())
    assert torch.equal(noisy[0], clean[0]) and not torch.equal(noisy[1], clean[1])
    assert torch.equal(add_noise(kind, clean, 0, generator()), clean)


def test_salt_and_pepper_come_in_equal_shares_and_fill_the_pixel() -> None:
    noisy = add_noise("salt-and-pepper", torch.full((4, 3, 200, 200), 0.5), 0.2, generator())
    shares = [(noisy[:, 0] == value).double().mean().item() for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.004)
    assert torch.equal(noisy[:, 0], noisy[:, 1]) and torch.equal(noisy[:, 0], noisy[:, 2])


def test_gaussian_noise_has_its_deviation_in_every_channel_apart() -> None:
    noise = add_noise("gaussian", torch.full((4, 2, 200, 200), 0.5), 0.1, generator()) - 0.5
    assert noise.std().item() == pytest.approx(0.1, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=0.001)
    correlation = torch.corrcoef(noise.transpose(0, 1).reshape(2, -1))[0, 1]
    assert abs(correlation.item()) < 0.01


@pytest.mark.parametrize("value", [0.09, 0.49])
def test_poisson_noise_is_made_of_whole_counts_and_grows_with_the_root(value: float) -> None:
    noisy = add_noise("poisson", torch.full((4, 1, 200, 200), value), 0.1, generator())
    counts = noisy * 100
    assert torch.allclose(counts, counts.round(), atol=1e-4)
    assert noisy.mean().item() == pytest.approx(value, rel=0.01)
    assert noisy.std().item() == pytest.approx(0.1 * value**0.5, rel=0.02)


@pytest.mark.parametrize("k", [1, 2, 5, 36])
def test_k_pixel_noise_replaces_exactly_k_pixels_anywhere(k: int) -> None:
    noisy = add_noise("k-pixel", torch.full((300, 3, 6, 6), 2.0), k, generator())
    replaced = noisy != 2.0
    assert (replaced.sum(dim=(2, 3)) == k).all()
    assert torch.equal(replaced[:, 0], replaced[:, 2])
    if k > 1:  # 300 draws of two or more of 36 places leave none out
        assert replaced.any(dim=0).all()
    assert noisy[replaced].mean().item() == pytest.approx(0.5, abs=0.05)


def test_k_pixel_noise_takes_a_number_for_every_image() -> None:
    numbers = torch.tensor([0, 3, 1])
    noisy = add_noise("k-pixel", torch.full((3, 1, 6, 6), 2.0), numbers, generator())
    assert torch.equal((noisy != 2.0).sum(dim=(1, 2, 3)), numbers)
    with pytest.raises(UsageError, match="6 x 6 have no 37 pixels"):
        add_noise("k-pixel", torch.zeros((1, 1, 6, 6)), 37, generator())


@pytest.mark.parametrize(
    ("kind", "level", "says"),
    [
        ("impulse", 1.5, "share from 0 to 1"),
        ("gaussian", 25.0, "share from 0 to 1"),
        ("poisson", -0.1, "share from 0 to 1"),
        ("salt-and-pepper", float("nan"), "share from 0 to 1"),
        ("k-pixel", 0.1, "number of pixels"),
        ("k-pixel", 0.0, "number of pixels"),
        ("k-pixel", float("inf"), "number of pixels"),
        ("snow", 0.1, "no noise named 'snow'"),
    ],
)
def test_a_level_that_its_kind_does_not_have_is_refused(kind: str, level: float, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_noise(kind, level)
