"""Every table in every format: machine formats give back what went in, LaTeX compiles."""

import csv
import io
import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.cells import cell_len

from pixguard.reports.audit import audit_tables
from pixguard.reports.build import build_tables, list_tables, with_data_first
from pixguard.reports.formats.csv_text import FORMULAS
from pixguard.reports.formats.text import NOT_RUN
from pixguard.reports.render import render, render_sql
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.specs import table_specs
from reports.reports_miniature import Miniature, fill, make_engine


def _all_tables() -> list[ReportTable]:
    db = Miniature(make_engine())
    db.start()
    fill(db)
    db.content(1, {("test", "0"): 3, ("train", "3"): 4})
    attempt, metrics = 1, db.metrics()
    db.pixel(attempt, 3, 4)
    for name in ("identity", "dae"):
        denoiser = db.model("denoiser", name, 1)
        restored = db.restoration(attempt, 21, 2, denoiser, 1)
        db.score(restored, metrics["psnr"], "inf" if name == "dae" else 50.0)
    specs = table_specs().values()
    tables = build_tables(db.engine, specs, paper=True)
    found = [*tables, list_tables(db.engine), *audit_tables()]
    db.engine.dispose()
    return found


TABLES = {str(table.number): table for table in _all_tables()}
each_table = pytest.mark.parametrize("name", TABLES)


@each_table
def test_csv_gives_back_every_value(name: str) -> None:
    table = TABLES[name]
    lines = list(csv.DictReader(io.StringIO(render([table], "csv"))))
    assert len(lines) == len(table.rows)
    for line, row in zip(lines, table.rows, strict=True):
        assert line["table"] == name
        for column, cell in zip(table.columns, row.cells, strict=True):
            assert _read(line[column.name], cell) == cell.value
            if cell.not_run:
                assert line[f"{column.name} note"] == NOT_RUN
            if cell.interval:
                ends = (float(line[f"{column.name} {end}"]) for end in ("low", "high"))
                assert tuple(ends) == cell.interval
            if cell.published is not None and table.published:
                assert float(line[f"{column.name} paper"]) == cell.published


def _read(text: str, cell: Cell) -> int | float | str | None:
    if text == "" and not isinstance(cell.value, str):
        return None
    marked = text.startswith("'") and text[1:].startswith(FORMULAS)
    return type(cell.value)(text[marked:])


@each_table
def test_json_gives_back_every_value(name: str) -> None:
    table = TABLES[name]
    (value,) = json.loads(render([table], "json"))["tables"]
    columns = [(c["name"], c["heading"], c["kind"]) for c in value["columns"]]
    assert columns == [(c.key, c.name, c.kind) for c in table.columns]
    assert [[_cell(row, key) for key, *_ in columns] for row in value["rows"]] == [
        [_plain(cell, table.published) for cell in row.cells] for row in table.rows
    ]
    assert len({frozenset(row) for row in value["rows"]}) <= 1
    assert [row["in_paper"] for row in value["rows"]] == [row.in_paper for row in table.rows]
    assert (value["caption"], value["notes"]) == (list(table.caption), list(table.notes))


def _cell(row: dict[str, object], key: str) -> tuple[object, ...]:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    further = [row.get(f"{key}_{name}") for name in ("paper", "note", "not_run")]
    return row[key], row.get(f"{key}_n"), None if low is None else [low, high], *further


def _plain(cell: Cell, published: bool) -> tuple[object, ...]:
    infinite = isinstance(cell.value, float) and math.isinf(cell.value)
    return (
        str(cell.value) if infinite else cell.value,
        cell.denominator,
        list(cell.interval) if cell.interval else None,
        cell.published if published else None,
        cell.note or None,
        cell.not_run,
    )


@each_table
@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_table_is_right(name: str, width: int) -> None:
    table = TABLES[name]
    text = render([table], "table", width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "\x1b" not in text and "…" not in text
    words = text.split()
    for column in table.columns:
        assert set(column.name.split()) <= set(words)


@each_table
def test_the_sql_says_where_figures_come_from(name: str) -> None:
    table = TABLES[name]
    text = render_sql([table])
    assert text.startswith(f"-- {table.heading}\n")
    assert table.queries or table.origin or "holds nothing" in text or name in ("list",)


def test_tables_without_data_come_last_and_in_short() -> None:
    empty = {name for name, table in TABLES.items() if not table.has_data}
    *full, missing = with_data_first([t for t in TABLES.values() if t.number != "audit"])
    assert {"3", "8", "35"} <= empty
    assert all(table.has_data for table in full)
    assert {str(row.cells[0].value) for row in missing.rows} == empty - {"audit"}
    assert all(row.cells[2].value for row in missing.rows)
    assert with_data_first(full) == full


def test_every_table_compiles_in_latex(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("pdflatex is missing: apt-get install texlive-latex-base")
    nasty = "50 % [a] & b_c | <d> \\ $ # {x} ~ ^ * \" ' ` é ü"
    cell = Cell(1.5, 40, (0.5, 99.25), 2, note=nasty)
    columns = (Column(nasty), Column("rate %", "percent", show_denominator=True))
    rows = (Row((Cell(nasty), cell)), Row((Cell("*"), Cell(math.inf)), in_paper=False))
    tables = [*TABLES.values(), ReportTable(99, nasty, columns, rows, (nasty,), (nasty,))]
    body = "\\clearpage\n".join(render([table], "latex") for table in tables)
    source = tmp_path / "tables.tex"
    head = "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\\begin{document}\n"
    source.write_text(f"{head}{body}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", source.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=", "-"])
def test_a_spreadsheet_computes_no_text_of_a_csv_file(text: str) -> None:
    columns = (Column("name"), Column("gain", "score"))
    table = ReportTable("x", "X", columns, (Row((Cell(text), Cell(-0.5))),))
    (line,) = csv.DictReader(io.StringIO(render([table], "csv")))
    assert line["name"] == "'" + text.replace("\r", r"\r")
    assert line["gain"] == "-0.5"
