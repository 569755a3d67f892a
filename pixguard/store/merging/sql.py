"""Parts of statements: ``o`` is a row of theirs, ``m`` one of ours.

The tables ``map_NAME`` say which row of theirs is which of ours, as far as that is settled.
"""

from collections.abc import Iterable

from pixguard.store import tables
from pixguard.store.merging.rules import RULES
from pixguard.store.tables import Base

_CLOSE = 1e-4
"""Metrics of one image on two machines differ in their last digits, and by no more than that."""


def references(table: type[Base]) -> dict[str, str]:
    """Return column -> table of what its rows refer to."""
    columns = table.__table__.columns
    return {c.name: key.column.table.name for c in columns for key in c.foreign_keys}


def is_referred_to(table: type[Base]) -> bool:
    """Say whether a row of any table refers to one of this."""
    name = table.__tablename__
    return any(name in references(rule.table).values() for rule in RULES) or name == "plan"


def source(table: type[Base]) -> str:
    """Return FROM: a row of theirs, and for each reference the row of ours that it will be."""
    joins = [
        f"LEFT JOIN map_{target} f_{column} ON f_{column}.theirs = o.{column}"
        for column, target in references(table).items()
    ]
    return " ".join([f"FROM theirs.{table.__tablename__} o", *joins])


def present(table: type[Base]) -> str:
    """Return the condition that nothing is missing which a row of theirs refers to."""
    tests = [f"(o.{c} IS NULL OR f_{c}.ours IS NOT NULL)" for c in references(table)]
    return " AND ".join(tests) or "1"


def value(table: type[Base], column: str) -> str:
    """Return the expression for what a column of a row of theirs becomes here."""
    if column in references(table):
        return f"f_{column}.ours"
    if table is tables.Model and column == "name":
        return "CASE WHEN o.name IN (SELECT name FROM main.model) THEN NULL ELSE o.name END"
    return f'o."{column}"'


def equal(table: type[Base], key: Iterable[str]) -> str:
    """Return the condition that a row ``m`` of ours has the key of a row of theirs."""
    nullable = {column.name for column in table.__table__.columns if column.nullable}
    return " AND ".join(
        f'm."{column}" {"IS" if column in nullable else "="} {value(table, column)}'
        for column in key
    )


def differs(column: str) -> str:
    """Return the condition that a column is another here than there."""
    if column == "dataset_id":
        return "m.dataset_id IS NOT f_dataset_id.ours"
    if column == "value":
        return f"ABS(m.value - o.value) > {_CLOSE} * MAX(1, ABS(m.value))"
    return f'm."{column}" IS NOT o."{column}"'


def pixels(where: str, row: str) -> str:
    """Return the expression that tells all changed pixels of an attempt in one text."""
    return (
        "(SELECT GROUP_CONCAT(t) FROM (SELECT q.\"row\" || ':' || q.col || ':' || q.\"after\" AS t "
        f"FROM {where}.pixel q WHERE q.attempt_id = {row}.id ORDER BY q.ordinal))"
    )


def whole(where: str, row: str) -> str:
    """Return the expression that tells the image of an attempt of a dense attack."""
    return f"(SELECT w.sha256 FROM {where}.whole_image w WHERE w.attempt_id = {row}.id)"
