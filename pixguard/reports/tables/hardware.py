"""Table 11: the computers that made what the database holds."""

from pixguard.reports.published import published_table
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import TableRequest

COLUMNS = (
    Column("computer"),
    Column("CPU"),
    Column("threads", "count"),
    Column("GPU"),
    Column("RAM (GiB)", "quantity"),
    Column("runs", "count"),
)
NOTES = (
    "computer: in order of use, named by `pixguard db info`; runs: commands that wrote to this "
    "database.",
)
COMMAND = "pixguard train --dataset derma"


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a computer, in the order in which they were first used."""
    found = request.fetch("hardware")
    rows = [
        Row(
            (
                Cell(f"#{number}"),
                Cell(row["cpu"]),
                Cell(int(row["cpu_threads"])),
                Cell(row["gpu"], note="" if row["gpu"] else "none"),
                Cell(int(row["memory_mib"]) / 1024),
                Cell(int(row["runs"])),
            ),
            in_paper=False,
        )
        for number, row in enumerate(found, 1)
    ]
    if not rows:
        rows = [Row(tuple(Cell(None, not_run=COMMAND) for _ in COLUMNS), in_paper=False)]
    notes = [*NOTES]
    if request.paper:
        printed = ("; ".join(map(str, row[1:])) for row in published_table(11)["rows"])
        notes.append(f"The paper's computers: {' | '.join(printed)}.")
    caption = ("all runs in the database",) if found else ()
    return request.table(COLUMNS, rows, [], notes, caption=caption)


FAMILY = Family(build, numbers=(11,), always="the computers of all runs", of_one_classifier=False)
