"""What a table was asked for, and what is common to the builders of all families."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pixguard.records import NATIVE_SIZE
from pixguard.reports import commands
from pixguard.reports.costs import Costs
from pixguard.reports.incomplete import incomplete_notes, plan_note
from pixguard.reports.published import published_rows, published_table, row_key, source
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import Request, paper_datasets
from pixguard.reports.studies import PAPER_ATTACK, Study, choose, matching
from pixguard.statistics import wilson_interval

ATTEMPTS_NOTE = (
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), on correctly classified test images; one attack and one seed a table row."
)
INTERVAL_NOTE = "(low–high): 95 % Wilson interval."
ONE_ATTACK_NOTE = (
    "A row takes one attack: of those that were selected, the one with most images on the "
    "classifier that is shown."
)
IMPLIED_SETTINGS = frozenset({"goal", "parts"})
"""Parameters that all rows of a table share (it shows non-targeted attacks alone), or that follow
from the others: the parts of an attack that is made of several."""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table.

    Attributes:
        number: the paper's, or the name of a table that the paper lacks.
        title: the paper's, or ours.
        family: the name of its family.
        dataset: the one dataset that it is about, or None for all four.
        pixels: how many pixels the attack changes, or None where there is none, or any number.
        classifier: architecture, or None where several are compared.
    """

    number: int | str
    title: str
    family: str
    dataset: str | None = None
    pixels: int | None = None
    classifier: str | None = None


@dataclass
class TableRequest(Request[TableSpec]):
    """One table to build.

    Attributes:
        paper: put the paper's values beside the measured ones.
        beside: ids of the classifiers whose tables stand beside this one.
        costs: of each flip of a label, for the table severity; None: 1.
    """

    paper: bool = False
    beside: frozenset[int] = frozenset()
    costs: Costs | None = None

    @property
    def pixels_word(self) -> str:
        """How the paper's titles tell its number of pixels."""
        return "One" if self.spec.pixels == 1 else "Two"

    @property
    def classifier_size(self) -> int | None:
        """Side in pixels that a classifier is trained at: any, where native images are shown."""
        return None if self.size == NATIVE_SIZE else self.size

    def published(self, key: str, column: str, shown: bool = True) -> int | float | None:
        """Return the paper's value, where it was asked for and is there: of its own attack."""
        if not (self.paper and shown) or self.evidence.attacks != (PAPER_ATTACK,):
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
        pixels = self.wanted_pixels if attack or self.spec.pixels else None
        if pixels is None:
            return train
        fitting = matching(
            registered, architecture=architecture, size=self.classifier_size, model=self.model
        )
        classifier = choose([c for c in fitting if not (real and c.is_synthetic)], architecture)
        model = None if classifier is None else classifier.classifier_id
        name = attack or (self.wanted_attack if self.selection.attacks else None)
        seed = self.selection.seed
        command = commands.attack(dataset, pixels, model, name, through, seed)
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
        told = tuple(dict.fromkeys([*caption, *(c.describe() for c in used)])) or ("no data yet",)
        told = (*told, *self.selected())
        remarks = [self.about(note) for note in notes]
        if len(self.selection.attacks) > 1 and any(c.attack for c in used):
            remarks.append(ONE_ATTACK_NOTE)
        if not used and self.has_native_data():
            remarks.append("There is data for images attacked at native size: --size native.")
        remarks += self._others(used, remarks)
        remarks += incomplete_notes(self.evidence, used, self.queries)
        remarks += self._uncounted()
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
            if self.evidence.attacks != (PAPER_ATTACK,):
                remarks.append("The paper's values are not shown: its attack is another.")
            if self.spec.dataset and not any(self.is_papers(c) for c in used) and used:
                remarks.append(
                    "The paper's values are not shown: this is not its dataset and classifier."
                )
        table = ReportTable(
            number=number,
            title=(title or self.spec.title) + (f" ({self.selection.text})" * bool(self.selection)),
            columns=tuple(columns),
            rows=tuple(rows),
            caption=told,
            queries=tuple(self.queries),
            published=self.paper and isinstance(number, int),
            selection=self.selection.chosen,
            datasets=tuple(dict.fromkeys(c.dataset for c in used)) or self._asked(),
        )
        remarks += [f"not run: {command}" for command in table.commands]
        return replace(table, notes=tuple(dict.fromkeys(remarks)))

    def _asked(self) -> tuple[str, ...]:
        dataset = self.dataset or self.spec.dataset
        return (dataset,) if dataset else ()

    def _others(self, used: Sequence[Study], notes: Sequence[str]) -> Iterator[str]:
        """Yield the rule by which classifiers were taken, where there are others to take."""
        shown, datasets = {c.classifier_id for c in used}, {c.dataset for c in used}
        others = sorted(
            c.classifier_id
            for c in self.evidence.classifiers
            if c.dataset in datasets and c.classifier_id not in shown
        )
        if others and self.model is None and not any(map(_names_others, notes)):
            yield (
                "Classifier: of each dataset the newest that was trained here and attacked; no "
                "certified vote and no added model unless it is the only one. --model takes "
                f"another: {', '.join(map(str, others))}."
            )

    def _uncounted(self) -> Iterator[str]:
        """Yield a note on each fitting attack that was begun, but of which nothing counts yet."""
        dataset = self.dataset or self.spec.dataset
        for row in self.evidence.incomplete if self.spec.pixels else ():
            fits = dataset in (None, row["dataset"]) and row["pixels"] == self.spec.pixels
            if fits and not row["counted"] and row["attack"] in self.evidence.attacks:
                yield plan_note(row)

    def has_native_data(self) -> bool:
        """Whether a table that was not asked for native sizes would have data with them."""
        native = replace(self, size=NATIVE_SIZE, model=None, queries=[])
        return self.size is None and bool(native.studies(self.evidence.attacked))

    def find_study(self, *pools: Sequence[Study]) -> Study | None:
        """Return what the table takes from the first pool that holds something fitting."""
        for pool in pools:
            study = choose(self.studies(pool), None)
            if study is not None:
                return study
        return None

    def plans_by_pixels(self, pool: Sequence[Study]) -> list[Study]:
        """Return the attacks of one classifier that a table shows, one a number of pixels.

        Of dense attacks, which have none, the largest: its settings stand in the caption.
        """
        shown = self.find_study(pool)
        if shown is None:
            return []
        own = [
            c
            for c in self.studies(pool)
            if c.attack is not None and c.classifier_id == shown.classifier_id
        ]
        counts = sorted({c.attack.pixels for c in own if c.attack is not None})
        chosen = (choose(matching(own, pixels=pixels), None) for pixels in counts)
        return [c for c in chosen if c is not None]

    def attack_command(
        self,
        study: Study | None,
        attack: str | None = None,
        pixels: int | None = None,
        through: str | None = None,
    ) -> str:
        """Return the command that attacks the table's classifier, by default as was selected.

        Without one it is of the user's dataset, or of one that a classifier was trained for.
        """
        attack, pixels = attack or self.wanted_attack, pixels or self.wanted_pixels
        if study is not None:
            dataset, classifier_id = study.dataset, study.classifier_id
            seed = self.selection.seed
            return commands.attack(dataset, pixels, classifier_id, attack, through, seed)
        dataset = self.dataset or self.default_dataset()
        return self.fill_command(dataset, None, real=False, attack=attack, through=through)

    def title_about(self, *shown: Study) -> str:
        """Return the table's title with what it is about: the first of what is shown, if any."""
        return titled(self.spec.title, shown[0].dataset, *shown) if shown else self.spec.title

    def elsewhere(self, pool: Sequence[Study], shown: Study) -> Iterator[str]:
        """Yield a note on the other classifiers that the table can be asked for."""
        others = {
            c.classifier_id: f"{c.dataset}, {c.classifier} (--model {c.classifier_id})"
            for c in self.studies(pool)
            if c.classifier_id not in {shown.classifier_id, *self.beside}
        }
        if others:
            yield f"There is data for {'; '.join(others.values())} too."


def titled(form: str, dataset: str, *shown: Study) -> str:
    """Return a title with what a table is about: a dataset and the first study of it, if any."""
    phantom = ", phantom data" if shown and shown[0].is_synthetic else ""
    network = f", {shown[0].architecture}" if shown else ""
    return f"{form}: {dataset}{phantom}{network}"


def _names_others(note: str) -> bool:
    return "(--model " in note


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


def settings_text(parameters: str) -> str:
    """Return an attack's parameters (JSON) as words: ``population=100, generations=100``."""
    found = json.loads(parameters).items()
    return ", ".join(f"{name}={value}" for name, value in found if name not in IMPLIED_SETTINGS)


def changed_cell(pixels: int) -> Cell:
    """Return how many pixels an attack changes; of a dense one, ``all``."""
    return Cell(pixels or "all")


def scaled(value: float | None, scale: float = 1.0) -> float | None:
    """Return a database's number (PostgreSQL gives decimals) as a float times ``scale``."""
    return None if value is None else float(value) * scale
