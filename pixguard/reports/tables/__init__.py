"""Builders by family: each lays out the rows of one query as a table."""

from collections.abc import Callable, Mapping

from pixguard.reports.report_table import ReportTable
from pixguard.reports.request import TableRequest
from pixguard.reports.specs import Family
from pixguard.reports.tables import (
    ablation,
    adaptive,
    attack_by_class,
    attack_overview,
    attack_times,
    capability,
    certified,
    class_counts,
    classes,
    classification,
    comparison,
    cost,
    datasets,
    denoising,
    detection,
    hardware,
    layers,
    paired,
    pixels,
    recovery,
    training_times,
    truth,
)

FAMILIES: Mapping[Family, Callable[[TableRequest], ReportTable]] = {
    "classification": classification.build,
    "capability": capability.build,
    "attack_by_class": attack_by_class.build,
    "denoising": denoising.build,
    "attack_overview": attack_overview.build,
    "comparison": comparison.build,
    "truth": truth.build,
    "adaptive": adaptive.build,
    "cost": cost.build,
    "certified": certified.build,
    "detection": detection.build,
    "ablation": ablation.build,
    "training_times": training_times.build,
    "layers": layers.build,
    "datasets": datasets.build,
    "class_counts": class_counts.build,
    "hardware": hardware.build,
    "attack_times": attack_times.build,
    "recovery": recovery.build,
    "paired": paired.build,
    "classes": classes.build,
    "pixels": pixels.build,
}
