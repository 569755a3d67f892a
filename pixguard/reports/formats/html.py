"""Tables in HTML: semantic markup in which every word is escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from pixguard.reports.formats.text import NOT_RUN, cell_parts, clean, sections
from pixguard.reports.report_table import Cell, Column, ReportTable, Row

FILL_NOTE = f"{NOT_RUN}: "
"""How the builders begin the note that names the command for a gap; here it is a list's entry."""


def escape_html(words: object) -> str:
    """Return words that HTML shows as they are, in text and in quoted attributes."""
    return escape(clean(str(words)), quote=True)


def slug(words: object) -> str:
    """Return words as a part of an id or of a file's name: lower case letters, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", str(words).casefold()).strip("-") or "x"


def styles() -> str:
    """Return the style sheet of tables, which a document of tables and the page share."""
    return files(__name__.rpartition(".")[0]).joinpath("html.css").read_text(encoding="utf-8")


def render_document(tables: Sequence[ReportTable]) -> str:
    """Return tables as one HTML document that needs no other file."""
    title = tables[0].heading if len(tables) == 1 else "pixguard report"
    bodies = "\n".join(render_html(table, f"t{n}") for n, table in enumerate(tables, start=1))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape_html(title)}</title>\n<style>\n{styles()}</style>\n</head>\n"
        f'<body class="document">\n<main>\n{bodies}\n</main>\n</body>\n</html>\n'
    )


def render_html(table: ReportTable, identifier: str) -> str:
    """Return a table, its caption, its notes, and the commands for what was not run.

    Args:
        table: the table.
        identifier: prefix of the ids in it, unique within the document.
    """
    commands = {command: n for n, command in enumerate(table.commands, start=1)}
    head = "".join(
        f'<th scope="col"{_class(column)}>{escape_html(column.name)}</th>'
        for column in table.columns
    )
    bodies = "\n".join(
        _body(table, heading, rows, commands, identifier) for heading, rows in sections(table)
    )
    name = f"{identifier}-caption"
    return (
        f'<div class="table-box" role="region" aria-labelledby="{name}" tabindex="0">\n'
        f'<table>\n<caption id="{name}"><span>{_caption(table)}</span></caption>\n'
        f"<thead><tr>{head}</tr></thead>\n{bodies}\n</table>\n</div>\n"
        f"{_remarks(table)}{_commands(commands, identifier)}"
    )


def _caption(table: ReportTable) -> str:
    number = f"Table {table.number}." if isinstance(table.number, int) else ""
    return f"<b>{number}</b> {escape_html(table.title)}" if number else escape_html(table.title)


def _class(column: Column) -> str:
    return "" if column.is_text else ' class="number"'


def _body(
    table: ReportTable,
    heading: str | None,
    rows: Iterable[Row],
    commands: dict[str, int],
    identifier: str,
) -> str:
    lines = ["<tbody>"]
    if heading:
        width = len(table.columns)
        lines.append(
            f'<tr class="part"><th scope="rowgroup" colspan="{width}">{escape_html(heading)}</th>'
            "</tr>"
        )
    for row in rows:
        cells = zip(row.cells, table.columns, strict=True)
        parts = []
        for position, (cell, column) in enumerate(cells):
            tag, scope = ("th", ' scope="row"') if position == 0 else ("td", "")
            content = _cell(cell, column, table.published, commands, identifier)
            parts.append(f"<{tag}{scope}{_class(column)}>{content}</{tag}>")
        lines.append(f"<tr>{''.join(parts)}</tr>")
    return "\n".join([*lines, "</tbody>"])


def _cell(
    cell: Cell, column: Column, published: bool, commands: dict[str, int], identifier: str
) -> str:
    first, *further = cell_parts(cell, column, published=published)
    value = escape_html(first)
    if cell.value is None and cell.not_run:
        place = commands[cell.not_run]
        value = (
            f'<a class="not-run" href="#{identifier}-fill-{place}" '
            f'title="{escape_html(cell.not_run)}">{value}<sup>{place}</sup></a>'
        )
    return " ".join([value, *(f'<span class="aside">{escape_html(p)}</span>' for p in further)])


def _remarks(table: ReportTable) -> str:
    remarks = [*table.caption, *(n for n in table.notes if not n.startswith(FILL_NOTE))]
    if not remarks:
        return ""
    items = "".join(f"<li>{escape_html(line)}</li>" for line in remarks)
    return f'<ul class="remarks">{items}</ul>\n'


def _commands(commands: dict[str, int], identifier: str) -> str:
    if not commands:
        return ""
    items = "".join(
        f'<li id="{identifier}-fill-{n}"><code>{escape_html(command)}</code></li>'
        for command, n in commands.items()
    )
    return f'<p class="fill">Not run yet; these commands would fill it:</p><ol>{items}</ol>\n'
