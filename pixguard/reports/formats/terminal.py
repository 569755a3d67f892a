"""Tables for a terminal, or for a pipe that somebody reads."""

import io
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pixguard.reports.formats.text import cell_parts, clean, sections
from pixguard.reports.report_table import Cell, Column, ReportTable, Row

DEFAULT_WIDTH = 80

Parts = list[list[list[str]]]
"""The parts of every cell, by row and column."""


def render_terminal(table: ReportTable, width: int = DEFAULT_WIDTH, *, color: bool = False) -> str:
    """Return a table within ``width`` columns; nothing is ever cut off.

    Words wrap and the parts of a cell are stacked as far as needed. A table whose longest words
    do not fit side by side is shown in parts, one below the other, each with the first column;
    where not even two columns fit, it comes out wider.
    """
    shown = [(part, *_layout(part, width)) for part in _split(table, width)]
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(width, *(sum(widths) + gap * (len(widths) - 1) for _, gap, widths in shown)),
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
    )
    console.print(Text(clean(table.heading), style="bold"), width=width)
    for part, gap, widths in shown:
        for heading, rows in sections(part):
            if heading:
                console.print(Text(f"\n{heading}:", style="italic"))
            console.print(_grid(part, rows, widths, gap, show_header=heading is None))
        console.print()
    for line in (*table.caption, *table.notes):
        console.print(Padding(Text(clean(line)), (0, 0, 0, 1)), width=width)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _split(table: ReportTable, width: int) -> list[ReportTable]:
    """Return a table in parts that fit a width, the whole of it where that fits.

    Where the first column does not tell the rows apart, every part begins with their numbers.
    """
    least = _least(table)
    if sum(least) + len(least) - 1 <= width or len(least) <= 2:
        return [table]
    firsts = [row.cells[0].value for row in table.rows]
    if len(set(firsts)) < len(firsts):
        rows = (replace(r, cells=(Cell(n), *r.cells)) for n, r in enumerate(table.rows, 1))
        numbered = replace(table, columns=(Column("#", "count"), *table.columns), rows=tuple(rows))
        return _pack(numbered, 2, width)
    return _pack(table, 1, width)


def _pack(table: ReportTable, repeated: int, width: int) -> list[ReportTable]:
    """Return parts with as many columns as fit, after the first ones, which all parts repeat."""
    least = _least(table)
    head = list(range(repeated))
    room = width - sum(least[:repeated]) - repeated
    parts = [[repeated]]
    for position in range(repeated + 1, len(least)):
        used = sum(least[p] + 1 for p in parts[-1])
        if used + least[position] <= room:
            parts[-1].append(position)
        else:
            parts.append([position])
    return [_columns_of(table, [*head, *part]) for part in parts]


def _columns_of(table: ReportTable, positions: Sequence[int]) -> ReportTable:
    return replace(
        table,
        columns=tuple(table.columns[p] for p in positions),
        rows=tuple(replace(r, cells=tuple(r.cells[p] for p in positions)) for r in table.rows),
    )


def _least(table: ReportTable) -> list[int]:
    """Return the least width of each column."""
    return [low for low, _ in _ranges(table)]


def _ranges(table: ReportTable) -> list[tuple[int, int]]:
    parts = _parts(table, table.rows)
    return [
        _range(column, [row[position] for row in parts])
        for position, column in enumerate(table.columns)
    ]


def _parts(table: ReportTable, rows: Sequence[Row]) -> Parts:
    return [
        [
            cell_parts(cell, column, published=table.published)
            for cell, column in zip(row.cells, table.columns, strict=True)
        ]
        for row in rows
    ]


def _layout(table: ReportTable, width: int) -> tuple[int, list[int]]:
    """Return the gap between columns, and the width of each.

    Columns start at the least width that breaks no word, and share what is left in proportion to
    what they lack.
    """
    ranges = _ranges(table)
    least = [low for low, _ in ranges]
    lacking = [high - low for low, high in ranges]
    gap = 2 if sum(least) + 2 * (len(least) - 1) <= width else 1
    spare = max(0, width - sum(least) - gap * (len(least) - 1))
    share = min(1.0, spare / (sum(lacking) or 1))
    return gap, [low + int(lack * share) for low, lack in zip(least, lacking, strict=True)]


def _range(column: Column, cells: list[list[str]]) -> tuple[int, int]:
    """Return the least width of a column that breaks no word or figure, and the most it can use."""
    words = column.name.split()
    for parts in cells:
        words += " ".join(parts).split() if column.is_text else parts
    whole = [column.name, *(" ".join(parts) for parts in cells)]
    return max(map(cell_len, words)), max(map(cell_len, whole))


def _grid(
    table: ReportTable, rows: Sequence[Row], widths: list[int], gap: int, *, show_header: bool
) -> Table:
    grid = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        show_header=show_header,
        padding=(0, gap - 1, 0, 0),
        pad_edge=False,
    )
    for column, width in zip(table.columns, widths, strict=True):
        grid.add_column(
            Text(column.name),
            justify="left" if column.is_text else "right",
            width=width,
            overflow="fold",
        )
    for row in _parts(table, rows):
        grid.add_row(*map(_fitted, row, widths))
    return grid


def _fitted(parts: list[str], width: int) -> Text:
    """Return the parts of a cell on one line where that fits, else one below the other."""
    line = " ".join(parts)
    return Text(line if cell_len(line) <= width else "\n".join(parts))
