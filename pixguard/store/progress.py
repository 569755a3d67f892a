"""How far planned work is, and how long such work took before: what the results themselves tell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from pixguard.store.reader import StoredModel


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """A stored plan: what was asked for, and how many of its attempts are there.

    ``through`` has the id of the denoiser and its name, of a detector each after its kind.
    ``planned`` is None where it was interrupted before plans were recorded.
    """

    settings: Mapping[str, Any]
    parameters: Mapping[str, Any]
    target: str | None
    through: tuple[str, ...]
    planned: int | None
    present: int


_PLANS = """
SELECT l.settings, a.parameters, l.target, l.planned, l.through_model_id, d.architecture,
    CASE WHEN d.kind = 'detector' THEN 'detector ' ELSE '' END AS kind,
    (SELECT COUNT(*) FROM planned_attempt p
     JOIN attempt t ON t.attempt_key = p.attempt_key WHERE p.plan_id = l.id) AS present
FROM plan l
JOIN attack a ON a.id = l.attack_id
LEFT JOIN model d ON d.id = l.through_model_id
WHERE l.model_id = :model AND l.seed = :seed
ORDER BY l.id"""
_RIGHT = """
SELECT i.label_set, COUNT(*)
FROM prediction p JOIN image i ON i.id = p.image_id
WHERE p.model_id = :model AND i.dataset_id = :dataset AND i.split = 'test'
    AND p.predicted = i.label_set
GROUP BY i.label_set"""
_COUNTS = (
    "SELECT label_set, images FROM dataset_count WHERE dataset_id = :dataset AND split = :split"
)
_LAST = "SELECT MAX(COALESCE(finished_ms, heartbeat_ms)) FROM run"

_HERE = "e.cpu = :cpu AND COALESCE(e.gpu, '') = :gpu"
_TRAINED = f"""
SELECT SUM(t.seconds) AS seconds, COUNT(*) AS units
FROM training_epoch t
JOIN model m ON m.id = t.model_id
JOIN dataset d ON d.id = m.dataset_id
JOIN run r ON r.id = m.run_id
JOIN environment e ON e.id = r.environment_id
WHERE m.kind = :kind AND m.architecture = :architecture AND d.name = :dataset AND d.size = :size
    AND {_HERE}"""
_MADE = """
SELECT SUM(seconds) AS seconds, SUM(rows) AS units FROM (
    SELECT (COALESCE(r.finished_ms, r.heartbeat_ms) - r.started_ms) / 1000.0 AS seconds,
        COUNT(*) AS rows
    FROM {rows} t
    JOIN run r ON r.id = t.run_id
    JOIN environment e ON e.id = r.environment_id
    JOIN model m ON m.id = t.{model}
    JOIN dataset d ON d.id = m.dataset_id
    {joined}
    WHERE m.architecture = :architecture AND d.size = :size AND {here} {fitting}
    GROUP BY r.id
) AS runs"""
_KINDS = {
    "attempt": _MADE.format(
        rows="attempt",
        model="model_id",
        joined="JOIN attack a ON a.id = t.attack_id",
        here=_HERE,
        fitting="AND a.name = :attack AND a.pixels = :pixels",
    ),
    "restoration": _MADE.format(
        rows="restoration", model="classifier_id", joined="", here=_HERE, fitting=""
    ),
    "certificate": _MADE.format(
        rows="certificate", model="model_id", joined="", here=_HERE, fitting=""
    ),
    "epoch": _TRAINED,
}


def attack_plans(engine: Engine, model_id: int, seed: int) -> list[PlanProgress]:
    """Return the plans of a classifier with a seed, oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(text(_PLANS), {"model": model_id, "seed": seed}).all()
    return [
        PlanProgress(
            json.loads(row.settings),
            json.loads(row.parameters),
            row.target,
            ()
            if row.through_model_id is None
            else (f"{row.kind}{row.through_model_id}", f"{row.kind}{row.architecture}"),
            row.planned,
            row.present,
        )
        for row in rows
    ]


def right_by_label_set(engine: Engine, model: StoredModel) -> dict[str, int]:
    """Return how many test images a classifier is right about, by the code of their label set."""
    values = {"model": model.id, "dataset": model.dataset_id}
    with engine.connect() as connection:
        return {code: count for code, count in connection.execute(text(_RIGHT), values)}


def image_counts(engine: Engine, dataset_id: int, split: str) -> dict[str, int]:
    """Return the images of a split by the code of their label set; empty where none are counted."""
    values = {"dataset": dataset_id, "split": split}
    with engine.connect() as connection:
        return {code: count for code, count in connection.execute(text(_COUNTS), values)}


def last_change_s(engine: Engine) -> float:
    """Return when a run last wrote, in seconds since 1970; infinity where none did."""
    with engine.connect() as connection:
        last = connection.scalar(text(_LAST))
    return float("inf") if last is None else last / 1000


def seconds_per_unit(engine: Engine, kind: str, **like: Any) -> float | None:
    """Return how long a unit of such work took on the same hardware; None: not yet known.

    Args:
        engine: an open database.
        kind: ``epoch``, ``attempt``, ``restoration`` or ``certificate``.
        like: ``architecture`` and ``size``, ``cpu`` and ``gpu``; of an epoch also ``dataset`` and
            ``kind`` of the model, as ``model_kind``; of an attempt ``attack`` and ``pixels``.
    """
    values = {**like, "gpu": like["gpu"] or "", "kind": like.get("model_kind")}
    with engine.connect() as connection:
        seconds, units = connection.execute(text(_KINDS[kind]), values).one()
    return float(seconds) / float(units) if units else None
