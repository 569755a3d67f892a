"""Peak signal-to-noise ratio (paper, section 4.1.2, metric 1)."""

from torch import Tensor

from pixguard.metrics.inputs import DATA_RANGE
from pixguard.metrics.metric import Metric
from pixguard.metrics.mse import mse


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,) in dB: 10 log10(1 / MSE) at data range 1, infinite for equal images.

    Nothing is added to the MSE: implementations that add 1e-8 cap the value at 80 dB.

    Args:
        restored: float32 (N, C, H, W) in [0, 1].
        clean: likewise.

    Raises:
        ValueError: shapes differ, or values are outside [0, 1].
    """
    return -10 * mse(restored, clean).log10()


METRIC = Metric(psnr, {"data_range": DATA_RANGE})
