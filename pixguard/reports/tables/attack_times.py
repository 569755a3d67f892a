"""Tables 46 and 47: how long the attacks on each dataset took."""

from collections.abc import Iterator

from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.all_datasets import COLUMNS as HEAD
from pixguard.reports.tables.all_datasets import Entry, entries, title_over
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import ATTEMPTS_NOTE, TableRequest
from pixguard.reports.tables.training_times import words_of_time

COLUMNS = (
    *HEAD,
    Column("count", "count"),
    Column("computer"),
    Column("time"),
    Column("seconds", "quantity"),
    Column("seconds an image", "quantity"),
    Column("queries/s", "quantity"),
)
NOTES = (
    "count: images attacked, with success or not. seconds: evaluating and breeding, each attempt's "
    "share of its batch, added up; a mean of them stops early where an attack succeeds. computer: "
    "its GPU, or its CPU where it has no GPU; a run may have been told not to use it. queries: "
    "candidates that the attack asked about.",
    "The paper names its computers A and B.",
)
SPLIT_NOTE = "The paper's values are not shown where attempts were made on several computers."


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a dataset and computer."""
    found = list(entries(request, request.evidence.attacked))
    rows = [Row((*e.head(), *cells), e.in_paper) for e in found for cells in _lines(request, e)]
    used = [e.study for e in found if e.study]
    notes = [ATTEMPTS_NOTE, *NOTES]
    if request.paper and len(rows) > len(found):
        notes.append(SPLIT_NOTE)
    title = title_over(request, f"{request.pixels_word}-Pixel Attack Required Time", found)
    return request.table(COLUMNS, rows, used, notes, title)


def _lines(request: TableRequest, entry: Entry) -> Iterator[tuple[Cell, ...]]:
    paper = {
        name: request.published(entry.label, name, entry.in_paper) for name in ("count", "seconds")
    }
    study = entry.study
    if study is None or study.attack is None:
        missing = entry.fill_command(request)
        yield tuple(
            Cell(None, published=paper.get(c.name), not_run=missing) for c in COLUMNS[len(HEAD) :]
        )
        return
    found = request.fetch("attack_times", **study.attempts)
    if len(found) > 1:
        paper = {}
    for row in found:
        attempts, seconds = int(row["attempts"]), float(row["elapsed_ms"]) / 1000
        yield (
            Cell(attempts, published=paper.get("count")),
            Cell(row["computer"]),
            Cell(words_of_time(seconds)),
            Cell(seconds, attempts, published=paper.get("seconds")),
            Cell(seconds / attempts, attempts),
            Cell(int(row["queries"]) / seconds if seconds else None, attempts),
        )


FAMILY = Family(build, numbers=(46, 47), of_attempts=True)
