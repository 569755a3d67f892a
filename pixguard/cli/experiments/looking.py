"""What of each step is done, and how long the rest takes: asked of the database, kept nowhere."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from pixguard.attacks.registry import ATTACKS
from pixguard.cli.experiments.expanding import Step
from pixguard.provenance import environment
from pixguard.runner.standing import DONE, OPEN, Records, Standing
from pixguard.store import progress
from pixguard.store.engine import is_there, reading
from pixguard.store.location import files_folder


class Look:
    """Tells how far each step is.

    Args:
        database: what the steps write to; one that is not there yet holds nothing.
        file_s: since when the experiment's file is as it is: what is older may be of another.
    """

    def __init__(self, database: str, file_s: float) -> None:
        self._database = database
        self._file_s = file_s
        here = environment()
        self._here = {"cpu": here["cpu"], "gpu": here["gpu"]}

    def at(self, step: Step) -> Standing:
        """Return how far a step is.

        Raises:
            SchemaMismatchError: the database is of another pixguard.
            PixguardError: it cannot be read.
        """
        if step.command == "data fetch":
            return _fetched(step)
        if not self._exists:
            return OPEN
        with reading(self._database) as engine:
            if step.writes is not None:
                changed_s = max(self._file_s, progress.last_change_s(engine))
                return _written(step.writes, changed_s)
            records = Records(engine, files_folder(self._database) / "weights")
            return _STANDINGS[step.command](records, step.words.groups)

    def seconds(self, step: Step, standing: Standing) -> float | None:
        """Return how long the rest takes, by what such work took here before; None: not known.

        Of a training that is all its epochs, which it may not need, of an attack all its attempts.
        """
        if standing.done:
            return 0.0
        if standing.left is None or not self._exists:
            return None
        with reading(self._database) as engine:
            like = self._like(engine, step)
            pace = like and progress.seconds_per_unit(engine, **like, **self._here)
        return pace * standing.left if pace else None

    @property
    def _exists(self) -> bool:
        return is_there(self._database)

    def _like(self, engine: Engine, step: Step) -> dict[str, Any] | None:
        """Return what work a step is like."""
        groups, kind = step.words.groups, _UNITS.get(step.command)
        if kind is None or groups["data"].size == 0:
            return None
        size = 28 if groups["data"].size is None else groups["data"].size
        settings: Any = groups.get("settings")
        if kind == "epoch":
            model_kind = {"train": "classifier", "certify train": "classifier"}
            architecture = getattr(settings, "architecture", None) or settings.name
            if step.command == "certify train":
                architecture = settings.certificate
            return {
                "kind": kind,
                "model_kind": model_kind.get(step.command, "denoiser"),
                "architecture": architecture,
                "dataset": groups["data"].name,
                "size": size,
            }
        model = _model(Records(engine, Path()), groups)
        if model is None:
            return None
        like = {"kind": kind, "architecture": model.record.architecture, "size": size}
        if kind == "attempt":
            pixels = 0 if ATTACKS[settings.attack].dense else settings.pixels
            like |= {"attack": settings.attack, "pixels": pixels}
        return like


_UNITS = {
    "train": "epoch",
    "certify train": "epoch",
    "denoise train": "epoch",
    "attack": "attempt",
    "denoise apply": "restoration",
    "certify apply": "certificate",
}


def _fetched(step: Step) -> Standing:
    from pixguard.datasets.catalogue import find
    from pixguard.datasets.medmnist import locate as locate_file

    wanted = step.words.groups["wanted"]
    return DONE if locate_file(find(wanted.name), wanted.size, None) else OPEN


def _written(path: Path, since_s: float) -> Standing:
    """A report is done where it is newer than the results and the experiment."""
    page = path / "index.html"
    files = [path] if path.is_file() else [p for p in path.glob("*") if p.is_file()]
    files = [page] if page.is_file() else files
    newest = max((p.stat().st_mtime for p in files), default=0.0)
    return DONE if newest >= since_s else OPEN


def _model(records: Records, groups: Mapping[str, Any]) -> Any:
    for name in ("classifier", "scored", "images"):
        if name in groups:
            return records.named(groups["data"], groups[name].model)
    return None


def _of_model(look: Callable[[Records, Any, Mapping[str, Any]], Standing]) -> Any:
    """Return what looks at work on a classifier, which is to do where there is none."""

    def standing(records: Records, groups: Mapping[str, Any]) -> Standing:
        model = _model(records, groups)
        return OPEN if model is None else look(records, model, groups)

    return standing


def _classifier(records: Records, groups: Mapping[str, Any]) -> Standing:
    return records.classifier(groups["data"], groups["settings"], groups["called"].name)


def _attack(records: Records, model: Any, groups: Mapping[str, Any]) -> Standing:
    target = groups["classifier"]
    watched = target.undetected_by and f"detector {target.undetected_by}"
    defence = target.through or watched
    return records.attack(model, groups["settings"], target.attack_at, defence)


def _restoring(records: Records, model: Any, groups: Mapping[str, Any]) -> Standing:
    wanted, at = groups["restoring"], groups["classifier"].attack_at
    names = wanted.denoiser or []
    return records.restoring(model, at, names, wanted.pixels, wanted.patch_select)


def _scoring(records: Records, model: Any, groups: Mapping[str, Any]) -> Standing:
    metrics = groups["metrics"].metric or []
    return records.scoring(model, groups["classifier"].attack_at, metrics)


def _comparing(plan: str) -> Callable[[Records, Mapping[str, Any]], Standing]:
    def standing(records: Records, groups: Mapping[str, Any]) -> Standing:
        limit = groups["options"].test_limit
        return records.comparing(plan, groups["data"], groups["settings"], limit)

    return standing


_STANDINGS: Mapping[str, Callable[[Records, Mapping[str, Any]], Standing]] = {
    "train": _classifier,
    "certify train": _classifier,
    "denoise train": lambda records, g: records.denoiser(g["data"], g["settings"]),
    "detect train": lambda records, g: records.detectors(g["data"], g["settings"]),
    "attack": _of_model(_attack),
    "denoise apply": _of_model(_restoring),
    "score": _of_model(_scoring),
    "detect apply": _of_model(
        lambda records, model, g: records.detecting(g["data"], model, g["scored"].detector or [])
    ),
    "certify apply": _of_model(
        lambda records, model, g: records.certifying(model, g["images"].limit)
    ),
    "denoise validate": _comparing("validate"),
    "denoise ablation": _comparing("ablation"),
    "denoise depth": _comparing("depth"),
}
