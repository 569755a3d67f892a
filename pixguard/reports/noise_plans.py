"""Denoisers that were trained alike and judged on the same noise: what Tables 3 to 5 are about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pixguard.defences.denoisers.registry import UNTRAINED
from pixguard.defences.denoisers.variants import PAPER_CLASS, PAPER_DATASET
from pixguard.reports.querying import RowValues

SYNTHETIC_SOURCE = "phantom"
_OWN = frozenset({"name", "variant", "training_key"})
"""Hyper-parameters that tell the denoisers of a plan apart."""

Member = tuple[str, str | None]
"""Architecture and variant of a denoiser."""


@dataclass(frozen=True, slots=True)
class NoisePlan:
    """Denoisers of one dataset and the same hyper-parameters, judged on one noise.

    Attributes:
        settings: the hyper-parameters that all share.
        members: the row of the query ``noise_plans`` for each trained denoiser.
        untrained: the same for denoisers without weights, by name.
    """

    settings: dict[str, object]
    members: dict[Member, RowValues]
    untrained: dict[str, RowValues]

    @property
    def row(self) -> RowValues:
        """The newest row: for what all of them share."""
        return max(self.members.values(), key=lambda row: int(row["newest"]))

    @property
    def is_synthetic(self) -> bool:
        """Whether the images are procedural phantoms."""
        return bool(self.row["source"] == SYNTHETIC_SOURCE)

    @property
    def is_papers(self) -> bool:
        """Whether the images are those of the paper: by name, on real images."""
        own = (self.row["dataset"], self.settings.get("only_class"))
        return own == (PAPER_DATASET, PAPER_CLASS) and not self.is_synthetic

    @property
    def noise(self) -> dict[str, object]:
        """The parameters that a query takes for the noise."""
        return {"noise": self.row["noise"], "level": self.row["level"], "seed": self.row["seed"]}

    def short(self) -> str:
        """Return what tells this plan from others, in a few words."""
        return (
            f"{self.row['dataset']} {self.row['size']}, {self.settings.get('only_class') or 'all'}"
            f", {self.settings.get('epochs')} epochs on {self.settings.get('training_images')}"
            f" images, noise {self.row['level']:g}, seed {self.row['seed']}"
        )

    def describe(self, images: int) -> str:
        """Return the caption, with the number of test images."""
        row, settings = self.row, self.settings
        parts = [
            f"{row['dataset']}: source {row['source']}, {row['size']} x {row['size']} pixels, "
            f"version {row['version']}, split {row['split_scheme']} (seed {row['split_seed']}), "
            f"class {settings.get('only_class') or 'all'}",
            f"training images: {settings.get('training_images')}, epochs: "
            f"{settings.get('epochs')}, batches of {settings.get('batch_size')}, learning rate "
            f"{settings.get('learning_rate')}, noise {settings.get('noise')}, seed "
            f"{settings.get('seed')}",
            f"test images: {images}, {row['noise']} noise {row['level']:g}, seed {row['seed']}",
        ]
        if self.is_synthetic:
            parts.append("phantom data: synthetic, not the paper's")
        return "; ".join(parts)


def noise_plans(rows: Sequence[RowValues]) -> list[NoisePlan]:
    """Return the plans in the rows of the query ``noise_plans``.

    Of two denoisers that differ in nothing that is recorded, the newer one counts.
    """
    plans: dict[str, NoisePlan] = {}
    untrained = [row for row in rows if row["architecture"] in UNTRAINED]
    for row in sorted(rows, key=lambda row: int(row["denoiser_id"])):
        if row["architecture"] in UNTRAINED:
            continue
        hyperparameters = json.loads(row["hyperparameters"])
        settings = {k: v for k, v in hyperparameters.items() if k not in _OWN}
        key = json.dumps([_place(row), settings], sort_keys=True)
        own = {r["architecture"]: r for r in untrained if _place(r) == _place(row)}
        plan = plans.setdefault(key, NoisePlan(settings, {}, own))
        plan.members[row["architecture"], hyperparameters.get("variant")] = row
    return list(plans.values())


def _place(row: RowValues) -> list[object]:
    return [row[name] for name in ("dataset_id", "noise", "level", "seed")]
