"""Image-quality metrics by name: restored against clean images, one value an image."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pixguard.metrics import fsim, gmsd, mse, psnr, ssim
from pixguard.metrics.inputs import DATA_RANGE


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and what the database records of it.

    Attributes:
        name: unique; the column of a report.
        function: (restored, clean), float32 (N, C, H, W) in [0, 1], to float64 (N,).
        version: counted up when values change.
        parameters: the data range and every constant that the values depend on.
        higher_is_better: how to rank.
        least_side: the fewest rows and columns that it is defined for.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    version: int
    parameters: Mapping[str, Any]
    higher_is_better: bool
    least_side: int = 1


def registry(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Return metrics by name.

    Raises:
        ValueError: a name is used twice.
    """
    by_name: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in by_name:
            raise ValueError(f"two metrics are named {metric.name!r}")
        by_name[metric.name] = metric
    return by_name


METRICS: Mapping[str, Metric] = registry(
    [
        Metric("psnr", psnr.psnr, 1, {"data_range": DATA_RANGE}, higher_is_better=True),
        Metric(
            "ssim",
            ssim.ssim,
            1,
            {
                "data_range": DATA_RANGE,
                "window": ssim.WINDOW,
                "sigma": ssim.SIGMA,
                "k1": ssim.K1,
                "k2": ssim.K2,
                "covariance": "population",
                "border": "valid",
            },
            higher_is_better=True,
            least_side=ssim.WINDOW,
        ),
        Metric("mse", mse.mse, 1, {"data_range": DATA_RANGE}, higher_is_better=False),
        Metric(
            "gmsd",
            gmsd.gmsd,
            1,
            {"data_range": DATA_RANGE, "constant": gmsd.CONSTANT, "colour": "luma"},
            higher_is_better=False,
            least_side=gmsd.LEAST_SIDE,
        ),
        Metric(
            "fsim",
            fsim.fsim,
            1,
            {
                "data_range": DATA_RANGE,
                "scales": fsim.SCALES,
                "orientations": fsim.ORIENTATIONS,
                "least_wavelength": fsim.LEAST_WAVELENGTH,
                "colour": "luma",
            },
            higher_is_better=True,
            least_side=fsim.LEAST_SIDE,
        ),
    ]
)
"""The paper's five metrics, in the order of its tables."""
