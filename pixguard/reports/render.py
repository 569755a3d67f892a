"""Renders tables in the format that was asked for."""

from collections.abc import Sequence

from pixguard.errors import UsageError
from pixguard.reports.formats import FORMATS
from pixguard.reports.formats.csv_text import render_csv
from pixguard.reports.formats.html import render_document
from pixguard.reports.formats.json_text import render_json
from pixguard.reports.formats.latex import render_latex
from pixguard.reports.formats.markdown import render_markdown
from pixguard.reports.formats.terminal import DEFAULT_WIDTH, render_terminal
from pixguard.reports.formats.text import clean
from pixguard.reports.querying import literal_sql
from pixguard.reports.report_table import ReportTable


def render(
    tables: Sequence[ReportTable],
    output_format: str,
    *,
    width: int = DEFAULT_WIDTH,
    color: bool = False,
) -> str:
    """Return tables as text that ends with a line break.

    Args:
        tables: at least one; an empty line parts them, in JSON one object holds them, in
            HTML one document.
        output_format: one of :data:`pixguard.reports.formats.FORMATS`.
        width: columns of the terminal, for ``table``.
        color: whether ``table`` may use bold and italic type.

    Raises:
        UsageError: there is no such format.
    """
    match output_format:
        case "table":
            parts = [render_terminal(table, width, color=color) for table in tables]
        case "md":
            parts = [render_markdown(table) for table in tables]
        case "csv":
            parts = [render_csv(table) for table in tables]
        case "latex":
            parts = [render_latex(table) for table in tables]
        case "html":
            return render_document(tables)
        case "json":
            return render_json(tables)
        case _:
            raise UsageError(
                f"there is no format {output_format!r}", f"one of: {', '.join(FORMATS)}"
            )
    return "\n".join(parts)


def render_sql(tables: Sequence[ReportTable]) -> str:
    """Return the queries behind tables with their values written in, ready for any client."""
    parts = []
    for table in tables:
        parts.append(f"-- {clean(table.heading)}\n")
        parts += [literal_sql(query) for query in table.queries]
        if not table.queries:
            nothing = "The database holds nothing that this table could ask for."
            parts.append(f"-- {clean(table.origin or nothing)}\n")
    return "\n".join(parts)
