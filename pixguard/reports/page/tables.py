"""The tables of the page: which there are, which have data, and their files for download."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixguard.reports.audit import audit_tables
from pixguard.reports.build import build_tables
from pixguard.reports.evidence import Evidence
from pixguard.reports.formats.csv_text import render_csv
from pixguard.reports.formats.html import slug
from pixguard.reports.formats.json_text import render_json
from pixguard.reports.listing import specs_for
from pixguard.reports.querying import literal_sql
from pixguard.reports.report_table import ReportTable
from pixguard.reports.request import paper_datasets
from pixguard.reports.specs import table_specs

if TYPE_CHECKING:
    from sqlalchemy import Engine

TABLES = "tables"
"""The folder of their files."""
WITHOUT = "Without data"
PUBLISHED = "On the published tables"


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table on the page.

    ``name`` is its id and the stem of its files, ``part`` the heading that it is listed under,
    where that is not the first one.
    """

    name: str
    table: ReportTable
    part: str = ""

    @property
    def has_data(self) -> bool:
        """Whether it holds something measured, or found in the published tables."""
        return self.table.has_data or self.part == PUBLISHED

    @property
    def sql(self) -> str:
        """The queries behind it, empty where there are none."""
        return "\n".join(literal_sql(query) for query in self.table.queries)


def report_tables(
    engine: "Engine",
    dataset: str | None,
    model: int | str | None,
    size: int | None,
    paper: bool,
) -> list[PageTable]:
    """Return every table, and, for each dataset that the paper lacks, the forms that it fills.

    Args:
        engine: the database.
        dataset: as in :func:`pixguard.reports.build.build_table`, and so the others.
        model: likewise.
        size: likewise.
        paper: likewise.
    """
    specs = list(table_specs().values())
    shown: dict[str, Any] = {"model": model, "size": size, "paper": paper}
    built = build_tables(engine, specs, dataset=dataset, **shown)
    tables = [
        PageTable(f"table-{slug(spec.number)}", table)
        for spec, table in zip(specs, built, strict=True)
    ]
    if dataset is None and model is None:
        own = sorted(Evidence(engine).datasets - set(paper_datasets()))
        for place, name in enumerate(own, start=1):
            forms = [spec for spec in specs_for(name) if spec.dataset is not None]
            built = build_tables(engine, forms, dataset=name, **shown)
            tables += [
                # Two names may look alike without their punctuation: the place tells them apart.
                PageTable(f"table-{slug(spec.number)}-{place}-{slug(name)}", table, name)
                for spec, table in zip(forms, built, strict=True)
                if table.has_data
            ]
    audited = audit_tables()
    return [*tables, *(PageTable(f"table-{t.number}", t, PUBLISHED) for t in audited)]


def write_files(tables: Sequence[PageTable], folder: Path) -> None:
    """Write each table as CSV and JSON into a folder that exists."""
    for item in tables:
        (folder / f"{item.name}.csv").write_text(render_csv(item.table), encoding="utf-8")
        (folder / f"{item.name}.json").write_text(render_json([item.table]), encoding="utf-8")


def index_parts(tables: Sequence[PageTable]) -> list[tuple[str, list[PageTable]]]:
    """Return tables in parts: with data, of datasets that the paper lacks, without."""
    parts: dict[str, list[PageTable]] = {}
    for item in sorted(tables, key=lambda item: not item.has_data):
        name = item.part if item.has_data else WITHOUT
        parts.setdefault(name, []).append(item)
    last = (PUBLISHED, WITHOUT)
    order = ["", *sorted(parts.keys() - {"", *last}), *last]
    return [(name, parts[name]) for name in order if name in parts]
