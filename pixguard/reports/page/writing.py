"""Writes the page: its parts are made, put into the frame, and exchanged for the old ones."""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pixguard import __version__
from pixguard.errors import PixguardError, UsageError
from pixguard.files import replace_folder, temporary_folder
from pixguard.reports.formats import html
from pixguard.reports.formats.html import escape_html, slug
from pixguard.reports.page import tables
from pixguard.reports.page.gallery import Gallery, gallery_json
from pixguard.reports.page.overview import (
    LONG_TABLES,
    held_counts,
    overview_tables,
    phantom_datasets,
)
from pixguard.reports.page.tables import PageTable

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


def require_place(folder: Path) -> None:
    """Refuse to write a page where something else is.

    Raises:
        UsageError: the path is a file, or a folder that holds anything but a page.
    """
    if not folder.exists():
        return
    hint = f"name a new folder: --html {folder}-2"
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
    tables.write_files([*held, *report], folder / tables.FOLDER)
    for figure in figures:
        (folder / "figures" / f"{figure.name}.svg").write_bytes(figure.svg)
    styles = html.styles() + _part("page.css")
    script = "\n".join(_part(name) for name in SCRIPTS)
    written = {item.has_data: [t for t in report if t.has_data == item.has_data] for item in report}
    values = {
        "policy": _policy(styles, script),
        "version": escape_html(__version__),
        "styles": styles,
        "script": script,
        "database": escape_html(database),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "phantoms": _phantoms(phantom_datasets(engine)),
        "held": _held(engine),
        "overview": "\n".join(_overview(item) for item in held),
        "table_count": str(len(written.get(True, []))),
        "table_index": tables.index([*written.get(True, []), *written.get(False, [])]),
        "tables": "\n".join(tables.section(item) for item in written.get(True, [])),
        "empty_count": str(len(written.get(False, []))),
        "empty_tables": "\n".join(tables.section(item) for item in written.get(False, [])),
        "figures": "\n".join(_figure(figure) for figure in figures) or _NO_FIGURE,
        "gallery_scope": _scope(gallery),
        "data": gallery_json(engine, gallery),
    }
    (folder / "index.html").write_text(_filled(_part("page.html"), values), encoding="utf-8")


_NO_FIGURE = '<p class="lead">The database holds nothing that a figure could show yet.</p>'


def _filled(frame: str, values: Mapping[str, str]) -> str:
    """Fill ``{{name}}`` slots; what is filled in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], frame)


def _part(name: str) -> str:
    return files("pixguard.reports.page").joinpath(name).read_text(encoding="utf-8")


def _policy(styles: str, script: str) -> str:
    """Return a policy that lets nothing in but this style sheet, this script and image files."""
    return (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(styles)}; "
        "img-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    sha256 = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(sha256).decode()}'"


def _phantoms(names: Sequence[str]) -> str:
    if not names:
        return ""
    listed = ", ".join(escape_html(name) for name in names)
    return (
        f'<p class="warning"><b>Synthetic images.</b> In {listed}, rows whose source is '
        "<i>phantom</i> come from procedural drawings. They show how the tool works and say "
        "nothing about medicine, nor about the paper.</p>"
    )


def _held(engine: "Engine") -> str:
    entries = "".join(
        f"<div><dt>{escape_html(name)}</dt><dd>{number:,}</dd></div>"
        for name, number in held_counts(engine).items()
    )
    return f'<dl class="held">{entries}</dl>'


def _overview(item: PageTable) -> str:
    if item.table.number not in LONG_TABLES:
        return tables.section(item)
    title = escape_html(item.table.title)
    return f'<details class="more"><summary>{title}</summary>{tables.section(item)}</details>'


def _scope(gallery: Gallery) -> str:
    shown = len(gallery.attempts)
    if shown == gallery.total:
        return f"All {shown:,} attempts in the database."
    return (
        f"{shown:,} of the {gallery.total:,} attempts in the database, drawn at random by the "
        "hashes of their keys: the same database gives the same draw. Counts below are of these; "
        "the tables above count all."
    )


def _figure(figure: PageFigure) -> str:
    remarks = "".join(f"<li>{escape_html(line)}</li>" for line in figure.remarks)
    file = f"figures/{figure.name}.svg"
    title = escape_html(figure.title)
    width = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', figure.svg)
    wide = " wide" if width and float(width[1]) > WIDE_POINTS else ""
    return (
        f'<article class="item{wide}" id="{figure.name}"><figure><img src="{file}" alt="{title}" '
        f'loading="lazy"><figcaption>{title}</figcaption></figure>'
        f'<ul class="remarks">{remarks}</ul>'
        f'<div class="tools"><a href="{file}" download>SVG</a></div></article>'
    )
