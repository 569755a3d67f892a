import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixguard.datasets.splits import paper_splits

SHARES = (0.7, 0.1, 0.2)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=300),
    st.integers(0, 2**32),
)
def test_every_stratum_keeps_the_shares_to_two_images(labels, seed):
    ordinals = np.array(labels, dtype=np.int64)
    splits = paper_splits(ordinals, seed)
    for stratum in (*np.unique(ordinals), None):
        mine = splits if stratum is None else splits[ordinals == stratum]
        for split, share in enumerate(SHARES):
            assert abs(int((mine == split).sum()) - share * len(mine)) < 2


def test_whole_tens_are_split_exactly():
    splits = paper_splits(np.repeat(np.arange(3), 100).astype(np.int64), seed=5)
    assert np.bincount(splits).tolist() == [210, 30, 60]


def test_seed_decides_who_goes_where():
    labels = np.repeat(np.arange(4), 50).astype(np.int64)
    assert (paper_splits(labels, 1) == paper_splits(labels, 1)).all()
    assert (paper_splits(labels, 1) != paper_splits(labels, 2)).any()


def test_the_stream_is_pinned():
    # A change here would silently reshuffle every user's held-out images.
    splits = paper_splits(np.zeros(12, dtype=np.int64), seed=0)
    assert splits.tolist() == [2, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0]


def test_multi_label_strata_are_label_sets():
    rng = np.random.default_rng(0)
    labels = (rng.random((1000, 3)) < 0.4).astype(np.uint8)
    splits = paper_splits(labels, seed=0)
    codes = labels @ np.array([1, 2, 4])
    for code in np.unique(codes):
        mine = splits[codes == code]
        assert abs((mine == 2).sum() - 0.2 * len(mine)) < 2


@pytest.mark.parametrize("count", [1, 3])
def test_label_sets_that_occur_once_reach_the_held_out_part(count):
    unique = np.array([[i >> b & 1 for b in range(8)] for i in range(200)], dtype=np.uint8)
    splits = paper_splits(np.repeat(unique, count, axis=0), seed=0)
    assert abs((splits == 2).mean() - 0.2) < 0.01
