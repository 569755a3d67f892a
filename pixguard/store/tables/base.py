"""What all tables share: types, names of constraints, STRICT, references that never cascade."""

from typing import Any

from sqlalchemy import (
    DOUBLE_PRECISION,
    REAL,
    BigInteger,
    ForeignKey,
    Integer,
    MetaData,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeEngine

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# PostgreSQL's INTEGER ends before a time in milliseconds, and its REAL after 6 digits.
INTEGER_64: TypeEngine[int] = Integer().with_variant(BigInteger(), "postgresql")
REAL_64: TypeEngine[float] = REAL().with_variant(DOUBLE_PRECISION(), "postgresql")


class Base(DeclarativeBase):
    """Declarative base: integers are INTEGER, text is TEXT, floats are REAL."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {int: INTEGER_64, str: Text, float: REAL_64}  # noqa: RUF012 (SQLAlchemy reads it so)


def strict(*constraints: Any) -> tuple[Any, ...]:
    """Return table arguments: the constraints, and STRICT on SQLite."""
    return (*constraints, {"sqlite_strict": True})


def reference(table: str, *, index: bool = True) -> Any:
    """Return a column that refers to a row of another table, which then cannot be deleted."""
    return mapped_column(ForeignKey(f"{table}.id", ondelete="RESTRICT"), index=index)
