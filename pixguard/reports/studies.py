"""What a table can be about, and which of several a table takes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pixguard.records import NATIVE_SIZE
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues
from pixguard.words import pixels_text

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
                f"attack {self.attack.name} v{self.attack.version}, "
                f"{pixels_text(self.attack.pixels)} changed at {at}, "
                f"{settings or 'no parameters'}, "
                f"seed {self.attack.seed}, {self.attack.counted}: {self.attack.images}"
            )
        if self.is_synthetic:
            parts.append("phantom data: synthetic, not the paper's")
        return "; ".join(parts)


def study_of(row: RowValues, standing: RowValues, counted: str = "") -> Study:
    """Return the study that a row of a query and the standing of its classifier tell of."""
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
