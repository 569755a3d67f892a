"""Words and notes that users give to runs and models."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, and_, delete, func, insert, select

from pixguard.errors import UsageError
from pixguard.store.rows import now_ms
from pixguard.store.tables import Model, Run, Tag

Tagged = Literal["run", "model"]
SUPERSEDED = "superseded"
"""A model with this tag is meant by its id and its own name alone."""
_KEYS = {"run": Run.uuid, "model": Model.weights_sha256}


@dataclass(frozen=True, slots=True)
class StoredTag:
    """A tag, and the id here of what has it."""

    kind: str
    id: int
    word: str
    note: str
    at_ms: int


def tag(connection: Connection, kind: Tagged, row_id: int, words: Sequence[str], note: str) -> None:
    """Give a run or a model some words; one that it has already gets the note.

    Raises:
        UsageError: there is no such run or model.
    """
    key = _key(connection, kind, row_id)
    untag(connection, kind, row_id, words)
    values = {"kind": kind, "key": key, "note": note, "at_ms": now_ms()}
    connection.execute(insert(Tag), [{**values, "word": word} for word in dict.fromkeys(words)])


def untag(connection: Connection, kind: Tagged, row_id: int, words: Sequence[str]) -> int:
    """Take words from a run or a model; return how many it had."""
    key = _key(connection, kind, row_id)
    of = (Tag.kind == kind, Tag.key == key, Tag.word.in_(words))
    return connection.execute(delete(Tag).where(*of)).rowcount


def tags(engine: Engine, kind: Tagged | None = None) -> list[StoredTag]:
    """Return all tags on what is in this database, by what has them."""
    row_id = func.coalesce(Run.id, Model.id)
    query = (
        select(Tag.kind, row_id, Tag.word, Tag.note, Tag.at_ms)
        .outerjoin(Run, and_(Tag.kind == "run", Tag.key == Run.uuid))
        .outerjoin(Model, and_(Tag.kind == "model", Tag.key == Model.weights_sha256))
        .where(row_id.is_not(None), *([Tag.kind == kind] if kind else []))
        .order_by(Tag.kind, row_id, Tag.word)
    )
    with engine.connect() as connection:
        return [StoredTag(*row) for row in connection.execute(query)]


def words_of(engine: Engine, kind: Tagged) -> dict[int, frozenset[str]]:
    """Return the words of each run or model, by its id."""
    found: dict[int, set[str]] = defaultdict(set)
    for one in tags(engine, kind):
        found[one.id].add(one.word)
    return {row_id: frozenset(words) for row_id, words in found.items()}


def _key(connection: Connection, kind: Tagged, row_id: int) -> str:
    column = _KEYS[kind]
    key = connection.scalar(select(column).where(column.class_.id == row_id))
    if key is None:
        next_step = "pixguard models list" if kind == "model" else "pixguard db info"
        raise UsageError(f"there is no {kind} {row_id}", next_step)
    return str(key)
