"""Which metrics there are, in the order of the paper's tables; light to import."""

from dataclasses import dataclass

from pixguard.registry import Entry, Registry


@dataclass(frozen=True, slots=True)
class MetricEntry(Entry):
    """A metric by name; its target is a :class:`pixguard.metrics.metric.Metric`.

    Attributes:
        higher_is_better: how to rank.
        least_side: the fewest rows and columns that it is defined for.
    """

    higher_is_better: bool = True
    least_side: int = 1


METRICS = Registry(
    "metric",
    [
        MetricEntry("psnr", "pixguard.metrics.psnr:METRIC", "Peak signal-to-noise ratio, dB."),
        MetricEntry(
            "ssim", "pixguard.metrics.ssim:METRIC", "Structural similarity.", least_side=11
        ),
        MetricEntry(
            "mse", "pixguard.metrics.mse:METRIC", "Mean squared error.", higher_is_better=False
        ),
        MetricEntry(
            "gmsd",
            "pixguard.metrics.gmsd:METRIC",
            "Gradient magnitude similarity deviation.",
            higher_is_better=False,
            least_side=2,
        ),
        MetricEntry("fsim", "pixguard.metrics.fsim:METRIC", "Feature similarity.", least_side=8),
    ],
)
"""The paper's five metrics."""
