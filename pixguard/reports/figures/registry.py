"""Which kinds of figures there are; light to import.

A new kind is a module here with its ``FIGURE``, its queries in :mod:`pixguard.store.queries`, and a
line below.
"""

from pixguard.registry import Entry, Registry

KINDS = Registry(
    "kind of figure",
    [
        Entry("panel", "pixguard.reports.figures.panel:FIGURE"),
        Entry("training_times", "pixguard.reports.figures.training_times:FIGURE"),
        Entry("success", "pixguard.reports.figures.success:FIGURE"),
        Entry("confidence", "pixguard.reports.figures.confidence:FIGURE"),
        Entry("heatmap", "pixguard.reports.figures.heatmap:FIGURE"),
        Entry("epochs", "pixguard.reports.figures.epochs:FIGURE"),
        Entry("success_queries", "pixguard.reports.figures.success_queries:FIGURE"),
        Entry("success_pixels", "pixguard.reports.figures.success_pixels:FIGURE"),
        Entry("class_changes", "pixguard.reports.figures.class_changes:FIGURE"),
        Entry("attack_overlap", "pixguard.reports.figures.attack_overlap:FIGURE"),
        Entry("denoiser_scores", "pixguard.reports.figures.denoiser_scores:FIGURE"),
        Entry("roc", "pixguard.reports.figures.roc:FIGURE"),
        Entry("certified_accuracy", "pixguard.reports.figures.certified_accuracy:FIGURE"),
        Entry("truth", "pixguard.reports.figures.truth:FIGURE"),
        Entry("vulnerability", "pixguard.reports.figures.vulnerability:FIGURE"),
    ],
)
"""In the order of the lists."""
