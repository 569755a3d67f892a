"""The tables of the page: which there are, which have data, and their files for download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixguard.reports.audit import audit_tables
from pixguard.reports.build import build_tables
from pixguard.reports.evidence import Evidence
from pixguard.reports.formats.csv_text import render_csv
from pixguard.reports.formats.html import escape_html, render_html, slug
from pixguard.reports.formats.json_text import render_json
from pixguard.reports.querying import literal_sql
from pixguard.reports.report_table import ReportTable
from pixguard.reports.request import paper_datasets
from pixguard.reports.specs import table_specs
from pixguard.reports.tables.request import TableSpec

if TYPE_CHECKING:
    from sqlalchemy import Engine

FOLDER = "tables"
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
    shown = {"model": model, "size": size, "paper": paper}
    built = build_tables(engine, specs, dataset=dataset, **shown)
    tables = [
        PageTable(f"table-{slug(spec.number)}", table)
        for spec, table in zip(specs, built, strict=True)
    ]
    if dataset is None and model is None:
        own = sorted(Evidence(engine).datasets - set(paper_datasets()))
        for place, name in enumerate(own, start=1):
            forms = list(_forms())
            built = build_tables(engine, forms, dataset=name, **shown)
            tables += [
                # Two names may look alike without their punctuation: the place tells them apart.
                PageTable(f"table-{slug(spec.number)}-{place}-{slug(name)}", table, name)
                for spec, table in zip(forms, built, strict=True)
                if table.has_data
            ]
    audited = audit_tables()
    return [*tables, *(PageTable(f"table-{t.number}", t, PUBLISHED) for t in audited)]


def _forms() -> Iterator[TableSpec]:
    """Yield one table about one dataset for each family and number of pixels: the form of all."""
    seen = set()
    for spec in table_specs().values():
        form = spec.family, spec.pixels
        if spec.dataset is not None and form not in seen:
            seen.add(form)
            yield spec


def write_files(tables: Sequence[PageTable], folder: Path) -> None:
    """Write each table as CSV and JSON into a folder that exists."""
    for item in tables:
        (folder / f"{item.name}.csv").write_text(render_csv(item.table), encoding="utf-8")
        (folder / f"{item.name}.json").write_text(render_json([item.table]), encoding="utf-8")


def section(item: PageTable) -> str:
    """Return a table of the page with its links and its SQL."""
    links = " ".join(
        f'<a href="{FOLDER}/{item.name}.{kind}" download>{kind.upper()}</a>'
        for kind in ("csv", "json")
    )
    sql = "\n".join(literal_sql(query) for query in item.table.queries)
    if sql:
        query = (
            '<details class="sql"><summary>SQL</summary><button type="button" class="copy">Copy'
            f'</button><pre tabindex="0"><code>{_preformatted(sql)}</code></pre></details>'
        )
    else:
        query = f'<span class="origin">{escape_html(item.table.origin)}</span>'
    return (
        f'<article class="item" id="{item.name}">\n{render_html(item.table, item.name)}'
        f'<div class="tools"><span class="downloads">{links}</span>{query}</div>\n</article>'
    )


def index(tables: Sequence[PageTable]) -> str:
    """Return the list of tables in parts: with data, of datasets that the paper lacks, without."""
    parts: dict[str, list[PageTable]] = {}
    for item in tables:
        name = item.part if item.has_data else "Without data"
        parts.setdefault(name, []).append(item)
    last = (PUBLISHED, "Without data")
    order = ["", *sorted(parts.keys() - {"", *last}), *last]
    return "".join(_index_part(name, parts[name]) for name in order if name in parts)


def _index_part(name: str, tables: Sequence[PageTable]) -> str:
    head = f'<h3 class="index-part">{escape_html(name or "With data")}</h3>'
    items = "".join(
        f'<li{"" if item.has_data else " class=empty"}><a href="#{item.name}">'
        f"<b>{escape_html(item.table.number)}</b> {escape_html(item.table.title)}</a></li>"
        for item in tables
    )
    return f'{head}<ul class="index">{items}</ul>'


def _preformatted(text: str) -> str:
    return "\n".join(escape_html(line) for line in text.splitlines())
