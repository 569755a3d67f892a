import pytest
import torch
from scipy import stats

from pixguard.attacks.engine.philox import below, key_words, philox, standard_normal, unit_interval

# Known answers of Philox4x32-10, published with Random123 (Salmon et al. 2011).
KNOWN = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 2,
        (0xFFFFFFFF,) * 4,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN)
def test_known_answers(key, counter, expected):
    words = philox(
        (torch.tensor(key[0]), torch.tensor(key[1])), tuple(torch.tensor(c) for c in counter)
    )
    assert tuple(words.tolist()) == expected


def words(count: int) -> torch.Tensor:
    zero = torch.tensor(0)
    key = tuple(torch.tensor(w) for w in key_words("0123456789abcdef"))
    return philox(key, (torch.arange(count), zero, zero, zero)).flatten()


def test_derived_distributions():
    drawn = words(5000)
    assert stats.kstest(unit_interval(drawn).numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(standard_normal(drawn).numpy(), "norm").pvalue > 1e-3
    counts = torch.bincount(below(drawn, 7), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_extreme_words_stay_inside_their_range():
    extremes = torch.tensor([0, 2**32 - 1])
    assert below(extremes, 10).tolist() == [0, 9]
    assert standard_normal(extremes).isfinite().all()
