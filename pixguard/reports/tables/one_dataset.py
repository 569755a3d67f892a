"""What the tables about one dataset share: which classifier, which title, which classes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pixguard.reports.published import published_rows, row_key
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column
from pixguard.reports.studies import PAPER_ATTACK, Study, choose, matching
from pixguard.reports.tables.request import TableRequest, changed_cell, titled

PIXELS = Column("pixels", "count", is_label=True)
"""Stands first in a table that the paper lacks: its attacks change any number of pixels."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a table about one dataset is about in this database.

    Attributes:
        dataset: its name.
        study: the classifier (and attack) that fills it, or None without data.
        is_papers: it stands for the paper's dataset and classifier, or could once it has data.
        fill_command: what would give it data, or more of it.
    """

    dataset: str
    study: Study | None
    is_papers: bool
    fill_command: str

    @property
    def classifier_id(self) -> int | None:
        """Id of the classifier, or None without data."""
        return None if self.study is None else self.study.classifier_id

    def title(self, request: TableRequest, form: str) -> str | None:
        """Return None for the paper's own title, else one that says what is shown instead."""
        if self.is_papers:
            return None
        shown = [self.study] if self.study else []
        return f"{titled(form, self.dataset, *shown)} (form of Table {request.spec.number})"


def find_topic(request: TableRequest, pool: Sequence[Study]) -> Topic:
    """Return the topic of a table, with what it takes from a pool of studies."""
    dataset = request.dataset or request.spec.dataset or ""
    study = choose(request.studies(pool, dataset), request.spec.classifier)
    if study is not None:
        is_papers = request.is_papers(study)
    else:
        is_papers = dataset == request.spec.dataset and request.model is None
    architecture = request.spec.classifier if is_papers else None
    return Topic(
        dataset, study, is_papers, request.fill_command(dataset, architecture, real=is_papers)
    )


def own_topics(request: TableRequest, *pools: Sequence[Study]) -> list[Topic]:
    """Return the topics of a table that goes by a name, of one classifier from the first pool.

    There is one for each number of pixels that it was attacked with, or one without data.
    """
    dataset = request.dataset or request.default_dataset()
    command = request.fill_command(dataset, None, real=False, attack=PAPER_ATTACK)
    plans: list[Study] = []
    for pool in pools:
        plans = plans or request.plans_by_pixels(pool)
    return [Topic(p.dataset, p, False, command) for p in plans] or [
        Topic(dataset, None, False, command)
    ]


def pixels_cell(topic: Topic) -> Cell:
    """Return the cell of :data:`PIXELS` of a topic."""
    attack = topic.study.attack if topic.study else None
    return changed_cell(attack.pixels) if attack else Cell(None)


def known_classes(request: TableRequest, topic: Topic) -> list[RowValues]:
    """Return the classes (``class``, ``disease_type``) of a topic that has no data.

    They come from a classifier's dataset, or, without one, from the published table.
    """
    pool = matching(
        request.evidence.classifiers, dataset=topic.dataset, size=request.classifier_size
    )
    known = choose(pool, request.spec.classifier)
    if known is not None:
        return request.fetch("classes", dataset_id=known.dataset_id)
    if topic.dataset != request.spec.dataset:
        return []
    return [
        {"class": row["class"], "disease_type": row.get("disease type")}
        for row in published_rows(request.spec.number).values()
    ]


def in_papers_order(
    request: TableRequest, topic: Topic, rows: Iterable[RowValues], figure: str
) -> list[tuple[RowValues, bool]]:
    """Return class rows as the table shows them, each with whether the paper has it.

    The paper's classes come first, in its order. Its datasets' other classes follow where their
    ``figure`` is not zero: the paper attacks five categories of the fifteen that Chest has.
    """
    printed = list(published_rows(request.spec.number))
    if topic.dataset != request.spec.dataset:
        return [(row, False) for row in rows]
    by_key = {row_key(row["class"]): row for row in rows}
    ours = [(by_key[key], topic.is_papers) for key in printed if key in by_key]
    rest = [row for key, row in by_key.items() if key not in printed and row.get(figure)]
    return [*ours, *((row, False) for row in rest)]
