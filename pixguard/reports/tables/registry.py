"""Which families of tables there are; light to import.

A new family is a module here with its ``FAMILY``, its queries in :mod:`pixguard.store.queries`,
and a line below.
"""

from pixguard.registry import Entry, Registry

FAMILIES = Registry(
    "family of tables",
    [
        Entry(name, f"pixguard.reports.tables.{name}:FAMILY")
        for name in (
            "layers",
            "ablation",
            "datasets",
            "class_counts",
            "hardware",
            "classification",
            "capability",
            "attack_by_class",
            "denoising",
            "attack_overview",
            "comparison",
            "training_times",
            "attack_times",
            "recovery",
            "paired",
            "truth",
            "least_flips",
            "attacks",
            "dense",
            "seeds",
            "adaptive",
            "defences",
            "classes",
            "labels",
            "label_sets",
            "severity",
            "pixels",
            "cost",
            "certified",
            "detection",
        )
    ],
)
"""Those of the paper, then those that it lacks, in the order of the lists."""
