"""What a table was asked for, and what is common to the builders of all families."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pixguard.errors import UsageError
from pixguard.records import NATIVE_SIZE
from pixguard.reports import commands
from pixguard.reports.evidence import Evidence, Study, choose, matching
from pixguard.reports.published import (
    published_rows,
    published_table,
    published_tables,
    row_key,
    source,
)
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.report_table import Cell, Column, Query, ReportTable, Row
from pixguard.reports.specs import TableSpec
from pixguard.reports.statistics import wilson_interval

ATTEMPTS_NOTE = (
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), on correctly classified test images; one attack and one seed a table row."
)
INTERVAL_NOTE = "(low–high): 95 % Wilson interval."


class Layer(Protocol):
    """A layer as it ran: its kind, its output's shape (H, W, C), its parameters."""

    @property
    def type(self) -> str:
        """What it is, as the paper's tables name it."""

    @property
    def output(self) -> tuple[int, ...] | None:
        """Shape without the batch."""

    @property
    def parameters(self) -> int:
        """Trainable and other parameters."""


class Layers(Protocol):
    """A model layer by layer."""

    @property
    def rows(self) -> Sequence[Layer]:
        """The layers in order of execution."""

    @property
    def total_parameters(self) -> int:
        """Trainable and other parameters."""

    @property
    def trainable_parameters(self) -> int:
        """Parameters that training changes."""

    @property
    def frozen_parameters(self) -> int:
        """All others."""


LayerSource = Callable[[str, int, int], Layers]
"""Gives a denoiser's layers from its name, the channels and the side of the image. Models are above
this package: whoever builds a table (the command line) brings it along."""


@dataclass
class TableRequest:
    """One table to build: the spec, the user's choices, and the queries made on the way.

    Attributes:
        evidence: what the database holds.
        spec: which table.
        dataset: takes the place of the paper's dataset(s).
        model: the one classifier to use: its id, or the architecture of the newest to take.
        size: side in pixels of the images to use.
        paper: put the paper's values beside the measured ones.
        layers: what knows the models, for Tables 1 and 2.
    """

    evidence: Evidence
    spec: TableSpec
    dataset: str | None = None
    model: int | str | None = None
    size: int | None = None
    paper: bool = False
    layers: LayerSource | None = None
    queries: list[Query] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dataset = chosen_dataset(self.evidence, self.dataset, self.model)

    @property
    def classifier_size(self) -> int | None:
        """Side in pixels that a classifier is trained at: any, where native images are shown."""
        return None if self.size == NATIVE_SIZE else self.size

    def studies(self, pool: Sequence[Study], dataset: str | None) -> list[Study]:
        """Return those of a pool that fit the table and the user's choices."""
        return matching(
            pool, dataset=dataset, pixels=self.spec.pixels, size=self.size, model=self.model
        )

    def fetch(self, name: str, **parameters: Any) -> list[RowValues]:
        """Run a query and remember it for ``--sql``."""
        query = make_query(name, **parameters)
        self.queries.append(query)
        return fetch(self.evidence.engine, query)

    def published(self, key: str, column: str, shown: bool = True) -> int | float | None:
        """Return the paper's value, where it was asked for and is there."""
        if not (self.paper and shown):
            return None
        value = published_rows(self.spec.number).get(row_key(key), {}).get(column)
        return None if value is None else float(value) if isinstance(value, float) else int(value)

    def fill_command(
        self,
        dataset: str,
        architecture: str | None,
        *,
        real: bool,
        attack: str | None = None,
        through: str | None = None,
    ) -> str:
        """Return the command that would attack a dataset, after training where that is needed.

        Without an attack in the table, the command that trains. ``real``: phantoms will not do.
        ``attack`` names one; with it, a table of any number of pixels means one pixel.
        """
        registered = matching(self.evidence.classifiers, dataset=dataset)
        has_phantoms = any(c.is_synthetic for c in registered)
        source_name = "medmnist" if real and has_phantoms else None
        train = commands.train(dataset, architecture, source_name)
        pixels = self.spec.pixels or (1 if attack else None)
        if pixels is None:
            return train
        fitting = matching(
            registered, architecture=architecture, size=self.classifier_size, model=self.model
        )
        classifier = choose([c for c in fitting if not (real and c.is_synthetic)], architecture)
        model = None if classifier is None else classifier.classifier_id
        command = commands.attack(dataset, pixels, model, attack, through)
        return f"{train}; {command}" if classifier is None else command

    def default_dataset(self) -> str:
        """Return the dataset of the newest classifier that fits, else the paper's first."""
        newest = choose(
            matching(self.evidence.classifiers, size=self.classifier_size, model=self.model),
            None,
        )
        return newest.dataset if newest else next(iter(paper_datasets()))

    def content_command(self, dataset: str, *, real: bool) -> str:
        """Return the command that records what a dataset holds: its next training or attack."""
        registered = matching(self.evidence.classifiers, dataset=dataset, size=self.classifier_size)
        known = choose([c for c in registered if not (real and c.is_synthetic)], None)
        if known is not None:
            attack = commands.attack(dataset, 1, known.classifier_id)
            return f"{attack} --per-class 1 --resume"
        source_name = "medmnist" if real and registered else None
        return commands.train(dataset, None, source_name)

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Row],
        used: Iterable[Study],
        notes: Iterable[str],
        title: str | None = None,
        caption: Sequence[str] = (),
    ) -> ReportTable:
        """Return the finished table with its caption and the notes that every table has.

        ``caption`` says what the table is about where that is more than the ``used`` studies.
        """
        used, rows = list(used), list(rows)
        if self.size == NATIVE_SIZE:
            rows = [commands.at_native_size(row) for row in rows]
        about = (*caption, *dict.fromkeys(c.describe() for c in used)) or ("no data yet",)
        remarks = list(notes)
        if not used and self.has_native_data():
            remarks.append("There is data for images attacked at native size: --size native.")
        number = self.spec.number
        if self.paper and isinstance(number, str):
            remarks.append("The paper has no such table.")
        elif self.paper and isinstance(number, int):
            remarks.append(
                "A figure alone in parentheses is the paper's, and after it measured minus "
                f"published. Paper: {source()}."
            )
            printed = published_table(number)
            if "note" in printed:
                remarks.append(f"On the published table: {printed['note']}.")
            if self.spec.dataset and not any(self.is_papers(c) for c in used) and used:
                remarks.append(
                    "The paper's values are not shown: this is not its dataset and classifier."
                )
        table = ReportTable(
            number=number,
            title=title or self.spec.title,
            columns=tuple(columns),
            rows=tuple(rows),
            caption=about,
            queries=tuple(self.queries),
            published=self.paper and isinstance(number, int),
        )
        remarks += [f"not run: {command}" for command in table.commands]
        return replace(table, notes=tuple(dict.fromkeys(remarks)))

    def has_native_data(self) -> bool:
        """Whether a table that was not asked for native sizes would have data with them."""
        native = replace(self, size=NATIVE_SIZE, model=None, queries=[])
        return self.size is None and bool(native.studies(self.evidence.attacked, self.dataset))

    def is_papers(self, study: Study) -> bool:
        """Whether a study stands for the paper's dataset and classifier in this table."""
        dataset = self.spec.dataset or study.dataset
        return study.is_papers(dataset, self.spec.classifier) and study.dataset in paper_datasets()


def chosen_dataset(evidence: Evidence, dataset: str | None, model: int | str | None) -> str | None:
    """Return the dataset that a user's choices mean, which a classifier's id implies; None: any.

    Raises:
        UsageError: the database knows no such dataset or classifier, or one is not of the other.
    """
    if isinstance(model, int):
        owner = evidence.require_classifier(model)
        if dataset not in (None, owner.dataset):
            raise UsageError(
                f"classifier {model} belongs to {owner.dataset}, not {dataset}",
                "pixguard report --list",
            )
        dataset = owner.dataset
    known = evidence.datasets | set(paper_datasets())
    if dataset is not None and dataset not in known:
        raise UsageError(
            f"the database has no classifier of a dataset named {dataset!r}",
            f"--dataset with one of {', '.join(sorted(known))}; or {commands.train(dataset, None)}",
        )
    architectures = sorted({c.architecture for c in evidence.classifiers})
    if isinstance(model, str) and model not in architectures:
        raise UsageError(
            f"the database has no {model!r} classifier",
            f"--model with an id, latest, or one of {', '.join(architectures)}"
            if architectures
            else commands.train(dataset or next(iter(paper_datasets())), model),
        )
    return dataset


def paper_datasets() -> Mapping[str, str]:
    """Return the paper's datasets: our name -> the name that it prints."""
    (overview,) = (t for t in published_tables() if t["number"] == 6)
    return {row[0].casefold(): row[0] for row in overview["rows"]}


def rate_cell(
    successes: int, trials: int, published: int | float | None, not_run: str | None = None
) -> Cell:
    """Return a share in percent with its denominator and Wilson interval."""
    interval = wilson_interval(successes, trials)
    if interval is None:
        return Cell(None, 0, published=published, not_run=not_run)
    low, high = interval
    value = 100 * successes / trials
    return Cell(value, trials, (100 * low, 100 * high), published)
