"""Plans in the database: stored before the first attempt, closed when nothing of them is missing.

Every function runs inside the caller's transaction.
"""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.orm import InstrumentedAttribute

from pixguard.records import PlannedAttempt, PlanRecord
from pixguard.store.rows import Values, now_ms, to_json
from pixguard.store.tables import Plan
from pixguard.store.tables import PlannedAttempt as PlaceRow


def store_plan(
    connection: Connection,
    record: PlanRecord,
    *,
    attack_id: int,
    model_id: int,
    dataset_id: int,
    through_model_id: int | None,
    run_id: int,
) -> int:
    """Return the id of a plan, stored or extended.

    A plan of more images contains one of fewer, in the same order: the larger one stays.
    """
    key: dict[InstrumentedAttribute[Any], int | str | None] = {
        Plan.model_id: model_id,
        Plan.attack_id: attack_id,
        Plan.dataset_id: dataset_id,
        Plan.through_model_id: through_model_id,
        Plan.seed: record.seed,
        Plan.target: record.target,
    }
    same = (c == value if value is not None else c.is_(None) for c, value in key.items())
    found = connection.execute(select(Plan.id, Plan.planned, Plan.remarks).where(*same)).first()
    wanted: Values = {
        "settings": to_json(record.settings),
        "command": record.command,
        "finished_ms": None,
    }
    remarks = list(record.remarks)
    if found is None:
        values: Values = {column.key: value for column, value in key.items()}
        values |= {"remarks": "[]", "created_ms": now_ms(), "run_id": run_id, **wanted}
        plan_id = int(connection.execute(insert(Plan).returning(Plan.id), values).scalar_one())
    else:
        plan_id = int(found.id)
        remarks = list(dict.fromkeys([*json.loads(found.remarks), *remarks]))
    changed = [
        _store_order(connection, plan_id, repeat, list(attempts))
        for repeat, attempts in groupby(record.attempts, lambda attempt: attempt.repeat)
    ]
    is_larger = any(changed) or found is None or found.planned is None
    planned = connection.scalar(
        text("SELECT COUNT(*) FROM planned_attempt WHERE plan_id = :id"), {"id": plan_id}
    )
    values = {"planned": planned, "remarks": to_json(remarks), "run_id": run_id}
    values |= wanted if is_larger else {}
    connection.execute(update(Plan).where(Plan.id == plan_id).values(values))
    return plan_id


def _store_order(
    connection: Connection, plan_id: int, repeat: int, attempts: Sequence[PlannedAttempt]
) -> bool:
    """Store the order of a repeat, or what is new of it; return whether something was."""
    query = select(PlaceRow.attempt_key, PlaceRow.dataset_index).order_by(PlaceRow.place)
    this = (PlaceRow.plan_id == plan_id, PlaceRow.repeat == repeat)
    stored = [(key, index) for key, index in connection.execute(query.where(*this))]
    order = [(attempt.key, attempt.image_index) for attempt in attempts]
    shared = min(len(stored), len(order))
    kept = shared
    if stored[:shared] != order[:shared]:
        # Images were left out or came in: the new order counts, what else was planned follows.
        connection.execute(delete(PlaceRow).where(*this))
        order += [place for place in stored if place not in set(order)]
        kept = 0
    rows = [
        {
            "plan_id": plan_id,
            "repeat": repeat,
            "place": place,
            "attempt_key": key,
            "dataset_index": index,
        }
        for place, (key, index) in enumerate(order[kept:], kept)
    ]
    if rows:
        connection.execute(insert(PlaceRow), rows)
    return bool(rows)


def close_plan(connection: Connection, plan_id: int) -> None:
    """Mark a plan as finished, where no attempt of it is missing."""
    gaps = text("SELECT 1 FROM plan_gaps WHERE plan_id = :id LIMIT 1")
    if connection.scalar(gaps, {"id": plan_id}) is None:
        connection.execute(update(Plan).where(Plan.id == plan_id).values(finished_ms=now_ms()))
