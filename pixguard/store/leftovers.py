"""What killed processes left beside a database: found, told, and removed when that is asked for.

Only what pixguard itself names, and never what a living process holds: who writes to the database
has its lock, and who writes a file has that one's. A folder of files that two databases share is
left alone: what one does not know may be the other's.
"""

import itertools
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from pixguard.errors import PixguardError
from pixguard.files import LEFT_AFTER_S, is_held, is_left_behind, remove
from pixguard.records import TRAINING_KEY
from pixguard.store import presence, reader
from pixguard.store.engine import reading, refuse_damaged
from pixguard.store.location import (
    CHECKPOINTS,
    IN_FLIGHT,
    SQLITE_MAGIC,
    WEIGHTS,
    files_folder,
    is_sqlite,
    locate,
)
from pixguard.store.lock import WriterLock, is_locked
from pixguard.words import shell_word

ABANDONED_AFTER_S = 30 * 24 * 3600
"""Since when nobody went on with a training whose checkpoint is taken for abandoned."""
_WEIGHTS = re.compile(r"[0-9a-f]{16}\.(safetensors|torchscript\.pt|pt2)")
_CHECKPOINT = re.compile(r"([0-9a-f]{16})\.pt")
_IN_FLIGHT = re.compile(r"plan-([0-9]{1,18})\.pt")
_BACKUP = r"\.(backup|schema-\w+)-[0-9]{8}-[0-9]{6}"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # sqlite.org/fileformat.html, section 3
_HAS_WORK = """
    SELECT 1 FROM plan WHERE id = :id AND (planned IS NULL OR EXISTS (
        SELECT 1 FROM planned_attempt p WHERE p.plan_id = plan.id AND NOT EXISTS (
            SELECT 1 FROM attempt a WHERE a.attempt_key = p.attempt_key)))
"""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that is of no more use, and what it was; ``what`` is in the plural."""

    path: Path
    what: str
    size_bytes: int


def find(database: str) -> list[Leftover] | None:
    """Return what could be removed; None on a server, and while the database is written to.

    Raises:
        SchemaMismatchError: the schema is not this pixguard's.
        PixguardError: the database is damaged: what it names cannot be told.
    """
    path = locate(database).path
    if path is None or is_locked(path):
        return None
    return list(_find(database, path))


def clean(database: str, told: Iterable[Leftover]) -> list[Leftover]:
    """Remove those leftovers that a user was told of and that still are; return them.

    Raises:
        DatabaseBusyError: the database is being written to.
        PixguardError: one cannot be removed.
    """
    path = locate(database).file
    wanted = {leftover.path for leftover in told}
    with WriterLock(path, "pixguard db check --clean"):
        removed = [leftover for leftover in _find(database, path) if leftover.path in wanted]
        for leftover in removed:
            try:
                remove(leftover.path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise PixguardError(
                    f"cannot remove {leftover.path}: {error.strerror}",
                    f"ls -ld {shell_word(leftover.path.parent)}",
                ) from error
    return removed


def _find(database: str, path: Path) -> Iterator[Leftover]:
    with reading(database) as engine:
        refuse_damaged(engine, locate(database))
        files = files_folder(database)
        own = [p for p in _listed(path.parent) if p.name.startswith((".", f"{path.name}."))]
        folders = (files, *(files / name for name in (WEIGHTS, CHECKPOINTS, IN_FLIGHT)))
        for written in itertools.chain(own, *map(_listed, folders)):
            if is_left_behind(written):
                yield _leftover(written, "temporary files of killed processes")
        for worker in presence.workers(database):
            if worker.state == "gone" and worker.path is not None:
                yield _leftover(worker.path, "what killed processes said of themselves")
        for copy in own:
            if re.fullmatch(re.escape(path.name) + _BACKUP, copy.name):
                yield from _unfinished(copy)
        if not _is_shared(path, files):
            yield from _unnamed(engine, files)


def _unfinished(copy: Path) -> Iterator[Leftover]:
    """Yield a backup that was not written to its end: older pixguards gave it its name before."""
    if copy.is_symlink() or not copy.is_file() or is_held(copy):
        return
    journal = copy.with_name(f"{copy.name}-journal")
    is_old = time.time() - copy.stat().st_mtime > LEFT_AFTER_S  # or somebody copies it
    if is_old and (_is_hot(journal) or not _is_whole(copy)):
        yield from (_leftover(p, "unfinished backups") for p in (copy, journal) if p.exists())


def _unnamed(engine: Engine, files: Path) -> Iterator[Leftover]:
    """Yield what no row of the database names any more."""
    models = reader.models(engine)
    named = {model.record.weights_file for model in models}
    for file in _listed(files / WEIGHTS):
        if _WEIGHTS.fullmatch(file.name) and file.name not in named and file.is_file():
            yield _leftover(file, "weights that no model has")
    # As a training sees it: one whose weights are gone is made again.
    finished = {
        str(model.record.hyperparameters[TRAINING_KEY])[:16]
        for model in models
        if TRAINING_KEY in model.record.hyperparameters
        and (files / WEIGHTS / model.record.weights_file).exists()
    }
    for file in _listed(files / CHECKPOINTS):
        if checkpoint := _CHECKPOINT.fullmatch(file.name):
            if checkpoint[1] in finished:
                yield _leftover(file, "checkpoints of finished trainings")
            elif time.time() - file.lstat().st_mtime > ABANDONED_AFTER_S:
                yield _leftover(file, "checkpoints that nobody went on with for 30 days")
    with engine.connect() as connection:
        for file in _listed(files / IN_FLIGHT):
            if (plan := _IN_FLIGHT.fullmatch(file.name)) and not connection.execute(
                text(_HAS_WORK), {"id": int(plan[1])}
            ).first():
                yield _leftover(file, "attempts in flight of plans that are done or gone")


def _is_hot(journal: Path) -> bool:
    """Say whether a journal holds what a killed writer began; a finished one's is cleared."""
    if not journal.is_file():
        return False
    with journal.open("rb") as file:
        return file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC


def _is_whole(copy: Path) -> bool:
    """Say whether a copy of a database has all its pages; SQLite writes the first one last."""
    with copy.open("rb") as file:
        header = file.read(32)
    page_bytes = int.from_bytes(header[16:18], "big")
    size_bytes = (65536 if page_bytes == 1 else page_bytes) * int.from_bytes(header[28:32], "big")
    return header.startswith(SQLITE_MAGIC) and size_bytes == copy.stat().st_size


def _is_shared(path: Path, files: Path) -> bool:
    """Say whether another database may have the files: ``a.db`` and ``a.sqlite``, or a link."""
    try:
        return files.is_symlink() or any(
            other.stem == path.stem and other != path and is_sqlite(other)
            for other in _listed(path.parent)
        )
    except OSError:
        return True  # it cannot be told


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder of pixguard's own; nothing where it cannot be listed."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except OSError:
        return []


def _leftover(path: Path, what: str) -> Leftover:
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    return Leftover(path, what, sum(p.lstat().st_size for p in (path, *inside)))
