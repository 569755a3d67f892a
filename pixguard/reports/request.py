"""What a table or a figure was asked for: what the database holds, and the user's choices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pixguard.datasets.catalogue import is_named, registered_name, unknown_dataset
from pixguard.errors import UsageError
from pixguard.registry import suggestion
from pixguard.reports import commands
from pixguard.reports.evidence import Evidence
from pixguard.reports.published import published_tables
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.report_table import Query
from pixguard.reports.selection import Selection
from pixguard.reports.studies import Study, matching


class Spec(Protocol):
    """What tables and figures have in common."""

    @property
    def dataset(self) -> str | None:
        """The one dataset that it is about, or None."""

    @property
    def pixels(self) -> int | None:
        """How many pixels its attacks change, or None for any number."""

    @property
    def classifier(self) -> str | None:
        """The architecture that it is about, or None."""


SpecT = TypeVar("SpecT", bound=Spec)


@dataclass
class Request(Generic[SpecT]):
    """One table or figure: which, the user's choices, and the queries made on the way.

    Attributes:
        evidence: what the database holds.
        spec: which table or figure.
        dataset: takes the place of the paper's dataset(s).
        model: the one classifier to use: its id, or the architecture of the newest to take.
        size: side in pixels of the images to use.

    Raises:
        UsageError: the database knows no such dataset or classifier.
    """

    evidence: Evidence
    spec: SpecT
    dataset: str | None = None
    model: int | str | None = None
    size: int | None = None
    queries: list[Query] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        self.dataset = chosen_dataset(self.evidence, self.dataset, self.model)

    def fetch(self, name: str, **parameters: Any) -> list[RowValues]:
        """Run a query on the selected attempts and remember it for ``--sql``."""
        return self._run(self.selection.applied(make_query(name, **parameters)))

    def fetch_all(self, name: str, **parameters: Any) -> list[RowValues]:
        """Run a query on all attempts, whatever is selected, and remember it for ``--sql``."""
        return self._run(make_query(name, **parameters))

    def _run(self, query: Query) -> list[RowValues]:
        self.queries.append(query)
        return fetch(self.evidence.engine, query)

    @property
    def selection(self) -> Selection:
        """Which attempts it is made of."""
        return self.evidence.selection

    @property
    def wanted_attack(self) -> str:
        """The attack of what would fill a gap: the first that was selected, else the paper's."""
        return self.evidence.attacks[0]

    @property
    def wanted_pixels(self) -> int:
        """How many pixels the attack of what would fill a gap changes."""
        return self.spec.pixels or self.selection.pixels or 1

    def about(self, note: str) -> str:
        """Return a note on the paper's attack as one on the attacks that were selected."""
        return (
            note.replace(
                "Attempts: differential evolution,",
                f"Attempts: {' or '.join(self.evidence.attacks)},",
            )
            if self.selection.attacks
            else note
        )

    def selected(self) -> tuple[str, ...]:
        """Return the line of a caption on what was selected, if anything was."""
        return (f"Selected attempts: {self.selection.text}.",) if self.selection else ()

    def studies(self, pool: Sequence[Study], dataset: str | None = None) -> list[Study]:
        """Return those of a pool that fit the user's choices; the dataset may be named."""
        return matching(
            pool,
            dataset=dataset or self.dataset or self.spec.dataset,
            pixels=self.spec.pixels,
            size=self.size,
            model=self.model,
        )

    def is_papers(self, study: Study) -> bool:
        """Whether a study stands for the paper's dataset and classifier."""
        dataset = self.spec.dataset or study.dataset
        return study.is_papers(dataset, self.spec.classifier) and study.dataset in paper_datasets()


def chosen_dataset(evidence: Evidence, dataset: str | None, model: int | str | None) -> str | None:
    """Return the dataset that a user's choices mean, which a classifier's id implies; None: any.

    Raises:
        UsageError: the database knows no such dataset or classifier, or one is not of the other.
    """
    if dataset is not None:
        dataset = registered_name(dataset)
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
        if not is_named(dataset):
            raise unknown_dataset(dataset, sorted(evidence.datasets))
        raise UsageError(
            f"the database has no classifier of a dataset named {dataset!r}",
            f"`dataset=...` with one of {', '.join(sorted(known))}; or "
            + commands.train(dataset, None),
        )
    architectures = sorted({c.architecture for c in evidence.classifiers})
    if isinstance(model, str) and model not in architectures:
        raise UsageError(
            f"the database has no {model!r} classifier",
            f"{suggestion(model, architectures)} (`model=...` takes an id and latest, too)"
            if architectures
            else commands.train(dataset or next(iter(paper_datasets())), model),
        )
    return dataset


def paper_datasets() -> Mapping[str, str]:
    """Return the paper's datasets: our name -> the name that it prints."""
    (overview,) = (t for t in published_tables() if t["number"] == 6)
    return {row[0].casefold(): row[0] for row in overview["rows"]}
