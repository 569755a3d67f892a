"""Mean squared error (paper, section 4.1.2, metric 3)."""

from torch import Tensor

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.metric import Metric


def mse(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,): the mean over channels and pixels of the squared difference.

    Args:
        restored: float32 (N, C, H, W) in [0, 1].
        clean: likewise.

    Raises:
        ValueError: shapes differ, or values are outside [0, 1].
    """
    first, second = checked(restored, clean)
    return (first - second).square().mean(dim=(1, 2, 3))


METRIC = Metric(mse, {"data_range": DATA_RANGE})
