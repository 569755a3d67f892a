"""What the database holds that a table can be about."""

from functools import cached_property
from typing import TYPE_CHECKING

from pixguard.errors import UsageError
from pixguard.reports.contents import Content, content_of
from pixguard.reports.noise_plans import NoisePlan, noise_plans
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.selection import EVERYTHING, Selection
from pixguard.reports.studies import EXHAUSTIVE, PAPER_ATTACK, Study, study_of

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Evidence:
    """The studies in a database, each kind read once when it is first asked for.

    Attacks count by the attempts that ``selection`` selects: those of the paper's attack, unless
    it names others.
    """

    def __init__(self, engine: "Engine", selection: Selection = EVERYTHING) -> None:
        self.engine = engine
        self.selection = selection

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks of tables that are about one: those selected, by default the paper's."""
        return self.selection.attacks or (PAPER_ATTACK,)

    def _plans(self, name: str, counted: str) -> list[Study]:
        queries = (make_query(name, attack_name=attack) for attack in self.attacks)
        found = (fetch(self.engine, self.selection.applied(query)) for query in queries)
        return [self._study(row, counted) for rows in found for row in rows]

    @cached_property
    def _classifier_rows(self) -> list[RowValues]:
        return fetch(self.engine, make_query("classifiers"))

    @cached_property
    def _standing(self) -> dict[int, RowValues]:
        return {row["classifier_id"]: row for row in self._classifier_rows}

    def _study(self, row: RowValues, counted: str = "") -> Study:
        return study_of(row, self._standing[row["classifier_id"]], counted)

    @cached_property
    def classifiers(self) -> list[Study]:
        """Every classifier, on the dataset that it was trained on."""
        rows = self._classifier_rows
        return [self._study(row) for row in rows if row["dataset_id"] == row["own_dataset_id"]]

    @cached_property
    def judged(self) -> list[Study]:
        """The classifiers whose predictions on clean images are stored."""
        return [self._study(row) for row in self._classifier_rows if row["has_rows"]]

    @cached_property
    def certified(self) -> list[Study]:
        """The classifiers that gave certificates."""
        return [self._study(row) for row in self._classifier_rows if row["has_certificates"]]

    @cached_property
    def surveyed(self) -> list[Study]:
        """The classifiers whose images were surveyed pixel by pixel."""
        return [self._study(row) for row in self._classifier_rows if row["has_surveys"]]

    @cached_property
    def sampled(self) -> list[Study]:
        """The classifiers of whose images some pixels were drawn and decided."""
        return [self._study(row) for row in self._classifier_rows if row["has_samples"]]

    @cached_property
    def attacked(self) -> list[Study]:
        """The classifiers that :attr:`attacks` were run on, once an attack and seed."""
        return self._plans("attack_plans", "images attacked")

    @cached_property
    def denoised(self) -> list[Study]:
        """As :attr:`attacked`, where some successful attempts were denoised."""
        return self._plans("denoised_plans", "successful attempts denoised")

    @cached_property
    def searched(self) -> list[Study]:
        """The classifiers that exhaustive search was run on, once a search and seed.

        Whatever is selected: what a search proves is no attack's figure.
        """
        query = make_query("attack_plans", attack_name=EXHAUSTIVE)
        return [self._study(row, "images attacked") for row in fetch(self.engine, query)]

    @cached_property
    def fully_searched(self) -> list[Study]:
        """As :attr:`searched`, where the search left nothing out."""
        return [c for c in self.searched if c.attack and c.attack.is_complete_search]

    @cached_property
    def _attacked_pairs(self) -> dict[tuple[int, int], RowValues]:
        rows = fetch(self.engine, self.selection.applied(make_query("attacked_pairs")))
        return {(row["classifier_id"], row["dataset_id"]): row for row in rows}

    def _with_attacks(self, *names: str) -> list[Study]:
        found = self._attacked_pairs.items()
        pairs = {key for key, row in found if not names or any(row[name] for name in names)}
        studies = map(self._study, self._classifier_rows)
        return [c for c in studies if (c.classifier_id, c.dataset_id) in pairs]

    @cached_property
    def attempted(self) -> list[Study]:
        """The classifiers that any selected attack was run on."""
        return self._with_attacks()

    @cached_property
    def defended(self) -> list[Study]:
        """The classifiers attacked through a denoiser, or with attempts that one restored."""
        return self._with_attacks("is_defended", "is_restored")

    @cached_property
    def restored(self) -> list[Study]:
        """The classifiers with successful attempts on them that a denoiser restored."""
        return self._with_attacks("is_restored")

    @cached_property
    def trained_denoisers(self) -> frozenset[tuple[str, str]]:
        """(dataset, architecture) of every denoiser that is registered."""
        rows = fetch(self.engine, make_query("denoisers"))
        return frozenset((row["dataset"], row["architecture"]) for row in rows)

    def _selected(self, name: str, **parameters: int) -> list[RowValues]:
        rows = fetch(self.engine, make_query(name, **parameters))
        return [r for r in rows if self.selection.fits(r["attack"], r["pixels"], r["seed"])]

    @cached_property
    def incomplete(self) -> list[RowValues]:
        """The row of the query ``plans`` for each selected plan that is not finished."""
        return self._selected("plans", finished=0)

    @cached_property
    def remarks(self) -> list[RowValues]:
        """The row of the query ``plan_remarks`` for each selected plan with a remark."""
        return self._selected("plan_remarks")

    @cached_property
    def detectors(self) -> list[RowValues]:
        """The row of the query ``detectors`` for each, oldest first."""
        return fetch(self.engine, make_query("detectors"))

    @cached_property
    def noise_plans(self) -> list[NoisePlan]:
        """The denoisers that were judged on noisy test images, those trained alike together."""
        return noise_plans(fetch(self.engine, make_query("noise_plans")))

    @cached_property
    def contents(self) -> list[Content]:
        """The datasets of which it was recorded what they hold."""
        rows = fetch(self.engine, make_query("datasets"))
        return [content_of(row) for row in rows if row["images"] is not None]

    @cached_property
    def datasets(self) -> frozenset[str]:
        """Every dataset that a classifier, a denoiser or a detector is registered for."""
        return frozenset(
            {c.dataset for c in self.classifiers}
            | {name for name, _ in self.trained_denoisers}
            | {row["dataset"] for row in self.detectors}
        )

    def require_classifier(self, classifier_id: int) -> Study:
        """Return the classifier of an id.

        Raises:
            UsageError: no classifier has it.
        """
        for study in self.classifiers:
            if study.classifier_id == classifier_id:
                return study
        raise UsageError(
            f"the database has no classifier with the id {classifier_id}",
            "`model=...` with one of "
            + ", ".join(f"{c.classifier_id} ({c.architecture})" for c in self.classifiers)
            if self.classifiers
            else "pixguard train --dataset ...",
        )
