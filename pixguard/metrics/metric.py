"""What a metric is: a pure function, and what the database records of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        function: (restored, clean), float32 (N, C, H, W) in [0, 1], to float64 (N,).
        parameters: the data range and every constant that the values depend on; recorded.
        version: counted up when values change; recorded.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    parameters: Mapping[str, Any]
    version: int = 1
