"""The commands that would fill a gap in a table, as a user types them."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from pixguard.attacks.registry import ATTACKS
from pixguard.config import AttackSettings
from pixguard.config.settings import declarations
from pixguard.defences.denoisers.registry import UNTRAINED
from pixguard.reports.report_table import Cell, Row
from pixguard.words import shell_word as quote


def train(dataset: str, architecture: str | None, source: str | None = None) -> str:
    """Return the command that trains a classifier and stores its clean predictions."""
    tail = f" --source {source}" if source else ""
    tail += f" --model {quote(architecture)}" if architecture else ""
    return f"pixguard train --dataset {quote(dataset)}{tail}"


def attack(
    dataset: str,
    pixels: int,
    classifier_id: int | None,
    name: str | None = None,
    through: str | None = None,
    seed: int | None = None,
    undetected_by: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Return the command that attacks a classifier; by default the newest of the dataset.

    ``name`` is the attack (None: the command's default), ``through`` the denoiser, by name or id,
    that the classifier stands behind, ``seed`` the seed where it is not the default,
    ``undetected_by`` the detector that must stay silent. A dense attack takes no ``pixels``.
    ``settings`` are those of a stored plan, on whose images it is to be made in the same way.
    """
    is_dense = name is not None and name in ATTACKS.names and ATTACKS[name].dense
    changes = "" if is_dense else f" --pixels {pixels}"
    chosen = f" --attack {quote(name)}" if name else ""
    defence = f" --through {quote(through)}" if through else ""
    defence += f" --undetected-by {undetected_by}" if undetected_by is not None else ""
    return (
        f"pixguard attack --dataset {quote(dataset)}{chosen}{changes}"
        f"{_model(classifier_id)}{defence}{f' --seed {seed}' if seed is not None else ''}"
        f"{_as_planned(name, settings or {})}"
    )


def _as_planned(name: str | None, settings: Mapping[str, Any]) -> str:
    """Return what a plan's command says beyond the attack, the pixels and the seed."""
    how = {k for k, d in declarations(AttackSettings).items() if d.panel == "Run"}
    found = _flags(AttackSettings, settings, but={"attack", "pixels", *how})
    own = ATTACKS[name].options if name is not None and name in ATTACKS.names else None
    options = _flags(own, settings.get("options") or {}) if own else ()
    return "".join((*found, *options))


def _flags(group: type[Any], values: Mapping[str, Any], but: Container[str] = ()) -> Iterator[str]:
    """Yield the settings of a group that differ from their defaults, as they are typed."""
    declared = declarations(group)
    for item in fields(group):
        value = values.get(item.name)
        if item.name in declared and item.name not in but and value not in (None, item.default):
            flag = declared[item.name].flag or f"--{item.name.replace('_', '-')}"
            yield f" {flag} {quote(str(value))}"


def denoise(dataset: str, denoiser: str, classifier_id: int | None, *, trained: bool) -> str:
    """Return the command that restores attacked images, after training where that is missing."""
    apply = (
        f"pixguard denoise apply --dataset {quote(dataset)}{_model(classifier_id)} "
        f"--denoiser {quote(denoiser)}"
    )
    if trained or denoiser in UNTRAINED:
        return apply
    return f"{train_denoiser(dataset, denoiser)}; {apply}"


def apply(dataset: str, classifier_id: int | None) -> str:
    """Return the command that lets every denoiser restore attacked images."""
    return f"pixguard denoise apply --dataset {quote(dataset)}{_model(classifier_id)}"


def train_denoiser(dataset: str, denoiser: str) -> str:
    """Return the command that trains a denoiser."""
    return f"pixguard denoise train --dataset {quote(dataset)} --model {quote(denoiser)}"


def train_detector(dataset: str) -> str:
    """Return the command that trains a detector on the most common class, and applies it."""
    return (
        f"pixguard detect train --dataset {quote(dataset)}; "
        f"pixguard detect apply --dataset {quote(dataset)}"
    )


def apply_detector(dataset: str, detector_id: int) -> str:
    """Return the command that lets a detector score images."""
    return f"pixguard detect apply --dataset {quote(dataset)} --detector {detector_id}"


_PLAN_OPTIONS = (
    "source", "size", "split", "only_class", "epochs", "batch_size", "learning_rate", "noise",
    "limit", "seed",
)  # fmt: skip


def noise_plan(
    plan: str, dataset: str, settings: Mapping[str, Any], test_images: int | None
) -> str:
    """Return the command that trains and judges the denoisers of Table 3, 4 or 5.

    ``settings`` are those of a plan that was begun, ``test_images`` how many it was judged on.
    """
    words = [f"pixguard denoise {plan} --dataset {quote(dataset)}"]
    words += [
        f"--{name.replace('_', '-')} {quote(str(settings[name]))}"
        for name in _PLAN_OPTIONS
        if settings.get(name) is not None
    ]
    if test_images is not None:
        words += [f"--test-limit {test_images}", "--resume"]
    return " ".join(words)


def certify(dataset: str, classifier_id: int | None) -> str:
    """Return the command that writes certificates, after training where there is no classifier."""
    apply = f"pixguard certify apply --dataset {quote(dataset)}{_model(classifier_id)}"
    if classifier_id is not None:
        return apply
    return f"pixguard certify train --dataset {quote(dataset)}; {apply}"


def score(dataset: str, classifier_id: int | None) -> str:
    """Return the command that takes the metrics that are missing."""
    return f"pixguard score --dataset {quote(dataset)}{_model(classifier_id)}"


_AT_NATIVE = ("pixguard attack ", "pixguard denoise apply ", "pixguard score ")


def at_native_size(row: Row) -> Row:
    """Return a row whose commands work on images at native size."""

    def changed(cell: Cell) -> Cell:
        if not cell.not_run:
            return cell
        parts = (
            f"{part} --attack-at native" if part.startswith(_AT_NATIVE) else part
            for part in cell.not_run.split("; ")
        )
        return replace(cell, not_run="; ".join(parts))

    return replace(row, cells=tuple(map(changed, row.cells)))


def _model(classifier_id: int | None) -> str:
    return "" if classifier_id is None else f" --model {classifier_id}"
