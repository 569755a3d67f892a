from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, multinomial

from pixguard.statistics import mcnemar, paired_interval, wilson_interval


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_agrees_with_scipy(counts: tuple[int, int]) -> None:
    successes, trials = counts
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


def test_wilson_interval_of_a_textbook_case() -> None:
    # 81 of 263: Newcombe (1998), Statistics in Medicine 17, Table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_interval_touches_the_ends_and_needs_a_trial() -> None:
    assert wilson_interval(0, 10) == (0.0, pytest.approx(0.27753, abs=1e-5))
    assert wilson_interval(10, 10) == (pytest.approx(0.72247, abs=1e-5), 1.0)
    assert wilson_interval(0, 0) is None


def test_wilson_interval_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson_interval(3, 2)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_twice_the_smaller_tail(first: int, second: int) -> None:
    apart = first + second
    tail = sum(comb(apart, k) for k in range(min(first, second) + 1)) / 2**apart
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(first, second) == mcnemar(second, first)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(0, 0) == 1.0


COUNTS = st.integers(0, 40)


@given(counts=st.tuples(COUNTS, COUNTS, COUNTS, COUNTS))
def test_a_paired_interval_holds_the_difference_and_is_as_good_either_way(
    counts: tuple[int, int, int, int],
) -> None:
    both, first, second, neither = counts
    found, turned = paired_interval(*counts), paired_interval(both, second, first, neither)
    if found is None:
        assert sum(counts) == 0
        return
    low, high = found
    assert -1 - 1e-12 <= low <= (first - second) / sum(counts) <= high <= 1 + 1e-12
    assert turned == pytest.approx((-high, -low))
    assert paired_interval(neither, second, first, both) == pytest.approx((-high, -low))


def test_a_paired_interval_covers_what_it_should() -> None:
    """Every outcome of 20 pairs, weighed by its probability: the exact coverage."""
    pairs = 20
    for chances in ((0.3, 0.2, 0.1, 0.4), (0.6, 0.05, 0.05, 0.3), (0.0, 0.3, 0.3, 0.4)):
        truth, covered = chances[1] - chances[2], 0.0
        for both in range(pairs + 1):
            for first in range(pairs + 1 - both):
                for second in range(pairs + 1 - both - first):
                    counts = (both, first, second, pairs - both - first - second)
                    low, high = paired_interval(*counts) or (0.0, 0.0)
                    if low <= truth <= high:
                        covered += multinomial.pmf(counts, pairs, chances)
        assert 0.93 < covered < 0.995, chances


def test_a_paired_interval_is_near_a_bootstrap() -> None:
    both, first, second, neither = 90, 40, 20, 150
    differences = np.repeat([0, 1, -1, 0], (both, first, second, neither))
    drawn = np.random.default_rng(0).choice(differences, (4000, len(differences))).mean(axis=1)
    expected = np.quantile(drawn, (0.025, 0.975))
    assert paired_interval(both, first, second, neither) == pytest.approx(expected, abs=0.01)
