import csv
import io
import json
import math
import re
import sqlite3

import pytest
from rich.cells import cell_len

from pixguard.errors import UsageError
from pixguard.reports.build import build_table, list_tables
from pixguard.reports.formats import FORMATS
from pixguard.reports.formats.json_text import FACTS
from pixguard.reports.formats.latex import escape_latex
from pixguard.reports.formats.markdown import escape_markdown
from pixguard.reports.render import render, render_sql
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.specs import table_spec, table_specs
from pixguard.words import printable
from postgresql import SQLITE_ONLY
from reports.reports_miniature import Miniature

NASTY = "50 % [a] & b_c | <d> \\ $ # {x} ~ ^ *\x1b[31m\nnext"


def one_cell(text: str) -> ReportTable:
    cell = Cell(1.5, 40, (0.5, 99.25), 2, note="2 inf")
    return ReportTable(
        99,
        f"Title {text}",
        (Column("class"), Column("rate %", "percent", show_denominator=True)),
        (Row((Cell(text), cell)), Row((Cell("b"), Cell(math.inf)), in_paper=False)),
        caption=(text,),
        notes=(text,),
        published=True,
    )


@pytest.mark.parametrize("paper", [False, True])
def test_no_table_is_wider_than_80_columns_or_cuts_a_word(mini: Miniature, paper: bool) -> None:
    tables = [build_table(mini.engine, spec, paper=paper) for spec in table_specs().values()]
    for table in [*tables, list_tables(mini.engine)]:
        text = render([table], "table")
        too_wide = [line for line in text.splitlines() if cell_len(line) > 80]
        assert not too_wide, table.number
        assert "…" not in text and "\x1b" not in text
        for row in table.rows:
            for word in str(row.cells[0].value or "").split():
                assert word in text


def test_a_narrow_terminal_loses_nothing(mini: Miniature) -> None:
    text = render([build_table(mini.engine, table_spec(32))], "table", width=30)
    assert "pneumoniamnist" in text and "57.14" in text and "25.0–84.2" in text


def test_the_terminal_cell_reads_as_the_notes_say(mini: Miniature) -> None:
    text = render([build_table(mini.engine, table_spec(32), paper=True)], "table", width=200)
    assert "57.14 (25.0–84.2) (29.55) +27.59" in text
    assert "not run (178)" in text
    assert "not in the paper:" in text
    assert "pixguard train --dataset pathology --model resnet50; pixguard attack" in text


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in render([one_cell(NASTY)], "table")


def test_json_holds_everything(mini: Miniature) -> None:
    table = build_table(mini.engine, table_spec(32), paper=True)
    (value,) = json.loads(render([table], "json"))["tables"]
    assert (value["name"], value["datasets"]) == (32, ["oct", "chest", "derma", "pneumoniamnist"])
    assert [c["heading"] for c in value["columns"]] == [c.name for c in table.columns]
    keys = [c["name"] for c in value["columns"]]
    assert keys[3:] == ["total_images", "success_count", "percentage"]
    for row, source in zip(value["rows"], table.rows, strict=True):
        assert row["in_paper"] == source.in_paper
        for key, original in zip(keys, source.cells, strict=True):
            assert row[key] == original.value
            assert row.get(f"{key}_n") == original.denominator
            assert row.get(f"{key}_paper") == original.published
            assert row.get(f"{key}_not_run") == original.not_run
            bounds = row.get(f"{key}_low"), row.get(f"{key}_high")
            assert bounds == (original.interval or (None, None))
    assert value["queries"][0]["parameters"]["classifier_id"] == 2
    assert json.loads(render([table, table], "json")) == {"tables": [value, value]}


def test_no_two_values_of_a_row_have_one_key(full: Miniature) -> None:
    for spec in table_specs().values():
        table = build_table(full.engine, spec, paper=True)
        keys = ["in_paper", *(column.key for column in table.columns)]
        facts = [f"{column.key}_{fact}" for column in table.columns for fact in FACTS]
        assert len({*keys, *facts}) == len(keys) + len(facts), spec.number


def test_json_and_csv_say_inf() -> None:
    table = one_cell("a")
    assert json.loads(render([table], "json"))["tables"][0]["rows"][1]["rate_percent"] == "inf"
    assert list(csv.reader(io.StringIO(render([table], "csv"))))[2][3] == "inf"


def test_csv_holds_machine_values(mini: Miniature) -> None:
    table = build_table(mini.engine, table_spec(32), paper=True)
    rows = list(csv.DictReader(io.StringIO(render([table], "csv"))))
    assert [row["dataset"] for row in rows] == [row.cells[0].value for row in table.rows]
    rate = table.rows[2].cells[5]
    assert rate.interval is not None
    assert float(rows[2]["percentage"]) == rate.value
    assert float(rows[2]["percentage low"]) == rate.interval[0]
    assert float(rows[2]["percentage paper"]) == 29.55
    assert int(rows[2]["percentage n"]) == 7
    assert (rows[0]["percentage"], rows[0]["percentage note"]) == ("", "not run")
    assert [row["in paper"] for row in rows] == ["yes"] * 4 + ["no"] * 2


def test_csv_keeps_any_text() -> None:
    rows = list(csv.DictReader(io.StringIO(render([one_cell(NASTY)], "csv"))))
    assert rows[0]["class"] == printable(NASTY)


def test_latex_escapes_every_special_character() -> None:
    escaped = escape_latex(NASTY)
    bare = re.sub(r"\\(text[a-z]+\{\}|[&%$#_{}])|\{[\[\]*]\}", "", escaped)
    assert not set(bare) & set("&%$#_{}~^\\<>|[]*\x1b\n")
    assert escape_latex("a_b 5 %") == r"a\_b 5 \%"
    assert escape_latex("\\") == r"\textbackslash{}"


def test_latex_is_well_formed(mini: Miniature) -> None:
    for table in (build_table(mini.engine, table_spec(32), paper=True), one_cell(NASTY)):
        text = render([table], "latex")
        plain = re.sub(r"\\[\\{}]", "", text)
        assert plain.count("{") == plain.count("}")
        for name in ("table", "tabular"):
            assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
        body = text.split(r"\begin{tabular}")[1].split(r"\end{tabular}")[0]
        for line in body.splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == len(table.columns) - 1


def test_markdown_rows_have_as_many_cells_as_the_head() -> None:
    lines = render([one_cell(NASTY)], "md").splitlines()
    grid = [line for line in lines if line.startswith("|")]
    assert len(grid) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in grid} == {3}
    assert escape_markdown("a|b<c>") == r"a\|b\<c\>"


@SQLITE_ONLY
def test_sql_runs_in_another_client_and_gives_the_same(mini: Miniature) -> None:
    table = build_table(mini.engine, table_spec(24))
    script = render_sql([table])
    assert ":classifier_id" not in script
    raw = mini.engine.raw_connection()
    cursor = raw.driver_connection.cursor()
    assert isinstance(cursor, sqlite3.Cursor)
    found = {row[1]: row[-2:] for row in cursor.execute(script).fetchall()}
    assert found["Normal"] == (4, 3)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="no format 'pdf'") as caught:
        render([one_cell("a")], "pdf")
    assert all(name in caught.value.hint for name in FORMATS)


def test_a_row_must_fit_its_columns() -> None:
    with pytest.raises(ValueError, match="a row has 2 cells"):
        ReportTable(1, "t", (Column("a"),), (Row((Cell(1), Cell(2))),))
