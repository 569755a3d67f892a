"""The verb: other databases into one, each as a whole or not at all."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from pixguard.errors import PixguardError, UsageError
from pixguard.files import replacing
from pixguard.store.engine import connect, reading, refuse_damaged
from pixguard.store.location import WEIGHTS, Location, files_folder, locate, read_only_url
from pixguard.store.lock import WriterLock
from pixguard.store.merging import plans
from pixguard.store.merging.prefer import Prefer
from pixguard.store.merging.rules import RULES
from pixguard.store.merging.work import Work


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge did, or would do.

    Attributes:
        other: the database that was taken in.
        added: rows by table; nothing where all was there already.
        conflicts: rows by table that both have, with other results.
        weights: files of weights that came along.
        missing_weights: files that do not lie beside the other database.
        unnamed: models that came without their name, since another has it here.
        done: whether it was done, or only tried.
    """

    other: str
    added: Mapping[str, int] = field(default_factory=dict)
    conflicts: Mapping[str, int] = field(default_factory=dict)
    weights: int = 0
    missing_weights: Sequence[str] = ()
    unnamed: Sequence[str] = ()
    done: bool = True


def merge(
    database: str, others: Sequence[str], prefer: Prefer | None = None, *, dry_run: bool = False
) -> Iterator[Merge]:
    """Take other databases into one, each as a whole or not at all; yield what came of each.

    Args:
        database: the one that grows; an SQLite file of this schema.
        others: SQLite files of this schema, read only.
        prefer: which of two different results of the same work counts, with all that was made of
            it; None: such a database is refused.
        dry_run: do all of it, and take it back.

    Raises:
        DatabaseBusyError: the database is being written to.
        PixguardError: the two hold different results of the same work and none is preferred, other
            images or classes under the same name.
        UsageError: a database is on a server, or is named twice.
    """
    ours = locate(database)
    sources = [locate(other) for other in others]
    for source in sources:
        if source.file == ours.file:
            raise UsageError(f"{source.name} cannot be merged into itself", "name another file")
        with reading(source.name) as engine:  # all are looked at before the first is taken
            refuse_damaged(engine, source)
    with WriterLock(ours.file, "pixguard db merge"), reading(database, writable=True) as engine:
        refuse_damaged(engine, ours)
    for source in sources:
        with WriterLock(ours.file, "pixguard db merge"):
            yield _merge_one(ours, source, prefer, dry_run=dry_run)


def _merge_one(ours: Location, other: Location, prefer: Prefer | None, *, dry_run: bool) -> Merge:
    with _attached(ours, other) as connection, connection.begin() as transaction:
        work = Work(connection, prefer)
        for rule in RULES:
            work.take(rule)
        work.refuse_conflicts(ours, other)
        work.count("planned_attempt", plans.merge_places(connection, ours.name))
        files = _weights(connection, ours, other)
        present = [file for file in files if file[0].is_file()]
        if dry_run:
            transaction.rollback()
        else:
            for source, target in present:
                _copy(source, target)
    return Merge(
        other.name,
        work.added,
        work.conflicts,
        len(present),
        [str(source) for source, _ in files if not source.is_file()],
        work.unnamed,
        done=not dry_run,
    )


@contextmanager
def _attached(ours: Location, other: Location) -> Iterator[Connection]:
    """Yield a connection to a database that has another one beside it as ``theirs``."""
    engine = connect(ours, writable=True)
    try:
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            if raw is None:
                raise PixguardError(f"{ours.name} cannot be opened")
            url = read_only_url(other.file)
            options = "&".join(f"{name}={value}" for name, value in url.query.items())
            raw.execute("ATTACH DATABASE ? AS theirs", (f"{url.database}?{options}",))
            yield connection
    finally:
        engine.dispose()


def _weights(connection: Connection, ours: Location, other: Location) -> list[tuple[Path, Path]]:
    """Return (file there, file here) of all weights that are not here yet.

    Their name is their content, which is checked whenever they are opened.
    """
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT weights_file FROM theirs.model WHERE weights_file <> '' ORDER BY 1"
    )
    theirs, here = (files_folder(str(place.file)) / WEIGHTS for place in (other, ours))
    files = [(theirs / file, here / file) for (file,) in rows]
    return [file for file in files if not file[1].exists()]


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as read, replacing(target) as written:
            shutil.copyfileobj(read, written)
    except OSError as error:
        raise PixguardError(
            f"cannot copy {source} to {target}: {error.strerror or error}",
            f"make space on {target.parent.parent} or mend its permissions; nothing was merged",
        ) from error
