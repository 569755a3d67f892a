"""Statistics of counts and of paired differences."""

from math import sqrt
from statistics import NormalDist


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
