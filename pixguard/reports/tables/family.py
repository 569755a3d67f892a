"""What a family of tables declares: which tables, what fills them, how they are laid out."""

from collections.abc import Callable
from dataclasses import dataclass

from pixguard.reports.report_table import ReportTable
from pixguard.reports.tables.request import TableRequest

Held = tuple[set[str], set[str]]
"""Datasets with data: those that stand for the paper's, and others."""


@dataclass(frozen=True, slots=True)
class Family:
    """Tables that one query, or few, fill, in one layout.

    Attributes:
        build: returns the table of a request.
        numbers: the paper's.
        own: the name of its table for any data and classifier, which the paper lacks; by default
            that of the family where it has no numbers.
        title: of the table that the paper lacks.
        pixels: how many pixels its attacks change, None for any number; for such a table.
        pool: the attribute of :class:`pixguard.reports.evidence.Evidence` that it chooses from;
            None: classifiers that judged clean images, or were attacked.
        held: the datasets that there is data for, where that is not told by the pool.
        always: what it shows without any dataset, in words.
        tells_gaps: whether the gaps of its own rows say which command fills them.
        of_attempts: whether it is made of attempts, which can be selected.
        of_one_classifier: whether it is about one at a time, so that several make blocks.
    """

    build: Callable[[TableRequest], ReportTable]
    numbers: tuple[int, ...] = ()
    own: str = ""
    title: str = ""
    pixels: int | None = None
    pool: str | None = None
    held: Callable[[TableRequest], Held] | None = None
    always: str = ""
    tells_gaps: bool = False
    of_attempts: bool = False
    of_one_classifier: bool = True
