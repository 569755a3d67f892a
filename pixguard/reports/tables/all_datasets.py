"""What the tables with one row a dataset share: the paper's four first, then the user's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pixguard.reports.report_table import Cell, Column
from pixguard.reports.request import paper_datasets
from pixguard.reports.studies import Study, choose, matching
from pixguard.reports.tables.request import TableRequest, titled

COLUMNS = (Column("dataset"), Column("data"), Column("classifier"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: its label, and the classifier (and attack) that fills it, or None."""

    label: str
    dataset: str
    study: Study | None
    in_paper: bool

    def head(self) -> tuple[Cell, ...]:
        """Return the cells of :data:`COLUMNS`."""
        if self.study is None:
            return (Cell(self.label), Cell(None), Cell(None))
        return Cell(self.label), Cell(self.study.data), Cell(self.study.classifier)

    def fill_command(self, request: TableRequest, attack: str | None = None) -> str:
        """Return the command that would fill the row; ``attack``: one of any number of pixels."""
        architecture = request.spec.classifier if self.in_paper else None
        return request.fill_command(self.dataset, architecture, real=self.in_paper, attack=attack)


def entries(request: TableRequest, pool: Sequence[Study]) -> Iterator[Entry]:
    """Yield the rows of a table.

    The paper's rows take real images and the paper's classifier, else they stay empty. What else
    the database holds follows: other datasets, and the paper's ones as phantoms or with another
    classifier, where its own row is empty. A table that the paper lacks has a row for every
    classifier and number of pixels.
    """
    if isinstance(request.spec.number, str):
        yield from _every_one(request, pool)
        return
    architecture = request.spec.classifier
    names = paper_datasets()
    if request.dataset is not None:
        study = choose(request.studies(pool), architecture)
        fits = request.dataset in names
        in_paper = request.is_papers(study) if study is not None else fits
        label = names.get(request.dataset, request.dataset) if in_paper else request.dataset
        yield Entry(label, request.dataset, study, in_paper)
        return
    fitting = matching(pool, pixels=request.spec.pixels, size=request.size, model=request.model)
    filled = set()
    for dataset, label in names.items():
        own = [c for c in fitting if c.dataset == dataset and request.is_papers(c)]
        study = choose(own, architecture)
        if study is not None:
            filled.add(dataset)
        yield Entry(label, dataset, study, True)
    for dataset in sorted({c.dataset for c in fitting} - filled):
        own = [c for c in fitting if c.dataset == dataset]
        yield Entry(dataset, dataset, choose(own, architecture), False)


def _every_one(request: TableRequest, pool: Sequence[Study]) -> Iterator[Entry]:
    groups: dict[tuple[bool, str, int, int, int], list[Study]] = {}
    for one in request.studies(pool):
        pixels = one.attack.pixels if one.attack else 0
        key = (one.is_synthetic, one.dataset, one.classifier_id, one.dataset_id, pixels)
        groups.setdefault(key, []).append(one)
    for _, own in sorted(groups.items()):
        yield Entry(own[0].dataset, own[0].dataset, choose(own, None), False)
    if not groups:
        dataset = request.dataset or request.default_dataset()
        yield Entry(dataset, dataset, None, False)


def title_over(request: TableRequest, form: str, found: Sequence[Entry]) -> str | None:
    """Return None for the paper's own title, else one that says what the rows are of.

    The paper's stays where a row stands for one of the paper's, or could; networks that it does
    not name are told beside it.
    """
    if isinstance(request.spec.number, str):
        return None
    others = [e.study for e in found if e.study and not e.in_paper]
    if any(entry.in_paper for entry in found):
        networks = dict.fromkeys(s.architecture for s in others)
        own = ", ".join(name for name in networks if name != request.spec.classifier)
        return f"{request.spec.title}; not in the paper: {own}" if own else None
    return f"{titled(form, found[0].dataset, *others)} (form of Table {request.spec.number})"
