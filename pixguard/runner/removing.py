"""Removes models without results, and runs, models and datasets with all that rests on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pixguard.classifiers.evaluation import NotFiniteError
from pixguard.errors import UsageError
from pixguard.runner.session import Session
from pixguard.store import deleting, reader
from pixguard.store.engine import reading
from pixguard.store.reader import StoredModel
from pixguard.store.tagging import SUPERSEDED
from pixguard.store.writer import Writer


def remove(session: Session, selector: str) -> dict[str, Any]:
    """Remove a model from the database, and its weights where no other model has the same.

    Args:
        session: where to work.
        selector: an id, an architecture, or latest.

    Returns:
        What ``pixguard models remove --json`` prints.

    Raises:
        UsageError: there is no such model, or results refer to it.
    """
    with reading(session.database) as engine:
        stored = reader.find_model(engine, selector)
    with session.writer({"removed": stored.id}, 0) as writer:
        if results := writer.remove_model(stored.id):
            counts = ", ".join(f"{count} {table}" for table, count in results.items())
            raise UsageError(
                f"model {stored.id} ({stored.record.architecture}) has results, and they stay: "
                f"rows in {counts}",
                f"pixguard db tag model {stored.id} {SUPERSEDED}; or, with its results: "
                f"pixguard db delete model {stored.id}",
            )
        _remove_weights(session, writer, stored)
    return {
        "removed": stored.id,
        "kind": stored.record.kind,
        "architecture": stored.record.architecture,
        "dataset": stored.dataset_name,
    }


@contextmanager
def removed_without_answers(
    session: Session, writer: Writer, stored: StoredModel
) -> Iterator[None]:
    """Remove a model that was just registered, where it turns out to give no finite answer.

    It would be the newest otherwise, which every command takes that names none. A model that has
    results stays.
    """
    try:
        yield
    except NotFiniteError:
        if not writer.remove_model(stored.id):
            _remove_weights(session, writer, stored)
        raise


def delete(session: Session, kind: deleting.Deletable, row_id: int) -> dict[str, Any]:
    """Delete a run, a model or a dataset with all that rests on it, in one transaction.

    Files of weights that no other model has go when that is committed.

    Returns:
        What ``pixguard db delete --json`` prints.

    Raises:
        UsageError: there is none of that id.
    """
    with session.writer({"deleted": {kind: row_id}}, 0) as writer:
        counts = deleting.what_rests_on(writer.engine, kind, row_id)
        with writer.engine.begin() as connection:
            found = deleting.doomed(kind, row_id)
            files = deleting.weights(connection, found)
            deleting.delete_rows(connection, found)
        for file in files:
            (session.weights / file).unlink(missing_ok=True)
    return {"deleted": kind, "id": row_id, "rows": counts, "weights": len(files)}


def _remove_weights(session: Session, writer: Writer, stored: StoredModel) -> None:
    file = stored.record.weights_file
    if file and all(m.record.weights_file != file for m in reader.models(writer.engine)):
        (session.weights / file).unlink(missing_ok=True)
