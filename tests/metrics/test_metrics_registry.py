import json

import pytest
import torch

from pixguard.metrics import METRICS


def test_the_papers_five_metrics_state_their_range_and_direction() -> None:
    paper = ("psnr", "ssim", "mse", "gmsd", "fsim")
    assert METRICS.names[:5] == paper
    assert {n for n in paper if not METRICS[n].higher_is_better} == {"mse", "gmsd"}
    for name in METRICS.names:
        metric = METRICS.load(name)
        assert metric.version == 1
        assert json.loads(json.dumps(dict(metric.parameters)))["data_range"] == 1


@pytest.mark.parametrize("name", METRICS.names)
@pytest.mark.parametrize("value", [-0.001, 1.001, 255.0, float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
def test_values_outside_the_range_are_refused(name: str, value: float, side: int) -> None:
    images = [torch.full((2, 1, 16, 16), 0.5), torch.full((2, 1, 16, 16), 0.5)]
    images[side][1, 0, 3, 4] = value
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        METRICS.load(name).function(*images)


@pytest.mark.parametrize("name", METRICS.names)
def test_unfit_shapes_are_refused(name: str) -> None:
    function = METRICS.load(name).function
    with pytest.raises(ValueError, match="unequal"):
        function(torch.zeros(2, 1, 16, 16), torch.zeros(2, 1, 16, 17))
    with pytest.raises(ValueError, match="N, 1 or 3"):
        function(torch.zeros(2, 2, 16, 16), torch.zeros(2, 2, 16, 16))


@pytest.mark.parametrize(("name", "least"), [("ssim", 11), ("gmsd", 2), ("fsim", 8)])
def test_the_least_side_is_taken_and_one_less_is_refused(name: str, least: int) -> None:
    function = METRICS.load(name).function
    assert METRICS[name].least_side == least
    assert torch.isfinite(function(*torch.rand(2, 1, 1, least, least))).all()
    with pytest.raises(ValueError, match=f"at least {least}"):
        function(*torch.rand(2, 1, 1, 40, least - 1))
