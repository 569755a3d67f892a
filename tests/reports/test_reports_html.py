"""The format ``html``: semantic, escaped, and with every figure of the other formats."""

from html.parser import HTMLParser

import pytest

from pixguard.reports.formats.html import render_html, slug
from pixguard.reports.render import render
from pixguard.reports.report_table import Cell, Column, ReportTable, Row

HOSTILE = "<script>alert(1)</script>&\"'"
COMMAND = "pixguard train --dataset 'a<b>'"
TABLE = ReportTable(
    number=17,
    title=f"Attacks on {HOSTILE}",
    columns=(
        Column("class"),
        Column("images", "count"),
        Column("success %", "percent", show_denominator=True),
    ),
    rows=(
        Row((Cell(HOSTILE), Cell(10), Cell(30.0, 10, (10.8, 60.3), published=25.0))),
        Row((Cell("b"), Cell(None, not_run=COMMAND), Cell(None, not_run=COMMAND)), False),
    ),
    caption=(f"from {HOSTILE}",),
    notes=("a note", f"not run: {COMMAND}"),
    published=True,
)


class Tree(HTMLParser):
    """Collects elements as (tag, attributes, text inside); every one must be closed in order."""

    VOID = ("meta", "br", "input", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[int] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))
        if tag not in self.VOID:
            self.open.append(len(self.found) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.found[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for number in self.open:
            self.found[number][2].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(a, "".join(text)) for name, a, text in self.found if name == tag]


def test_a_table_has_a_caption_heads_and_scopes() -> None:
    tree = Tree(render_html(TABLE, "t"))
    assert [text for _, text in tree.all("caption")] == [f"Table 17. Attacks on {HOSTILE}"]
    scopes = [attributes["scope"] for attributes, _ in tree.all("th")]
    assert scopes == ["col", "col", "col", "row", "rowgroup", "row"]
    (table,) = tree.all("thead")
    assert table[1] == "classimagessuccess %"


def test_figures_carry_denominator_interval_and_the_papers_value() -> None:
    (images, rate, *_) = [text for _, text in Tree(render_html(TABLE, "t")).all("td")]
    assert images == "10"
    assert rate == "30.00 (n=10) (10.8–60.3) (25) +5.00"


def test_a_gap_leads_to_the_command_that_fills_it() -> None:
    tree = Tree(render_html(TABLE, "t"))
    gaps = tree.all("a")
    assert [(a["href"], a["title"], text) for a, text in gaps] == [
        ("#t-fill-1", COMMAND, "not run1")
    ] * 2
    (target,) = [text for a, text in tree.all("li") if a.get("id") == "t-fill-1"]
    assert target == COMMAND
    notes = [text for a, text in tree.all("li") if "id" not in a]
    assert notes == [f"from {HOSTILE}", "a note"]


@pytest.mark.parametrize("count", [1, 2])
def test_the_document_shows_hostile_words_and_runs_none(count: int) -> None:
    text = render([TABLE] * count, "html")
    tree = Tree(text)
    assert not tree.all("script") and len(tree.all("table")) == count
    assert text.startswith("<!doctype html>") and text.endswith("</html>\n")
    ids = [a["id"] for _, a, _ in tree.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert [a["charset"] for a, _ in tree.all("meta") if "charset" in a] == ["utf-8"]
    assert HOSTILE in tree.all("tbody")[0][1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [(17, "17"), ("Truth", "truth"), ("../a b", "a-b"), ("<x>", "x"), ("…", "x")],
)
def test_a_slug_is_safe_in_ids_and_names_of_files(words: object, expected: str) -> None:
    assert slug(words) == expected
