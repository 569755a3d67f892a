"""Image-quality metrics by name: restored against clean images, one value an image."""

from pixguard.metrics.registry import METRICS

__all__ = ["METRICS"]
