"""One table about several classifiers: a block of rows for each, one below another."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.request import TableSpec

CLASSIFIER = "classifier"


def one_below_another(
    spec: TableSpec, blocks: Sequence[ReportTable], names: Sequence[str]
) -> ReportTable:
    """Return the table of several classifiers, whose rows name them in a column.

    Args:
        spec: which table.
        blocks: the table of each classifier, with the same columns.
        names: of the classifiers, in the same order.
    """
    first = blocks[0]
    is_told = any(column.name == CLASSIFIER for column in first.columns)
    rows = [
        row if is_told else Row((Cell(name), *row.cells), row.in_paper)
        for name, block in zip(names, blocks, strict=True)
        for row in block.rows
    ]
    # The paper's title holds for its own dataset and classifier alone, so that theirs are told.
    forms = [spec.title] if isinstance(spec.number, str) else [block.title for block in blocks]
    return replace(
        first,
        title=f"{' / '.join(dict.fromkeys(forms))}: {', '.join(names)}",
        columns=first.columns if is_told else (Column(CLASSIFIER), *first.columns),
        rows=tuple(rows),
        caption=_each_once(block.caption for block in blocks),
        notes=_each_once(block.notes for block in blocks),
        datasets=_each_once(block.datasets for block in blocks),
        queries=tuple(query for block in blocks for query in block.queries),
    )


def _each_once(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for part in parts for line in part))
