"""Attempts that are selected, and several classifiers in one table.

In the miniature (reports_miniature.py) oct's resnet50 #2 was attacked with one pixel by
differential evolution (seed 0: 7 images, 4 fooled; seed 7: 1 image, 0; other settings: 1, 1) and
by random (7, 7), and with two pixels (7, 7); densenet121 #3 with two (7, 3).
"""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from pixguard.errors import UsageError
from pixguard.reports.build import build_table, refused
from pixguard.reports.evidence import Evidence
from pixguard.reports.figures.build import draw_figure
from pixguard.reports.figures.specs import figure_spec
from pixguard.reports.querying import literal_sql, make_query
from pixguard.reports.render import render
from pixguard.reports.report_table import ReportTable
from pixguard.reports.selection import EVERYTHING, Selection, selection
from pixguard.reports.specs import families, table_spec, table_specs
from pixguard.reports.tables.request import TableRequest
from pixguard.store.queries import load
from postgresql import SQLITE_ONLY
from reports.reports_miniature import Miniature

QUERIES = sorted((Path(__file__).parents[2] / "pixguard" / "store" / "queries").glob("*.sql"))
READ = re.compile(r"(?:FROM|JOIN) (?:attempt|sampled_attempts|attempts_that_count)\b")


def table(db: Miniature, number: int | str, chosen: Selection = EVERYTHING, **options: object):
    return build_table(db.engine, table_spec(number), selection=chosen, **options)  # type: ignore[arg-type]


def values(found: ReportTable, *names: str) -> list[list[object]]:
    places = [[c.name for c in found.columns].index(name) for name in names]
    return [[row.cells[p].value for p in places] for row in found.rows]


def test_names_come_joined_or_repeated_and_words_say_what_was_chosen() -> None:
    chosen = Selection(["corner, random", "corner"], 3, 2)
    assert chosen.attacks == ("corner", "random")
    assert chosen.text == "attack corner or random, seed 3, 2 pixels"
    assert chosen.chosen == {"attack": ["corner", "random"], "seed": 3, "pixels": 2}
    assert not Selection() and Selection(seed=0)
    assert chosen.fits("random", 2, 3)
    assert not any(
        (chosen.fits("de", 2, 3), chosen.fits("corner", 1, 3), chosen.fits("corner", 2, 0))
    )


@SQLITE_ONLY  # which takes 1 for a text
@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.stem)
def test_every_query_can_be_selected_from(path: Path, full: Miniature) -> None:
    """Whatever a query looks like, it runs, reads no attempt beside the selected, and prints."""
    names = set(re.findall(r"(?<!:):([a-z]\w*)", re.sub(r"--.*", "", load(path.stem))))
    asked = make_query(path.stem, **dict.fromkeys(names, 1))
    query = Selection(["random", "corner"], 0, 1).applied(asked)
    reads = READ.search(load(path.stem)) is not None
    assert (query != asked) == reads
    if reads:
        body = query.sql[query.sql.rindex("chosen_seed") :]
        assert not READ.search(body) and "chosen_" in body
    with full.engine.connect() as connection:
        connection.exec_driver_sql(literal_sql(query).rstrip().rstrip(";"))


def test_what_is_made_of_attempts_says_so(full: Miniature) -> None:
    """A table that reads attempts and did not say so would show all, selected or not."""
    reading = set()
    for spec in table_specs().values():
        request = TableRequest(Evidence(full.engine), spec)
        families()[spec.family].build(request)
        if any(READ.search(query.sql) for query in request.queries):
            reading.add(spec.family)
    declared = {name for name, family in families().items() if family.of_attempts}
    # Certificates are held against every attempt: fewer would make them look better.
    assert reading - {"certified"} <= declared
    assert {"layers", "datasets", "hardware", "certified"}.isdisjoint(declared)


def test_a_table_of_the_paper_takes_another_attack(mini: Miniature) -> None:
    assert values(table(mini, 32, dataset="oct"), "total images", "success count") == [[7, 4]]
    found = table(mini, 32, selection("random"), dataset="oct", paper=True)
    assert values(found, "total images", "success count") == [[7, 7]]
    assert found.title.endswith("by One-Pixel Attack (attack random)")
    assert "Selected attempts: attack random." in found.caption
    assert any(note.startswith("Attempts: random, non-targeted") for note in found.notes)
    assert not any("differential evolution" in note for note in found.notes)
    # The paper's counts are those of its own attack.
    assert all(cell.published is None for row in found.rows for cell in row.cells)
    assert any("its attack is another" in note for note in found.notes)


def test_a_seed_is_selected(mini: Miniature) -> None:
    found = table(mini, 32, selection(seed=7), dataset="oct")
    assert values(found, "total images", "success count") == [[1, 0]]
    assert ", seed 7, images attacked: 1" in found.caption[0]
    empty_row = table(mini, 33, selection(seed=7), dataset="oct")
    assert empty_row.commands[0].endswith("--pixels 2 --model 2 --seed 7")


def test_every_family_keeps_to_the_selection(mini: Miniature) -> None:
    def rows(chosen: Selection, name: str, *columns: str) -> list[list[object]]:
        return values(table(mini, name, chosen, model=2), *columns)

    assert {a for (a,) in rows(selection("random"), "cost", "attack")} == {"random"}
    assert rows(selection(pixels=2), "seeds", "attack", "pixels") == [["differential-evolution", 2]]
    assert {p for (p,) in rows(selection(pixels=2), "classes", "pixels")} == {2}
    assert {p for (p,) in rows(EVERYTHING, "classes", "pixels")} == {1, 2}
    runs = values(table(mini, "seeds", selection(seed=7), model=2), "attack", "target", "runs")
    assert runs == [["differential-evolution", "none", 1]]


def test_figures_are_selected_from_by_the_same_means(mini: Miniature) -> None:
    drawn = draw_figure(mini.engine, figure_spec("success-queries"), selection=selection("random"))
    assert "Selected attempts: attack random." in drawn.caption
    assert not any("differential-evolution" in line for line in drawn.caption)
    with pytest.raises(UsageError, match="figure epochs is not made of attempts"):
        draw_figure(mini.engine, figure_spec("epochs"), selection=selection("random"))


@pytest.mark.parametrize(
    ("number", "chosen", "words", "hint"),
    [
        (6, selection("random"), "table 6 is not made of attempts", "leave `attack=...` out"),
        (24, selection(pixels=2), "table 24 is about 1 pixel, not 2", "table 26 is about 2"),
        (24, selection("randm"), "there is no attack 'randm'", "did you mean random"),
        (24, selection("corner"), "selected by attack corner", "random, 1 pixel, seed 0"),
        (
            24,
            selection(seed=5),
            "selected by seed 5",
            "differential-evolution, 1 pixel, seeds 0, 7",
        ),
        ("seeds", selection(pixels=4), "selected by 4 pixels", "1 pixel"),
    ],
)
def test_a_selection_that_means_nothing_is_refused(
    mini: Miniature, number: int | str, chosen: Selection, words: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        table(mini, number, chosen)
    assert hint in caught.value.hint


def test_one_of_several_attacks_without_attempts_is_told(mini: Miniature) -> None:
    with pytest.raises(UsageError, match=r"selected by attack corner$"):
        table(mini, "cost", selection(["random", "corner"]))


def test_files_keep_what_was_selected(mini: Miniature) -> None:
    found = table(mini, "seeds", selection(["random", "differential-evolution"], 0), model=2)
    kept = json.loads(render([found], "json"))["tables"][0]["selection"]
    assert kept == {"attack": ["random", "differential-evolution"], "seed": 0}
    for row in csv.DictReader(io.StringIO(render([found], "csv"))):
        assert (row["selected attack"], row["selected seed"]) == (
            "random differential-evolution",
            "0",
        )
    assert json.loads(render([table(mini, "seeds")], "json"))["tables"][0]["selection"] == {}


def test_several_classifiers_make_blocks(mini: Miniature) -> None:
    found = table(mini, 26, model=[2, 3], paper=True)
    assert [c.name for c in found.columns][:2] == ["classifier", "class"]
    singles = {n: table(mini, 26, model=n, paper=True) for n in (2, 3)}
    expected = [(n, row.cells) for n in (2, 3) for row in singles[n].rows]
    assert [row.cells[1:] for row in found.rows] == [cells for _, cells in expected]
    names = {2: "resnet50 #2", 3: "densenet121 #3"}
    assert [row.cells[0].value for row in found.rows] == [names[n] for n, _ in expected]
    assert found.title.endswith(": resnet50 #2, densenet121 #3")
    assert len(found.caption) == 2 and len(found.queries) == 2
    first = json.loads(render([found], "json"))["tables"][0]["rows"][0]
    assert first["classifier"] == "resnet50 #2"


def test_a_table_with_a_column_of_classifiers_gets_no_second_one(mini: Miniature) -> None:
    found = table(mini, "cost", model=[3, 2])
    assert [c.name for c in found.columns].count("classifier") == 1
    assert list(dict(values(found, "classifier", "dataset"))) == ["densenet121 #3", "resnet50 #2"]
    # Those that stand in the table are not offered once more.
    assert not any("(--model 2)" in note for note in table(mini, "pixels", model=[2, 3]).notes)


@pytest.mark.parametrize(
    ("number", "models", "words"),
    [
        (43, [2, 3], "table 43 is not about one classifier"),
        (24, [2, "densenet121"], "named by their ids"),
        (24, [2, 99], "no classifier with the id 99"),
    ],
)
def test_classifiers_that_make_no_blocks(
    mini: Miniature, number: int, models: list, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        table(mini, number, model=models)


def test_all_tables_leave_out_what_cannot_be_selected_from() -> None:
    fitting = [s for s in table_specs().values() if refused(s, selection(pixels=2)) is None]
    assert {s.pixels for s in fitting if isinstance(s.number, int)} == {2}
    assert {"cost", "seeds"} <= {s.number for s in fitting} and 6 not in fitting


def test_without_an_attempt_it_says_how_to_get_one(empty: Miniature) -> None:
    with pytest.raises(UsageError, match="no attempt") as caught:
        table(empty, "cost", selection("random"))
    assert "pixguard attack --dataset" in caught.value.hint
