"""Runs the queries of :mod:`pixguard.store.queries`, and writes them out for other clients."""

from types import NoneType
from typing import TYPE_CHECKING, Any

from pixguard.reports.report_table import Query
from pixguard.store.queries import load

if TYPE_CHECKING:
    from sqlalchemy import Engine

RowValues = dict[str, Any]


def make_query(name: str, **parameters: Any) -> Query:
    """Return the query ``name`` with values for its parameters."""
    return Query(name, load(name), parameters)


def fetch(engine: "Engine", query: Query) -> list[RowValues]:
    """Run a query; return its rows by column name."""
    from sqlalchemy import text

    with engine.connect() as connection:
        rows = connection.execute(text(query.sql), dict(query.parameters)).mappings()
        return [dict(row) for row in rows]


def literal_sql(query: Query) -> str:
    """Return a query with its values written in, ready for any SQL client."""
    from sqlalchemy import Double, Integer, Text, bindparam, text
    from sqlalchemy.dialects import sqlite

    types: dict[type, Any] = {str: Text(), int: Integer(), float: Double(), NoneType: Integer()}
    bound = text(query.sql).bindparams(
        *(
            bindparam(name, value, type_=types[type(value)])
            for name, value in query.parameters.items()
        )
    )
    compiled = bound.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    return f"{str(compiled).strip()};\n"
