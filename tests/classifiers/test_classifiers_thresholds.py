"""Thresholds of labels: against every threshold that could have been chosen."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pixguard.classifiers.thresholds import ThresholdRule, choose_thresholds


def value(rule: str, scores: NDArray[np.float64], has: NDArray[np.bool_], at: float) -> float:
    given = scores >= at
    hits, false = int((given & has).sum()), int((given & ~has).sum())
    if rule == "f1":
        return 2 * hits / (2 * hits + false + int((~given & has).sum()))
    return hits / has.sum() - false / (~has).sum()


@pytest.mark.parametrize("rule", ["f1", "youden"])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_is_better(rule: ThresholdRule, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random((40, 3)).round(1 if seed % 2 else 6)  # with and without ties
    has = rng.random((40, 3)) < np.array([0.1, 0.5, 0.8])
    chosen = choose_thresholds(rule, scores, has, np.full(3, 0.5, np.float32))
    for label, choice in enumerate(chosen):
        own = scores[:, label], has[:, label]
        best = max(value(rule, *own, at) for at in np.linspace(0.0001, 1.0, 2001))
        assert choice.value == pytest.approx(value(rule, *own, choice.threshold)), rule
        assert choice.value == pytest.approx(best, abs=1e-9)
        assert choice.positives == own[1].sum() and 0 < choice.threshold < 1


def test_of_equally_good_thresholds_the_highest_gives_the_label_least_often() -> None:
    # J is 1/2 from 0.9 on, and again from 0.4 on.
    scores, has = np.array([[0.9], [0.8], [0.4], [0.1]]), np.array([[1], [0], [1], [0]], bool)
    (choice,) = choose_thresholds("youden", scores, has, np.full(1, 0.5, np.float32))
    assert choice.threshold == pytest.approx(0.85) and choice.value == 0.5


@pytest.mark.parametrize("has", [np.zeros((4, 1), bool), np.ones((4, 1), bool)])
def test_a_label_that_all_images_have_or_none_keeps_its_threshold(has: NDArray[np.bool_]) -> None:
    scores = np.array([[0.9], [0.8], [0.4], [0.1]])
    (choice,) = choose_thresholds("f1", scores, has, np.full(1, 0.25, np.float32))
    assert (choice.threshold, choice.value) == (0.25, None)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="probabilities of"):
        choose_thresholds("f1", np.zeros((4, 2)), np.zeros((4, 1), bool), np.zeros(2, np.float32))


@pytest.mark.parametrize("last", [0.0, 1e-9, 1.0])
def test_a_threshold_stays_where_a_logit_is_finite(last: float) -> None:
    scores, has = np.array([[1.0], [1.0], [last]]), np.array([[1], [0], [1]], bool)
    (choice,) = choose_thresholds("f1", scores, has, np.full(1, 0.5, np.float32))
    assert choice.value == value("f1", scores[:, 0], has[:, 0], choice.threshold)
    assert np.isfinite(np.log(choice.threshold / (1 - choice.threshold)))
