"""Tables in HTML: semantic markup from templates in which every word is escaped."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pixguard.reports.formats.text import NOT_RUN, cell_parts, clean, sections
from pixguard.reports.report_table import ReportTable

if TYPE_CHECKING:
    from jinja2 import Environment

FILL_NOTE = f"{NOT_RUN}: "
"""How the builders begin the note that names the command for a gap; here it is a list's entry."""


def slug(words: object) -> str:
    """Return words as a part of an id or of a file's name: lower case letters, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", str(words).casefold()).strip("-") or "x"


def part(name: str) -> str:
    """Return a style sheet or a script as it is."""
    return files("pixguard.reports").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def environment() -> "Environment":
    """Return what fills templates: everything is escaped, and a missing value is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("pixguard.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
    )
    made.filters["lines"] = _lines
    made.globals.update(cell_parts=cell_parts, sections=sections, slug=slug, remarks_of=remarks_of)
    return made


def _cleaned(value: Any) -> Any:
    """Return a value without the control characters of words from outside; markup is ours."""
    return clean(value) if type(value) is str else value


def _lines(text: str) -> Any:
    """Return a text of several lines, which cleaning would join."""
    from markupsafe import Markup, escape

    return Markup("\n").join(escape(clean(line)) for line in text.splitlines())


def remarks_of(table: ReportTable) -> list[str]:
    """Return the caption and the notes of a table, but those that its list of commands tells."""
    return [*table.caption, *(n for n in table.notes if not n.startswith(FILL_NOTE))]


def render_document(tables: Sequence[ReportTable]) -> str:
    """Return tables as one HTML document that needs no other file."""
    from markupsafe import Markup

    title = tables[0].heading if len(tables) == 1 else "pixguard report"
    template = environment().get_template("document.html")
    return f"{template.render(shown=tables, title=title, styles=Markup(part('html.css')))}\n"


def render_html(table: ReportTable, identifier: str) -> str:
    """Return a table, its caption, its notes, and the commands for what was not run.

    Args:
        table: the table.
        identifier: prefix of the ids in it, unique within the document.
    """
    macros: Any = environment().get_template("table.html").module
    return str(macros.render(table, identifier))
