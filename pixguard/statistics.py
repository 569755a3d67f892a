"""Statistics of counts and of paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign, isfinite, isnan, sqrt
from statistics import NormalDist, median


def wilson_interval(
    successes: int, trials: int, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the Wilson score interval of a proportion, both ends in [0, 1].

    Unlike the normal approximation it holds at 0 and at n successes, which one-pixel attacks
    reach often. Source: E. B. Wilson, JASA 22 (1927), 209-212, without continuity correction.

    Returns:
        The interval, or None without a trial.

    Raises:
        ValueError: ``successes`` is not within 0 and ``trials``.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    if trials == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # At the ends the interval touches 0 or 1 exactly; rounding would leave a stray 1e-17.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


def mean_interval(
    mean: float, squares: float, count: int, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the interval of a mean by the normal approximation, which wants some 30 values.

    Args:
        mean: of the values.
        squares: sum of the squared differences from it.
        count: number of values.
        confidence: of the interval.

    Returns:
        The interval, or None with fewer than two values.
    """
    if count < 2:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    half = z * sqrt(squares / (count - 1) / count)
    return mean - half, mean + half


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank test of paired values.

    Attributes:
        pairs: how many there are.
        ties: pairs of equal values, which the test leaves out.
        median: of the differences, first minus second; infinite where the middle one is, None
            where it has no value.
        effect: matched-pairs rank-biserial correlation, -1 to 1; None where no pair differs.
        p_value: two-sided; None where no pair differs.
    """

    pairs: int
    ties: int
    median: float | None
    effect: float | None
    p_value: float | None


def signed_rank(values: Sequence[tuple[float, float]]) -> SignedRank:
    """Return the test of pairs of values, which may be infinite but not NaN.

    Ranks alone matter: an infinite difference ranks above every finite one, two infinite values
    are equal. Source: F. Wilcoxon, Biometrics Bulletin 1 (1945), 80-83; the effect size: D. S.
    Kerby, Comprehensive Psychology 3 (2014). Exact or normal as scipy chooses by the number of
    pairs and ties.
    """
    from scipy.stats import rankdata, wilcoxon

    differences = [0.0 if a == b else a - b for a, b in values]
    median_value = median(differences) if differences else None
    if median_value is not None and isnan(median_value):
        median_value = None
    apart = [d for d in differences if d != 0]
    ties = len(differences) - len(apart)
    if not apart:
        return SignedRank(len(differences), ties, median_value, None, None)
    largest = max((abs(d) for d in apart if isfinite(d)), default=0.0)
    finite = [d if isfinite(d) else copysign(2 * largest + 1, d) for d in apart]
    ranks = rankdata([abs(d) for d in finite])
    signed = float(sum(copysign(rank, d) for rank, d in zip(ranks, finite, strict=True)))
    p_value = float(wilcoxon(finite, zero_method="wilcox", alternative="two-sided").pvalue)
    return SignedRank(len(differences), ties, median_value, signed / float(ranks.sum()), p_value)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Of two treatments of the same subjects it asks whether they succeed equally often. The pairs on
    which they agree say nothing of it; of the others a half goes to each if they do.
    Source: Q. McNemar, Psychometrika 12 (1947), 153-157, with the binomial distribution itself.

    Args:
        only_first: subjects on which the first alone succeeds.
        only_second: those on which the second alone does.
    """
    from scipy.stats import binomtest

    apart = only_first + only_second
    return float(binomtest(only_first, apart).pvalue) if apart else 1.0


def paired_interval(
    both: int, only_first: int, only_second: int, neither: int
) -> tuple[float, float] | None:
    """Return the 95 % interval of the difference of two shares of the same subjects.

    From the Wilson intervals of the two shares and their correlation: it holds with few subjects,
    and stays within -1 and 1. Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650,
    method 10.

    Args:
        both: subjects on which both treatments succeed.
        only_first: those on which the first alone does.
        only_second: those on which the second alone does.
        neither: those on which none does.

    Returns:
        Bounds of first minus second; None without a subject.
    """
    count = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    of_first, of_second = wilson_interval(first, count), wilson_interval(second, count)
    if of_first is None or of_second is None:
        return None
    (low_1, high_1), (low_2, high_2) = of_first, of_second
    share_1, share_2 = first / count, second / count
    margins = first * (count - first) * second * (count - second)
    product: float = both * neither - only_first * only_second
    if product > 0:
        product = max(product - count / 2, 0)
    phi = product / sqrt(margins) if margins else 0.0

    def span(one: float, other: float) -> float:
        return sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))

    difference = share_1 - share_2
    return (
        difference - span(share_1 - low_1, high_2 - share_2),
        difference + span(high_1 - share_1, share_2 - low_2),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number, in the same order; None stays and counts not.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * p))
        corrected[place] = least
    return corrected
