"""What the database holds that a table can be about, and which of it a table takes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pixguard.errors import UsageError
from pixguard.records import NATIVE_SIZE
from pixguard.reports.contents import Content, content_of
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE, NoisePlan, noise_plans
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAPER_ATTACK = "differential-evolution"
EXHAUSTIVE = "exhaustive"


@dataclass(frozen=True, slots=True)
class AttackPlan:
    """One attack with one seed; ``images`` is how many of ``counted`` there are."""

    attack_id: int
    name: str
    version: int
    pixels: int
    parameters: str
    seed: int
    images: int
    counted: str
    successes: int

    @property
    def is_complete_search(self) -> bool:
        """Whether it tries everything that it may, so that its failure proves an image robust."""
        space = json.loads(self.parameters).get("space")
        return self.name == EXHAUSTIVE and bool(space == "all-values")


@dataclass(frozen=True, slots=True)
class Study:
    """A study: a classifier on its dataset, and, for attack tables, one attack on it.

    ``size`` is that of the images that were judged or attacked, 0 for each image's own, and
    ``input_size`` that of those that the classifier was trained on. ``is_plain``: trained here, no
    certified vote; ``attacked``: 2 with attempts of the paper's attack on it, 1 with others, or 0.
    """

    dataset_id: int
    dataset: str
    source: str
    size: int
    version: str
    split: str
    classifier_id: int
    architecture: str
    weights_sha256: str
    created_ms: int
    input_size: int
    is_plain: bool
    attacked: int
    attack: AttackPlan | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether the images are procedural phantoms."""
        return self.source == SYNTHETIC_SOURCE

    @property
    def data(self) -> str:
        """Source and size: ``medmnist 224``."""
        return f"{self.source} {'native' if self.is_native else self.size}"

    @property
    def is_native(self) -> bool:
        """Whether every image has its own size."""
        return self.size == NATIVE_SIZE

    @property
    def images(self) -> str:
        """The sizes of the images, and what the classifier sees of them."""
        if not self.is_native:
            return f"{self.size} x {self.size} pixels"
        side = self.input_size
        seen = f", resized to {side} x {side} pixels before the classifier" if side else ""
        return f"native sizes{seen}"

    @property
    def classifier(self) -> str:
        """Architecture and id: ``resnet50 #3``."""
        return f"{self.architecture} #{self.classifier_id}"

    @property
    def attempts(self) -> dict[str, int]:
        """The parameters by which queries mean the attempts of its attack, which it must have."""
        assert self.attack is not None
        return {
            "classifier_id": self.classifier_id,
            "dataset_id": self.dataset_id,
            "attack_id": self.attack.attack_id,
            "seed": self.attack.seed,
        }

    def is_papers(self, dataset: str | None, architecture: str | None) -> bool:
        """Whether this stands for the paper's dataset and classifier: by name, on real images."""
        return (
            not self.is_synthetic
            and self.dataset == dataset
            and architecture in (None, self.architecture)
        )

    def describe(self) -> str:
        """Return the line of a caption: dataset, source, size, classifier, attack, images."""
        parts = [
            f"{self.dataset}: source {self.source}, {self.images}, version "
            f"{self.version}, split {self.split}",
            f"classifier {self.classifier} (weights {self.weights_sha256[:8]})",
        ]
        if self.attack is not None:
            at = "native size" if self.is_native else f"{self.size} x {self.size}"
            settings = ", ".join(f"{k}={v}" for k, v in json.loads(self.attack.parameters).items())
            parts.append(
                f"attack {self.attack.name} v{self.attack.version}, {self.attack.pixels} "
                f"pixel{'s' if self.attack.pixels > 1 else ''} changed at {at}, "
                f"{settings or 'no parameters'}, "
                f"seed {self.attack.seed}, {self.attack.counted}: {self.attack.images}"
            )
        if self.is_synthetic:
            parts.append("phantom data: synthetic, not the paper's")
        return "; ".join(parts)


def _study(row: RowValues, standing: RowValues, counted: str = "") -> Study:
    attack = None
    if "attack_id" in row:
        attack = AttackPlan(
            attack_id=row["attack_id"],
            name=row["attack"],
            version=row["attack_version"],
            pixels=row["pixels"],
            parameters=row["parameters"],
            seed=row["seed"],
            images=int(row["images"]),
            counted=counted,
            successes=int(row["successes"]),
        )
    return Study(
        dataset_id=row["dataset_id"],
        dataset=row["dataset"],
        source=row["source"],
        size=row["size"],
        version=row["version"],
        split=f"{row['split_scheme']} (seed {row['split_seed']})",
        classifier_id=row["classifier_id"],
        architecture=row["architecture"],
        weights_sha256=row["weights_sha256"],
        created_ms=row["created_ms"],
        input_size=row["input_size"],
        is_plain=bool(standing["is_plain"]),
        attacked=standing["attacked"],
        attack=attack,
    )


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
        return _study(row, self._standing[row["classifier_id"]], counted)

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


def matching(
    studies: Iterable[Study],
    *,
    dataset: str | None = None,
    architecture: str | None = None,
    pixels: int | None = None,
    size: int | None = None,
    model: int | str | None = None,
) -> list[Study]:
    """Return the studies that fit; None leaves a property open, ``model`` as in a request.

    Images at native size have to be asked for, so that no table mixes pixels that were changed
    before a resize with those that were changed after it.
    """
    return [
        c
        for c in studies
        if dataset in (None, c.dataset)
        and architecture in (None, c.architecture)
        and (c.size == size if size is not None else not c.is_native)
        and model in (None, c.classifier_id, c.architecture)
        and (pixels is None or (c.attack is not None and c.attack.pixels == pixels))
    ]


def choose(studies: Sequence[Study], architecture: str | None) -> Study | None:
    """Return the one that a table takes: there, rows never mix two of them.

    Real images come before phantoms, the architecture that the table is about before others, what
    was trained here before certified votes and added models, what was attacked (with the paper's
    attack first) before what was not, the newest classifier before older ones, and of its attacks
    the one with most attempts. So tables of one database are about one classifier.
    """

    def rank(c: Study) -> tuple[int | bool, ...]:
        plan = (c.attack.images, c.attack.attack_id, -c.attack.seed) if c.attack else ()
        is_wanted = c.architecture == architecture
        return (
            not c.is_synthetic,
            is_wanted,
            c.is_plain,
            c.attacked,
            c.created_ms,
            c.classifier_id,
            *plan,
        )

    return max(studies, key=rank, default=None)
