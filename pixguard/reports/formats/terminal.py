"""Tables for a terminal, or for a pipe that somebody reads."""

import io

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pixguard.reports.formats.text import cell_lines, clean, sections
from pixguard.reports.report_table import ReportTable

DEFAULT_WIDTH = 80


def render_terminal(table: ReportTable, width: int = DEFAULT_WIDTH, *, color: bool = False) -> str:
    """Return a table no wider than ``width`` columns; cells are stacked where it is too wide."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
    )
    grid = _grid(table, " ")
    if Measurement.get(console, console.options, grid).minimum > width:
        grid = _grid(table, "\n")
    console.print(Text(clean(table.heading), style="bold"))
    console.print(grid)
    for line in (*table.caption, *table.notes):
        console.print(Padding(Text(clean(line)), (0, 0, 0, 1)))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _grid(table: ReportTable, between: str) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for column in table.columns:
        grid.add_column(Text(column.name), justify="left" if column.is_text else "right")
    for heading, rows in sections(table):
        if heading:
            grid.add_section()
            grid.add_row(Text(f"{heading}:", style="italic"))
        for row in rows:
            grid.add_row(
                *(
                    Text(between.join(_glued(part) for part in parts))
                    for cell, column in zip(row.cells, table.columns, strict=True)
                    for parts in [cell_lines(cell, column, published=table.published)]
                )
            )
    return grid


def _glued(part: str) -> str:
    """Return a part that breaks nowhere: an interval stays on one line."""
    return part.replace(" ", "\u00a0") if part[:1] in "[(" else part
