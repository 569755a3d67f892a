"""Joins the plans of two databases: what either planned, in the order of the larger one."""

import shlex

from sqlalchemy import Connection

from pixguard.store.rows import now_ms
from pixguard.words import command_line

_STATEMENTS = (
    # What is here, for one look an attempt.
    """
    CREATE TEMP TABLE placed AS
    SELECT p.plan_id, p.repeat, p.attempt_key FROM main.planned_attempt p
    WHERE p.plan_id IN (SELECT ours FROM map_plan)
    """,
    "CREATE INDEX temp.ix_placed ON placed (plan_id, repeat, attempt_key)",
    # A larger plan settles how to go on; of equal ones ours does.
    """
    UPDATE main.plan AS m SET
        settings = o.settings, command = o.command, remarks = o.remarks
    FROM theirs.plan o JOIN map_plan x ON x.theirs = o.id
    WHERE x.ours = m.id AND COALESCE(o.planned, 0) > COALESCE(m.planned, 0)
    """,
)
_PLACES = """
    INSERT INTO main.planned_attempt (plan_id, repeat, place, dataset_index, attempt_key)
    SELECT
        x.ours,
        o.repeat,
        (SELECT COUNT(*) FROM placed q WHERE q.plan_id = x.ours AND q.repeat = o.repeat)
            + ROW_NUMBER() OVER (PARTITION BY x.ours, o.repeat ORDER BY o.place) - 1,
        o.dataset_index,
        o.attempt_key
    FROM theirs.planned_attempt o
    JOIN map_plan x ON x.theirs = o.plan_id
    WHERE NOT EXISTS (
        SELECT 1 FROM placed q
        WHERE q.plan_id = x.ours AND q.repeat = o.repeat AND q.attempt_key = o.attempt_key
    )
    ORDER BY x.ours, o.repeat, o.place
"""
_CLOSED = """
    UPDATE main.plan AS m SET
        planned = NULLIF((SELECT COUNT(*) FROM main.planned_attempt p WHERE p.plan_id = m.id), 0),
        finished_ms = CASE
            WHEN NOT EXISTS (SELECT 1 FROM main.planned_attempt p WHERE p.plan_id = m.id)
                THEN m.finished_ms
            WHEN NOT EXISTS (
                SELECT 1 FROM main.planned_attempt p WHERE p.plan_id = m.id AND NOT EXISTS (
                    SELECT 1 FROM main.attempt a WHERE a.attempt_key = p.attempt_key
                ) AND NOT EXISTS (
                    SELECT 1 FROM main.failure f WHERE f.attempt_key = p.attempt_key
                )
            ) THEN COALESCE(m.finished_ms, o.finished_ms, :now_ms)
        END
    FROM theirs.plan o JOIN map_plan x ON x.theirs = o.id
    WHERE x.ours = m.id
"""


def merge_places(connection: Connection, database: str) -> int:
    """Append what only theirs planned, and close or open the plans; return the new places.

    How to go on with them is told for ``database``, which they are in now, and for no part alone.

    A plan of more images contains one of fewer in the same order, so that what is appended is what
    the larger one has behind the smaller.
    """
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
    added = connection.exec_driver_sql(_PLACES).rowcount
    connection.exec_driver_sql(_CLOSED, {"now_ms": now_ms()})
    mapped = "SELECT id, command FROM main.plan WHERE id IN (SELECT ours FROM map_plan)"
    for number, told in connection.exec_driver_sql(mapped).all():
        values = {"id": number, "command": _command(told, database)}
        connection.exec_driver_sql("UPDATE main.plan SET command = :command WHERE id = :id", values)
    return added


def _command(told: str, database: str) -> str:
    words = shlex.split(told)
    for option in ("--shard", "--db"):
        if option in words[:-1]:
            place = words.index(option)
            del words[place : place + 2]
    return command_line([*words, "--db", database]) if words else told
