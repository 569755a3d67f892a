import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pixguard.inference.geometry import OUTSIDE, Slide, Windows

slides = st.builds(
    Slide,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)
F_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate",
           "circular": "circular"}  # fmt: skip


def padded(line: torch.Tensor, slide: Slide) -> torch.Tensor:
    return F.pad(line[None, None], (slide.padding, slide.padding), mode=F_MODES[slide.mode])


def outputs(slide: Slide, extent: int) -> int:
    """How many places the output has; what torch refuses is no example."""
    assume(slide.mode != "reflect" or slide.padding < extent)
    assume(slide.mode != "circular" or slide.padding <= extent)
    count = (extent + 2 * slide.padding - (slide.kernel - 1) * slide.dilation - 1) // slide.stride
    assume(count >= 0)
    return count + 1


def interval(touched: torch.Tensor) -> tuple[int, int]:
    places = touched.nonzero().flatten().tolist()
    return places[0], places[-1]


def convolved(slide: Slide, line: torch.Tensor) -> torch.Tensor:
    weight = torch.arange(1.0, slide.kernel + 1).view(1, 1, -1)
    return F.conv1d(padded(line, slide), weight, stride=slide.stride, dilation=slide.dilation)[0, 0]


@settings(deadline=None, max_examples=80)
@given(slides, st.integers(1, 12))
def test_reach_is_what_a_convolution_changes_when_one_input_changes(slide, extent):
    count = outputs(slide, extent)
    reached = slide.reach(Windows.of_pixels(extent), count)
    clean = convolved(slide, torch.zeros(extent))
    assert len(clean) == count
    for place in range(extent):
        touched = convolved(slide, torch.eye(extent)[place]) != clean
        if touched.any():
            assert (reached.first[place], reached.last[place]) == interval(touched)
        # What no output sees may have any window, as long as it lies in the map.
        assert 0 <= reached.first[place] <= reached.last[place] < count


@settings(deadline=None, max_examples=50)
@given(slides, slides, st.integers(3, 14))
def test_reach_through_two_layers_holds_all_that_changes(first, second, extent):
    count = outputs(first, extent)
    last = outputs(second, count)
    reached = second.reach(first.reach(Windows.of_pixels(extent), count), last)
    for place in range(extent):
        touched = convolved(second, convolved(first, torch.eye(extent)[place])) != 0
        for found in touched.nonzero().flatten().tolist():
            assert reached.first[place] <= found <= reached.last[place]


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("pool", ["max", "average"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (4, 3, 2)]
)
def test_reach_is_what_a_pooling_changes(pool, ceil, kernel, stride, padding):
    def run(line):
        if pool == "max":
            return F.max_pool1d(line[None], kernel, stride, padding, ceil_mode=ceil)[0]
        return F.avg_pool1d(line[None], kernel, stride, padding, ceil_mode=ceil)[0]

    for extent in range(kernel, 11):
        clean = run(torch.zeros(extent))
        reached = Slide(kernel, stride, padding).reach(Windows.of_pixels(extent), len(clean))
        for place in range(extent):
            touched = run(torch.eye(extent)[place]) != clean
            if touched.any():
                assert (reached.first[place], reached.last[place]) == interval(touched)


@settings(deadline=None, max_examples=80)
@given(slides, st.integers(1, 12))
def test_what_is_needed_is_what_stands_in_the_padded_map(slide, extent):
    count = outputs(slide, extent)
    windows = slide.reach(Windows.of_pixels(extent), count)
    needed = slide.needed(windows, extent)
    # Places are numbered from 1: zero is padding.
    numbers = padded(torch.arange(1.0, extent + 1), slide)[0, 0].long()
    for place, start in enumerate(windows.starts.tolist()):
        begin = start * slide.stride
        assert torch.equal(needed[place] + 1, numbers[begin : begin + needed.shape[1]])
    span = (windows.size - 1) * slide.stride + (slide.kernel - 1) * slide.dilation + 1
    assert needed.shape == (extent, span)


@pytest.mark.parametrize("include", [False, True])
def test_counted_is_what_an_average_is_divided_by(include):
    for extent, kernel, stride, padding in itertools.product(
        range(1, 9), range(1, 5), range(1, 4), range(3)
    ):
        if padding > kernel // 2 or extent + 2 * padding < kernel:
            continue
        ones = torch.ones(1, extent, dtype=torch.float64)
        means = F.avg_pool1d(ones, kernel, stride, padding, True, include)[0]
        line = torch.ones(1, 1, 1, extent, dtype=torch.float64)
        sums = F.avg_pool2d(
            line, (1, kernel), (1, stride), (0, padding), ceil_mode=True, divisor_override=1
        )[0, 0, 0]
        counted = Slide(kernel, stride, padding).counted(len(means), extent, include)
        torch.testing.assert_close(sums / counted, means, rtol=1e-12, atol=0)


@settings(deadline=None, max_examples=50)
@given(st.lists(slides, min_size=1, max_size=4), st.integers(1, 12))
def test_windows_never_leave_the_map_and_hold_the_influence(chain, extent):
    windows = other = Windows.of_pixels(extent)
    for slide in chain:
        count = outputs(slide, windows.extent)
        windows, other = slide.reach(windows, count), Slide(1, slide.stride).reach(other, count)
        for each in (windows, windows.joined(other)):
            coordinates = each.coordinates()
            assert coordinates.shape == (extent, each.size)
            assert 0 <= coordinates.min() and coordinates.max() < count
            assert (coordinates[:, 0] <= each.first).all()
            assert (coordinates[:, -1] >= each.last).all()


def test_joined_windows_hold_both():
    narrow = Windows(9, torch.tensor([0, 3]), torch.tensor([1, 4]))
    wide = Windows(9, torch.tensor([1, 2]), torch.tensor([3, 3]))
    joined = narrow.joined(wide)
    assert (joined.first.tolist(), joined.last.tolist()) == ([0, 2], [3, 4])
    assert joined.size == 4 and not joined.same_as(wide)


def test_padding_is_marked():
    assert Slide(3, padding=1).needed(Windows.of_pixels(2), 2).tolist() == [
        [OUTSIDE, 0, 1],
        [0, 1, OUTSIDE],
    ]
