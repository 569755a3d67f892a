"""Writes a database as a folder of plain files: whole, or not at all."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from pixguard.errors import PixguardError, UsageError
from pixguard.files import replace_folder, temporary_folder
from pixguard.runner.export.card import card
from pixguard.runner.export.files import require_parquet, table_rows
from pixguard.runner.export.images import (
    FOLDER,
    EmbeddedSink,
    NpzSink,
    PngSink,
    Sink,
    write_images,
)
from pixguard.runner.export.kinds import ImageFormat, TableFormat
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.exports import exports, snapshot
from pixguard.store.tables import Attempt
from pixguard.words import shell_word


def export_database(
    session: Session,
    folder: Path,
    *,
    form: TableFormat,
    images: ImageFormat | None,
    embedded: bool,
    data_dirs: Mapping[str | None, Path],
) -> dict[str, Any]:
    """Write every table, the images where they are wanted, and a README with the licences.

    ``embedded``: as Hugging Face ``datasets`` loads it, images inside Parquet.

    Raises:
        UsageError: there is something at the folder, Parquet cannot be written, or choices do not
            fit together.
        PixguardError: it cannot be written, or images are not there.
        InterruptedRunError: a stop was requested; nothing is left.
    """
    if embedded and (form == "csv" or images == "npz"):
        raise UsageError(
            "`hf=True` puts everything into Parquet, images as PNG",
            "`hf=True` without `format=csv`, and with `images=png` or none",
        )
    with reading(session.database) as engine, new_folder(folder, form) as new:
        rows, last_id = _write_tables(session, engine, new, form)
        attempts = 0
        if images is not None:
            kind = "embedded" if embedded else images
            write = partial(write_images, session, engine, data_dirs=data_dirs, last_id=last_id)
            attempts = _write_images(write, new, kind, rows)
        infos = [stored.info for stored in reader.datasets(engine)]
        text = card(infos, rows, form, images, embedded=embedded)
        (new / "README.md").write_text(text, encoding="utf-8")
    return {"folder": str(folder), "format": form, "rows": rows, "attempts_with_images": attempts}


@contextmanager
def new_folder(folder: Path, form: TableFormat) -> Iterator[Path]:
    """Yield an empty folder that becomes ``folder`` once all in it is on the disk.

    Raises:
        UsageError: there is something at the folder, or Parquet cannot be written.
        PixguardError: it cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} exists already", f"name a new folder: {folder}-2")
    if form == "parquet":
        require_parquet()
    try:
        with temporary_folder(folder) as new:
            yield new
            _sync(new)
            replace_folder(new, folder)
    except OSError as error:
        raise PixguardError(
            f"cannot write {folder}: {error.strerror or error}",
            f"df -h {shell_word(folder.absolute().parent)}; or name another folder",
        ) from error


def _write_tables(
    session: Session, engine: Engine, folder: Path, form: TableFormat
) -> tuple[dict[str, int], int]:
    """Write the tables of one moment; return how many rows each has, and the last attempt's id."""
    rows = {}
    with snapshot(engine) as connection:
        for name, one in exports().items():
            rows[name] = 0
            with table_rows(folder, name, one.columns, form) as file:
                for part in one.rows(connection):
                    file.add(part)
                    rows[name] += len(part)
                    session.honour_stop("nothing was written")
        return rows, connection.scalar(select(func.max(Attempt.id))) or 0


def _write_images(
    write: Callable[[Sink], int], folder: Path, kind: str, rows: dict[str, int]
) -> int:
    with ExitStack() as stack:
        if kind == "embedded":
            embedded = EmbeddedSink(folder, stack)
            written = write(embedded)
            rows |= embedded.rows
            return written
        place = folder / FOLDER
        place.mkdir()
        if kind == "png":
            return write(PngSink(place))
        files = NpzSink(place)
        written = write(files)
        files.close()
        return written


def _sync(folder: Path) -> None:
    """Have all content on the disk before the folder gets its name."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
