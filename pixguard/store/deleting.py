"""Deletes rows with all that rests on them, by the schema's references: no table is forgotten."""

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from pixguard.errors import UsageError
from pixguard.store.tables import Attempt, Base, Model, Plan, PlannedAttempt, Run, Tag

Deletable = Literal["run", "model", "dataset"]
_TABLES = Base.metadata.tables
Doomed = Mapping[Table, ColumnElement[bool]]
"""Which rows of each table go, in an order in which every table comes after what it refers to."""


def what_rests_on(engine: Engine, kind: Deletable, row_id: int) -> dict[str, int]:
    """Return how many rows would go with a run, a model or a dataset, itself among them, by table.

    Raises:
        UsageError: there is none of that id.
    """
    with engine.connect() as connection:
        rows = counts(connection, doomed(kind, row_id))
    if not rows:
        where = {"run": "db info", "model": "models list", "dataset": "db query"}[kind]
        what = ' "SELECT id, name FROM dataset"' if kind == "dataset" else ""
        raise UsageError(f"there is no {kind} {row_id} in this database", f"pixguard {where}{what}")
    return rows


def doomed(name: str, row_id: int) -> Doomed:
    """Return the row of a table's id, and the rows of all tables that rest on it.

    A plan that a run went on with is not that run's alone: it rests on its classifier and attack.
    """
    table = _TABLES[name]
    found: dict[Table, ColumnElement[bool]] = {table: table.c.id == row_id}
    for one in Base.metadata.sorted_tables:
        conditions = []
        for column in one.c:
            for key in column.foreign_keys:
                parent = key.column.table
                if (one.name, parent.name) == ("plan", "run"):
                    continue
                if parent in found and parent is not one:
                    conditions.append(column.in_(select(parent.c.id).where(found[parent])))
        if conditions and one is not table:
            found[one] = or_(*conditions)
    return found


def counts(connection: Connection, found: Doomed) -> dict[str, int]:
    """Return how many rows go, by table; tables without any are left out."""
    rows = {
        table.name: connection.scalar(select(func.count()).select_from(table).where(condition))
        for table, condition in found.items()
    }
    return {name: count for name, count in rows.items() if count}


def weights(connection: Connection, found: Doomed) -> set[str]:
    """Return the files of weights that no other model has, of the models that go."""
    table = _TABLES["model"]
    if table not in found:
        return set()
    of = select(Model.weights_file)
    gone = set(connection.scalars(of.where(found[table])))
    return gone - set(connection.scalars(of.where(~found[table]))) - {""}


def delete_rows(connection: Connection, found: Doomed) -> None:
    """Delete rows, those that refer to others first.

    Plans whose attempts are gone are unfinished again; a plan whose run is gone belongs to a run
    that made one of its attempts, and goes where there is none. Tags go with what they are on.
    """
    _keep_plans(connection, found)
    for kind, key in (("run", Run.uuid), ("model", Model.weights_sha256)):
        if _TABLES[kind] in found:
            on = select(key).where(found[_TABLES[kind]])
            connection.execute(delete(Tag).where(Tag.kind == kind, Tag.key.in_(on)))
    for table, condition in reversed(list(found.items())):
        connection.execute(delete(table).where(condition))
    missing = (
        select(PlannedAttempt.plan_id)
        .where(~exists().where(Attempt.attempt_key == PlannedAttempt.attempt_key))
        .distinct()
    )
    if _TABLES["attempt"] in found:
        connection.execute(update(Plan).where(Plan.id.in_(missing)).values(finished_ms=None))


def _keep_plans(connection: Connection, found: Doomed) -> None:
    """Give the plans of runs that go to other runs, and delete those that nobody has a part in."""
    runs = found.get(_TABLES["run"])
    if runs is None:
        return
    going = select(Run.id).where(runs)
    for plan in connection.scalars(select(Plan.id).where(Plan.run_id.in_(going))).all():
        places = select(PlannedAttempt.attempt_key).where(PlannedAttempt.plan_id == plan)
        heir = connection.scalar(
            select(func.max(Attempt.run_id)).where(
                Attempt.attempt_key.in_(places), Attempt.run_id.not_in(going)
            )
        )
        if heir is None:
            connection.execute(delete(PlannedAttempt).where(PlannedAttempt.plan_id == plan))
            connection.execute(delete(Plan).where(Plan.id == plan))
        else:
            connection.execute(update(Plan).where(Plan.id == plan).values(run_id=heir))
