"""Writes the page: its parts are made, put into the frame, and exchanged for the old ones."""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from pixguard import __version__
from pixguard.errors import PixguardError, UsageError
from pixguard.files import replace_folder, temporary_folder
from pixguard.reports.figures.style import darkened
from pixguard.reports.formats.html import environment, part, slug
from pixguard.reports.page.gallery import Gallery, gallery_json
from pixguard.reports.page.overview import (
    LONG_TABLES,
    held_counts,
    overview_tables,
    phantom_datasets,
)
from pixguard.reports.page.tables import TABLES, PageTable, index_parts, write_files

if TYPE_CHECKING:
    from sqlalchemy import Engine

PARTS = ("index.html", "tables", "images", "figures")
"""All that stands in the folder of a page."""
MARK = '<meta name="generator" content="pixguard'
WIDE_POINTS = 360
"""A figure that is wider takes the page's whole width."""
SCRIPTS = ("page.js", "drawing.js", "gallery.js", "viewer.js")


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A figure: ``name`` becomes its id and its file's, ``svg`` the file; remarks go below."""

    name: str
    title: str
    remarks: Sequence[str]
    svg: bytes

    @property
    def is_wide(self) -> bool:
        """Whether it takes the page's whole width."""
        width = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', self.svg)
        return bool(width and float(width[1]) > WIDE_POINTS)


def require_place(folder: Path) -> None:
    """Refuse to write a page where something else is.

    Raises:
        UsageError: the path is a file, or a folder that holds anything but a page.
    """
    if not folder.exists():
        return
    hint = f"name a new folder: {folder}-2"
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", hint)
    found = sorted(path.name for path in folder.iterdir())
    if not found:
        return
    foreign = [name for name in found if name not in PARTS]
    if foreign:
        raise UsageError(f"{folder} holds {foreign[0]!r}, which is no part of a page", hint)
    index = folder / "index.html"
    if not index.is_file() or MARK not in index.read_text(encoding="utf-8")[:4000]:
        raise UsageError(f"{folder} is not empty and holds no page of pixguard", hint)


@contextmanager
def page_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder with a page's parts, which takes the place of ``folder`` at the end.

    Where writing fails or is interrupted, whatever stood at ``folder`` still stands.

    Raises:
        UsageError: see :func:`require_place`.
        PixguardError: it cannot be written.
    """
    require_place(folder)
    folder = folder.resolve()  # where it is a link, it stays one
    try:
        with temporary_folder(folder) as new:
            for part in PARTS[1:]:
                (new / part).mkdir()
            yield new
            replace_folder(new, folder)
    except OSError as error:
        raise PixguardError(
            f"cannot write {folder}: {error.strerror or error}",
            f"mend space or permissions on {folder.parent}, or name another folder",
        ) from error


def write_page(
    folder: Path,
    engine: "Engine",
    database: str,
    report: Sequence[PageTable],
    figures: Sequence[PageFigure],
    gallery: Gallery,
) -> None:
    """Write ``index.html``, the tables and the figures into a page's folder.

    Args:
        folder: from :func:`page_folder`, the images in it already.
        engine: the database.
        database: its name, for people.
        report: the tables.
        figures: the figures.
        gallery: the attempts, and where their images are.
    """
    held = [PageTable(f"holds-{slug(t.number)}", t) for t in overview_tables(engine)]
    write_files([*held, *report], folder / TABLES)
    for figure in figures:
        (folder / "figures" / f"{figure.name}.svg").write_bytes(figure.svg)
        (folder / "figures" / f"{figure.name}-dark.svg").write_bytes(darkened(figure.svg))
    styles = part("html.css") + part("page.css")
    script = "\n".join(part(name) for name in SCRIPTS)
    page = environment().get_template("page.html")
    text = page.render(
        policy=Markup(_policy(styles, script)),
        version=__version__,
        styles=Markup(styles),
        script=Markup(script),
        database=database,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        phantoms=phantom_datasets(engine),
        held=held_counts(engine),
        overview=held,
        long_tables=LONG_TABLES,
        with_data=[item for item in report if item.has_data],
        without=[item for item in report if not item.has_data],
        parts=index_parts(report),
        figures=figures,
        shown=len(gallery.attempts),
        total=gallery.total,
        data=Markup(gallery_json(engine, gallery)),
    )
    (folder / "index.html").write_text(text, encoding="utf-8")


def _policy(styles: str, script: str) -> str:
    """Return a policy that lets nothing in but this style sheet, this script and image files."""
    return (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(styles)}; "
        "img-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    sha256 = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(sha256).decode()}'"
