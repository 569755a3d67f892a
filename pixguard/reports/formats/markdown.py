"""Tables in Markdown (GitHub's)."""

import re
from collections.abc import Iterable

from pixguard.reports.formats.text import cell_parts, clean, sections
from pixguard.reports.report_table import ReportTable

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def escape_markdown(words: str) -> str:
    """Return words that Markdown shows as they are."""
    return _SPECIAL.sub(r"\\\1", clean(words))


def render_markdown(table: ReportTable) -> str:
    """Return a table with its heading above, its caption and notes below."""
    lines = [
        f"**{escape_markdown(table.heading)}**",
        "",
        _line(escape_markdown(c.name) for c in table.columns),
        _line("---" if c.is_text else "---:" for c in table.columns),
    ]
    for heading, rows in sections(table):
        if heading:
            lines.append(_line([f"*{heading}:*", *[""] * (len(table.columns) - 1)]))
        for row in rows:
            lines.append(
                _line(
                    escape_markdown(" ".join(cell_parts(cell, column, published=table.published)))
                    for cell, column in zip(row.cells, table.columns, strict=True)
                )
            )
    lines += ["", *(f"- {escape_markdown(line)}" for line in (*table.caption, *table.notes))]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
